"""Event files as YAML with line numbers, and the problems found in them.

Plain texts are read by the core schema of YAML 1.2, as editors do: ``no`` and ``12:30`` are texts. A key is always a
text. Messages never contain a value, even if the YAML is invalid.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from rtcai_pulumi.config.problems import path_of

Location = tuple[str | int, ...]
"""Keys and list positions from the root of a document."""

_MAX_VALUES: Final = 100_000
"""Limit on values: aliases of aliases could make a short text endless."""
_MAX_DEPTH: Final = 100
_TOO_DEEP: Final = "nested too deeply"
_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False}
_NUMBER_BASES: Final = {"0x": 16, "0o": 8}
_QUOTED: Final = re.compile(r"'(?!<)[^']{2,}'")


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """One problem of the text itself."""

    location: Location
    line: int
    reason: str


@dataclass(slots=True)
class Document:
    """The content of a text, with its line numbers."""

    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    """The line of each value's key, or of a list's item; from 1."""
    problems: list[SyntaxProblem] = field(default_factory=list)

    def line_of(self, location: Location) -> int:
        """Return the line of a location; if it is not in the text, the line of the nearest object around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


class _CoreLoader(yaml.SafeLoader):
    """Loads only the types of YAML 1.2's core schema."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  the library's own way; what YAML 1.1 knows must not be inherited


for _name, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", "-+.0123456789"),
    ("float", r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+."),
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), list(_first))


def read(text: str) -> Document:
    """Read a text. The problems of the document list everything wrong that can be found in one pass."""
    document = Document()
    try:
        node = _CoreLoader(text).get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append(SyntaxProblem((), line, "contains a control character, which YAML does not allow"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems.append(SyntaxProblem((), mark.line + 1 if mark else 1, _describe_error(error)))
    except RecursionError:
        document.problems.append(SyntaxProblem((), 1, _TOO_DEEP))
    else:
        _NodeReader(document).read(node)
    return document


class _NodeReader:
    """Converts nodes to data, and records lines and problems."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._values = 0
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node | None) -> None:
        if node is not None:
            self._document.lines[()] = node.start_mark.line + 1
            self._document.data = self._read_value(node, ())

    def _read_value(self, node: yaml.Node, location: Location) -> Any:
        self._values += 1
        if self._values > _MAX_VALUES:
            return None
        excess = self._find_excess(node)
        if excess is not None:
            self._add_problem(location, node, excess)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node, location)
        self._open.append(node)
        value = (
            self._read_mapping(node, location)
            if isinstance(node, yaml.MappingNode)
            else self._read_list(node, location)
        )
        self._open.pop()
        return value

    def _find_excess(self, node: yaml.Node) -> str | None:
        """Return why a value is not read: it is endless, or larger than any real event."""
        if self._values == _MAX_VALUES:
            return f"more than {_MAX_VALUES} values; use fewer aliases"
        if len(self._open) == _MAX_DEPTH:
            return _TOO_DEEP
        return (
            "an alias must not refer to a value that contains it"
            if any(node is outer for outer in self._open)
            else None
        )

    def _read_mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        value: dict[str, Any] = {}
        self._check_tag(node, location, "map")
        for key, item in _select_own_pairs(node):
            if not isinstance(key, yaml.ScalarNode):
                self._add_problem(location, key, "a key must be a string")
                continue
            inner = (*location, key.value)
            if key.value in value:
                first = self._document.lines[inner]
                self._add_problem(inner, key, f"already set in line {first}; remove one of the two")
                continue
            self._document.lines[inner] = key.start_mark.line + 1
            value[key.value] = self._read_value(item, inner)
        for source in self._read_merged(node, location):
            for key, item in source.items():
                if key not in value:
                    value[key] = item
        return value

    def _read_merged(self, node: yaml.MappingNode, location: Location) -> Iterator[dict[str, Any]]:
        """Yield the objects of the merge keys (``<<``), highest precedence first; values of the mapping itself keep
        their lines.
        """
        for key, item in node.value:
            if not _is_merge_key(key):
                continue
            for source in item.value if isinstance(item, yaml.SequenceNode) else [item]:
                if isinstance(source, yaml.MappingNode):
                    known = dict(self._document.lines)
                    merged = self._read_value(source, location)
                    self._document.lines |= known
                    if isinstance(merged, dict):
                        yield merged
                else:
                    self._add_problem(location, key, "a merge key (<<) needs an object or a list of objects")

    def _read_list(self, node: yaml.Node, location: Location) -> list[Any]:
        value = []
        self._check_tag(node, location, "seq")
        for number, item in enumerate(node.value):
            inner = (*location, number)
            self._document.lines[inner] = item.start_mark.line + 1
            value.append(self._read_value(item, inner))
        return value

    def _read_scalar(self, node: yaml.ScalarNode, location: Location) -> Any:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "bool" if text.lower() in _WORDS:
                return _WORDS[text.lower()]
            case "null" if text.lower() in {"", "~", "null"}:
                return None
            case "int" | "float" as kind if (number := _parse_number(text, kind)) is not None:
                return number
        self._add_problem(
            location, node, "has a tag that event files do not support, or a value that does not match its tag"
        )
        return None

    def _check_tag(self, node: yaml.Node, location: Location, kind: str) -> None:
        if node.tag != _TAG + kind:
            self._add_problem(location, node, "has a tag that event files do not support")

    def _add_problem(self, location: Location, node: yaml.Node, reason: str) -> None:
        self._document.problems.append(SyntaxProblem(location, node.start_mark.line + 1, reason))


