"""Event files: an event as YAML, in a folder with its prompts."""

from pathlib import Path

from rtcai_pulumi.events.document import Document, EventProblem, EventSource, InvalidEvent, read
from rtcai_pulumi.events.model import Event
from rtcai_pulumi.events.validation import Plan, plan

DEFAULT_FILE = "event.yaml"


def plan_of(file: str | Path) -> Plan:
    """Read an event file. The mistakes of the returned plan list everything that is wrong with it."""
    path, shown = Path(file), str(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"the event file cannot be read: {error.strerror}; name one that is there"
        return Plan(None, False, (), (EventProblem("(root)", reason, shown),))
    source = EventSource(shown, path.parent, _document(content))
    if source.document is None:
        return Plan(None, False, (), (EventProblem("(root)", "is no text in UTF-8", shown),))
    return plan(source.document.data, source)


def load_event(file: str | Path) -> Event:
    """Read an event file.

    Args:
        file: its path; prompt files are searched next to it.

    Returns:
        The event, with its prompt files read and its secrets as references.

    Raises:
        InvalidEvent: the event has mistakes; all of them are listed, each with its line.
    """
    found = plan_of(file)
    if found.mistakes:
        raise InvalidEvent(f"the event file {file}", found.mistakes)
    return event_of(found)


def event_of(found: Plan) -> Event:
    """Return the event of a plan without mistakes."""
    names = Event.wire_names()
    return Event(**{names[name]: value for name, value in found.event.items()})


def _document(content: bytes) -> Document | None:
    try:
        return read(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None
