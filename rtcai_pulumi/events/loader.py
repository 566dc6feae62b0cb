"""Event files: an event as YAML, in a folder with its prompts."""

from pathlib import Path

from rtcai_pulumi.events.document import Document, EventProblem, EventSource, InvalidEvent, read
from rtcai_pulumi.events.model import Event
from rtcai_pulumi.events.validation import Plan, plan_event

DEFAULT_FILE = "event.yaml"


def plan_file(file: str | Path) -> Plan:
    """Read an event file. The problems in the returned plan list everything that is wrong with it."""
    path, name = Path(file), str(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"the event file cannot be read: {error.strerror}; check its path"
        return Plan(None, False, (), (EventProblem("(root)", reason, name),))
    source = EventSource(name, path.parent, _decode(content))
    if source.document is None:
        return Plan(None, False, (), (EventProblem("(root)", "is not valid UTF-8", name),))
    return plan_event(source.document.data, source)


def load_event(file: str | Path) -> Event:
    """Read an event file.

    Args:
        file: its path; prompt files are searched next to it.

    Returns:
        The event, with its prompt files read and its secrets as references.

    Raises:
        InvalidEvent: the event has problems; all of them are listed, each with its line.
    """
    plan = plan_file(file)
    if plan.mistakes:
        raise InvalidEvent(f"the event file {file}", plan.mistakes)
    names = Event.wire_names()
    return Event(**{names[name]: value for name, value in plan.event.items()})


def _decode(content: bytes) -> Document | None:
    try:
        return read(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None