def _select_own_pairs(node: yaml.MappingNode) -> Iterator[tuple[Any, yaml.Node]]:
    return (pair for pair in node.value if not _is_merge_key(pair[0]))


def _is_merge_key(key: yaml.Node) -> bool:
    """Whether a key merges another object, as in ``<<: *default``; in quotes it is an ordinary key."""
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None


def _parse_number(text: str, kind: str) -> int | float | None:
    try:
        if kind == "int":
            base = _NUMBER_BASES.get(text[:2], 10)
            return int(text if base == 10 else text[2:], base)
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    except ValueError:  # the tag does not fit the value, or it has more digits than Python reads
        return None


def _describe_error(error: yaml.MarkedYAMLError) -> str:
    """Return the message of the YAML library without any part of the text, which may be a secret."""
    problem = error.problem or "cannot be read"
    if isinstance(error, ComposerError):
        if "alias" in problem:
            problem = "an alias without an anchor; a string that begins with * needs quotes"
        elif "occurrence" in problem:
            problem = "an anchor that is already defined; a string that begins with & needs quotes"
        else:
            problem = "a second document; an event file has only one"
    return f"is not valid YAML: {_QUOTED.sub('(…)', problem)}"


@dataclass(frozen=True, slots=True)
class EventProblem:
    """One problem of an event. It never contains a value, which may be a secret."""

    path: str
    """Path from the root of the event, as in ``rooms.keynote.agent.tts.speed``."""
    reason: str
    """What is wrong, with the limits and the nearest valid value."""
    file: str | None = None
    """The event file, as the caller named it; None for an event that is declared in a program."""
    line: int | None = None
    """The line in that file, from 1; None if there is none."""

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}: " if self.line is None else f"{self.file}:{self.line}: "
        return f"{place}{self.path}: {self.reason}"


class InvalidEvent(Exception):
    """An event has problems. All of them are listed in the message, and in `mistakes`; fix them."""

    def __init__(self, what: str, mistakes: Sequence[EventProblem]) -> None:
        self.mistakes = tuple(mistakes)
        count = f"{len(mistakes)} problem{'s' * (len(mistakes) != 1)}"
        super().__init__(f"{what} has {count}:" + "".join(f"\n  {mistake}" for mistake in mistakes))


@dataclass(frozen=True, slots=True)
class EventSource:
    """Where an event is declared: in a file, or in a program."""

    file: str | None = None
    """The file, as the caller named it."""
    folder: Path | None = None
    """The folder that contains the prompt files; None if there can be none."""
    document: Document | None = None

    def problem_at(self, location: Location, reason: str, path: str | None = None) -> EventProblem:
        """Return a problem at a location of the event; `path` names a field inside it that is not in the event."""
        line = self.document.line_of(location) if self.document else None
        return EventProblem(path or path_of(location), reason, self.file, line)

    def describe(self, location: Location) -> str:
        """Return a location as messages name it."""
        line = f"{self.file}:{self.document.line_of(location)}: " if self.document else ""
        return f"{line}{path_of(location)}"
