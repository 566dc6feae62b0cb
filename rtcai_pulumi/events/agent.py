"""An agent in an event: the default agent or a room's changes to it, prompt files, and merging (RFC 7396)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rtcai_pulumi.config.conversation import AgentSettings
from rtcai_pulumi.config.problems import NULL, check_fields, path_of
from rtcai_pulumi.config.values import UNKNOWN, map_nested
from rtcai_pulumi.events.document import EventProblem, EventSource, Location
from rtcai_pulumi.events.secrets import Reference, check_location, check_reference, looks_like_reference, takes_text

PROMPT_FILES: Final = {"customPromptFile": "customPrompt", "customPromptFormatFile": "customPromptFormat"}
"""Fields of the block ``llm`` in an event file, each with the field that receives the file's text."""


class PromptFileError(Exception):
    """A prompt file cannot be used; the message gives the reason."""


def read_prompt(folder: Path, name: Any) -> str:
    """Return the text of a prompt file; line breaks at its end are removed, because editors add them.

    Args:
        folder: the event file's folder; the prompt file must be inside it.
        name: the path relative to the folder, as written in the event.

    Raises:
        PromptFileError: the file does not exist, is outside the folder, is not valid UTF-8, or is empty.
    """
    if not isinstance(name, str) or not name:
        raise PromptFileError("must be the path of a file, relative to the event file's folder")
    try:
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise PromptFileError("must be inside the event file's folder")
        if not file.is_file():
            raise PromptFileError("the event file's folder has no such file")
        text = file.read_text(encoding="utf-8-sig").rstrip("\n")
    except UnicodeDecodeError:
        raise PromptFileError("the file is not valid UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else None
        raise PromptFileError(f"the file cannot be read: {reason or 'its path is not valid'}") from None
    if not text.strip():
        raise PromptFileError("the file is empty")
    return text


IsOutput = Callable[[Any], bool]
"""Whether a value is an output of a resource, so it is not known while the program runs."""

_LAST_KEY: Final = re.compile(r"(\.[^.\[\]]*|\[\d+\])$")
_MISSING: Final = "required"


@dataclass(slots=True)
class EventPart:
    """An agent, or changes to one, with its references and prompt files read."""

    location: Location
    """Its location in the event."""
    data: dict[str, Any] = field(default_factory=dict)
    """Its fields; secrets are references."""
    places: dict[str, Location] = field(default_factory=dict)
    """Location in the event of each path in the agent; for a prompt, the location of the field that names its file."""
    mistakes: list[EventProblem] = field(default_factory=list)
    is_refused: bool = False
    """Whether it is something else than an object, so its fields are not known. Null has none."""

    def contains(self, path: str) -> bool:
        """Whether the part itself contains a path."""
        return path in self.places

    def find_location(self, path: str) -> Location:
        """Return the location of a path, or of the nearest object around it that is in the event."""
        while path and path not in self.places:
            path = path[: found.start()] if (found := _LAST_KEY.search(path)) else ""
        return self.places.get(path, self.location)

    def to_event_path(self, path: str) -> str:
        """Convert a path in the agent to a path from the event's root."""
        if path in self.places:
            return path_of(self.places[path])
        return path_of(self.location) + (f".{path}" if path not in {"", "data", "(root)"} else "")


def read_part(raw: Any, location: Location, source: EventSource, is_output: IsOutput, *, may_remove: bool) -> EventPart:
    """Read a part, and check each of its fields separately: a part need not be a complete agent.

    Args:
        raw: the content; if it is not an object, it has been refused already.
        location: its location in the event.
        source: the event's file, or none.
        is_output: whether a value is an output, so it is not checked.
        may_remove: whether null removes a field, as it does in a room.
    """
    part = EventPart(location)
    if not isinstance(raw, Mapping):
        part.is_refused = raw is not None
        return part
    part.data = _Reader(part, source, may_remove=may_remove).read_object(raw, (), location)
    fields = to_known(part.data, is_output, null=UNKNOWN if may_remove else None)
    for problem in check_fields(fields, AgentSettings):
        if problem.reason != _MISSING:
            place = part.find_location(problem.path)
            part.mistakes.append(source.problem_at(place, problem.reason, part.to_event_path(problem.path)))
    return part


def to_known(value: Any, is_output: IsOutput, null: Any = None) -> Any:
    """Return a value in the form that `check` accepts: secrets and values not known yet become unknowns, and None in an
    object becomes `null`.
    """

    def change(location: Location, item: Any) -> Any:
        if isinstance(item, Reference) or is_output(item):
            return UNKNOWN
        is_in_object = bool(location) and isinstance(location[-1], str)
        return null if item is None and is_in_object else item

    return map_nested(value, change)


class _Reader:
    """Reads references and prompt files."""

    def __init__(self, part: EventPart, source: EventSource, *, may_remove: bool) -> None:
        self._part = part
        self._source = source
        self._may_remove = may_remove

    def read_object(self, raw: Mapping[str, Any], path: Location, place: Location) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, item in raw.items():
            inner = (*place, key)
            if path == ("llm",) and key in PROMPT_FILES and self._source.folder is not None:
                self._read_prompt(key, raw, value, inner)
            else:
                value[key] = self._read_value(item, (*path, key), inner)
        return value

    def _read_value(self, raw: Any, path: Location, place: Location) -> Any:
        self._part.places[path_of(path)] = place
        if isinstance(raw, Mapping):
            if looks_like_reference(raw) or (self._is_text(path) and all(str(key).startswith("$") for key in raw)):
                return self._read_reference(raw, path, place)
            return self.read_object(raw, path, place)
        if isinstance(raw, list):
            return [self._read_value(item, (*path, number), (*place, number)) for number, item in enumerate(raw)]
        return raw

    @staticmethod
    def _is_text(path: Location) -> bool:
        """Whether only a text is valid here; `extra` accepts objects with any keys."""
        return "extra" not in path and takes_text(path) is True

    def _read_reference(self, raw: Mapping[str, Any], path: Location, place: Location) -> Any:
        problem = check_reference(raw) or check_location(path)
        if problem is not None:
            self._add_mistake(place, problem)
            return UNKNOWN
        ((kind, name),) = raw.items()
        return Reference("$env" if kind == "$env" else "$config", name, self._source.describe(place))

    def _read_prompt(self, key: str, raw: Mapping[str, Any], value: dict[str, Any], place: Location) -> None:
        prompt = PROMPT_FILES[key]
        if raw[key] is None and prompt in raw:
            if not self._may_remove:
                self._add_mistake(place, NULL)
            return
        if raw.get(prompt) is not None:
            self._add_mistake(place, f"set {prompt} or {key}, not both")
            return
        self._part.places[path_of(("llm", prompt))] = place
        value[prompt] = raw[key]
        if raw[key] is not None and self._source.folder is not None:
            try:
                value[prompt] = read_prompt(self._source.folder, raw[key])
            except PromptFileError as error:
                self._add_mistake(place, str(error))
                value[prompt] = UNKNOWN

    def _add_mistake(self, place: Location, reason: str) -> None:
        self._part.mistakes.append(self._source.problem_at(place, reason))


def merge(default: Any, changes: Any) -> Any:
    """Merge changes into the default: objects are merged at any depth, None removes a field, any other value replaces.

    Neither argument is changed. Anything except a plain object is one value: a list, a secret reference, a Pulumi
    output. This is a recursion of its own, because it goes through two values at the same time.
    """
    if not isinstance(changes, dict):
        return changes
    result = dict(default) if isinstance(default, dict) else {}
    for key, change in changes.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), change)
    return result
