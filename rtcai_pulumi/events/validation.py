"""Finds all problems of an event, and the inputs for its rooms.

The problems are those that `check` finds. Each is reported once, where its value is: in the default agent, or in the
room that changes it.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rtcai_pulumi.config.block import Block, find_nearest
from rtcai_pulumi.config.conversation import AgentSettings
from rtcai_pulumi.config.end_time import ENDS_AT
from rtcai_pulumi.config.output_text import is_output_text
from rtcai_pulumi.config.problems import NULL, TWO_AGENTS, Problem, check_fields
from rtcai_pulumi.config.validation import check
from rtcai_pulumi.config.values import UNKNOWN
from rtcai_pulumi.events.agent import EventPart, IsOutput, merge, read_part, to_known
from rtcai_pulumi.events.document import EventProblem, EventSource, Location
from rtcai_pulumi.events.model import KEY_RULE, Event, EventRoom, is_key
from rtcai_pulumi.events.secrets import NOT_HERE, looks_like_reference

Join = Callable[[Any, str], Any]

_NOT_AN_OBJECT: Final = "must be an object"
_ROOMS_ARE_KNOWN: Final = (
    "the keys of the rooms must be known while the program runs, because each room is a resource; values inside a room "
    "may be outputs"
)
_NO_OUTPUT: Final = f"must not be an Output: {_ROOMS_ARE_KNOWN}"
_DECIDES_RESOURCES: Final = (
    "must not be an Output: it decides which resources the program declares, so it must be known while the program runs"
)
_IS_MERGED: Final = (
    "must not be an Output, because the blocks of the event and of each room are merged while the program runs; pass "
    'each block as an Output, for example llm=ref.require_output("agent")["llm"]'
)
_SOME_ROOM: Final = "room"
_OF_THE_ROOM: Final = frozenset({"cname", "adopt"})
"""Inputs of a room's conversation that are not fields of its agent."""


@dataclass(frozen=True, slots=True)
class RoomPlan:
    """One room of an event, with all inputs of its agent."""

    key: str
    inputs: dict[str, Any]
    """Flat inputs by their wire names; secrets are references."""
    link: Any = None
    """The link for joining: a text, or an output; None if there is none."""
    part: EventPart = field(default_factory=lambda: EventPart(()))


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of reading an event."""

    name: str | None
    create_rooms: bool
    rooms: tuple[RoomPlan, ...]
    mistakes: tuple[EventProblem, ...]
    """Empty if there are none; otherwise the other fields must not be used."""
    event: dict[str, Any] = field(default_factory=dict)
    """The event as data, with prompt files and references read."""


def is_never_output(_: Any) -> bool:
    """Return False: all values are known."""
    return False


def plan_event(
    data: Any, source: EventSource, is_output: IsOutput = is_never_output, join: Join = operator.add
) -> Plan:
    """Read an event.

    Args:
        data: the event with camelCase names; values may be outputs.
        source: its file, or none.
        is_output: whether a value is an output, so it is not checked.
        join: concatenates two texts, of which the first may not be known yet.
    """
    return _Planner(source, is_output, join).plan(data)


class _Planner:
    def __init__(self, source: EventSource, is_output: IsOutput, join: Join) -> None:
        self._source = source
        self._is_output = is_output
        self._join = join
        self._by_path: dict[str, EventProblem] = {}
        for problem in source.document.problems if source.document else ():
            mistake = source.problem_at(problem.location, problem.reason)
            self._add(EventProblem(mistake.path, mistake.reason, mistake.file, problem.line))

    def plan(self, data: Any) -> Plan:
        if not isinstance(data, Mapping):
            if not self._by_path:
                self._report((), f"{_NOT_AN_OBJECT} with rooms, as in `rooms: {{keynote: {{}}}}`")
            return Plan(None, False, (), self._sort_mistakes())
        self._check_fields(data, Event, (), {"agent", "rooms"})
        for field_name in ("name", "createRooms"):
            if self._is_output(data.get(field_name)):
                self._report((field_name,), _DECIDES_RESOURCES)
        default = self._read_agent(data, (), may_remove=False)
        plans = tuple(self._plan_rooms(data, default))
        self._check_room_names(plans)
        self._check_agents(default, plans)
        name, create_rooms = data.get("name"), data.get("createRooms")
        read = {**data, "agent": default.data, "rooms": self._rooms_as_data(data, plans)}
        return Plan(name if isinstance(name, str) else None, create_rooms is True, plans, self._sort_mistakes(), read)

    def _plan_rooms(self, data: Mapping[str, Any], default: EventPart) -> Iterator[RoomPlan]:
        rooms = data.get("rooms")
        if "rooms" not in data:
            self._report(("rooms",), "required: the rooms of the event by key, as in `keynote: {}`")
        elif not isinstance(rooms, Mapping):
            self._report(("rooms",), _NO_OUTPUT if self._is_output(rooms) else _NOT_AN_OBJECT)
        for key, room in rooms.items() if isinstance(rooms, Mapping) else ():
            location = ("rooms", key)
            if self._is_output(key) or is_output_text(key):
                self._report(("rooms",), f"has a key that is an Output, or was made from one: {_ROOMS_ARE_KNOWN}")
                continue
            if not isinstance(key, str) or not is_key(key):
                self._report(location, KEY_RULE)
            if not isinstance(room, Mapping | None):
                self._report(location, _NO_OUTPUT if self._is_output(room) else _NOT_AN_OBJECT)
                continue
            yield self._plan_room(data, key, room or {}, default)

    def _plan_room(self, data: Mapping[str, Any], key: str, room: Mapping[str, Any], default: EventPart) -> RoomPlan:
        location = ("rooms", key)
        self._check_fields(room, EventRoom, location, {"agent"})
        part = self._read_agent(room, location, may_remove=True)
        agent = merge(default.data, part.data)
        inputs = {name: value for name, value in agent.items() if name in _AGENT_NAMES}
        prefix, link = data.get("roomPrefix"), room.get("link", data.get("link"))
        known_prefix = prefix if isinstance(prefix, str) or self._is_output(prefix) else ""
        inputs["cname"] = room["cname"] if "cname" in room else self._join(known_prefix, str(key))
        if "adopt" in room:
            inputs["adopt"] = room["adopt"]
        ends_at = room.get(ENDS_AT, data.get(ENDS_AT))
        if ends_at is not None:
            inputs[ENDS_AT] = ends_at
        return RoomPlan(str(key), inputs, link if isinstance(link, str) or self._is_output(link) else None, part)

    def _read_agent(self, owner: Mapping[str, Any], location: Location, *, may_remove: bool) -> EventPart:
        raw, location = owner.get("agent"), (*location, "agent")
        if "agent" in owner and not isinstance(raw, Mapping):
            self._report(location, self._refuse_agent(raw))
        part = read_part(raw, location, self._source, self._is_output, may_remove=may_remove)
        for mistake in part.mistakes:
            self._add(mistake)
        return part

    def _refuse_agent(self, raw: Any) -> str:
        if self._is_output(raw):
            return _IS_MERGED
        return NULL if raw is None else _NOT_AN_OBJECT

    def _check_fields(self, data: Mapping[str, Any], model: type[Block], location: Location, later: set[str]) -> None:
        """Check the fields of the event itself, or of a room; fields in `later` are checked separately."""
        names = model.wire_names()
        for name in data:
            if name not in names:
                near = find_nearest(str(name), names)
                hint = f"did you mean {near}?" if near else f"the fields here are {', '.join(names)}"
                self._report((*location, name), f"unknown field; {hint}")
        plain = {name: value for name, value in data.items() if name in names and name not in later}
        if model is EventRoom and plain.get(ENDS_AT) is None:
            plain.pop(ENDS_AT, None)  # null removes the end of the event
        for name, value in plain.items():
            if isinstance(value, Mapping) and looks_like_reference(value):
                self._report((*location, name), NOT_HERE)
        fields = to_known(plain, self._is_output)
        if "rooms" in later:
            fields["rooms"] = {}
        for problem in check_fields(fields, model):
            self._report((*location, problem.path.partition(".")[0]), problem.reason)

    def _check_room_names(self, plans: tuple[RoomPlan, ...]) -> None:
        first: dict[str, str] = {}
        for room in plans:
            cname = room.inputs["cname"]
            if isinstance(cname, str) and first.setdefault(cname, room.key) != room.key:
                other = f"rooms.{first[cname]}"
                reason = f"the same room as {other}. {TWO_AGENTS} Set another cname"
                self._report(("rooms", room.key, "cname"), reason)

    def _check_agents(self, default: EventPart, plans: tuple[RoomPlan, ...]) -> None:
        """Run `check` on the agents of the rooms, after merging."""
        alone = {**_select_known(to_known(default.data, self._is_output)), "cname": _SOME_ROOM}
        by_default = set(check(alone))
        by_room = [(room, check(to_known(room.inputs, self._is_output))) for room in plans]
        # Without a part that was refused, an agent seems to lack what that part may contain.
        is_known = {room.key: not (default.is_refused or room.part.is_refused) for room in plans}
        for room, problems in by_room:
            for problem in problems:
                if not is_known[room.key] and problem.path not in _OF_THE_ROOM:
                    continue
                everywhere = all(problem in others for other, others in by_room if is_known[other.key])
                self._report_agent_problem(
                    problem, room, default, is_default=problem in by_default, everywhere=everywhere
                )

    def _report_agent_problem(
        self, problem: Problem, room: RoomPlan, default: EventPart, *, is_default: bool, everywhere: bool
    ) -> None:
        path = problem.path
        if path == ENDS_AT:
            return  # the field of the event or of the room that has it was checked already
        if path in _OF_THE_ROOM:
            self._report(("rooms", room.key, path), problem.reason)
        elif is_default and not room.part.contains(path) and (default.contains(path) or everywhere):
            self._add(self._source.problem_at(default.find_location(path), problem.reason, default.to_event_path(path)))
        else:
            # If the default agent lacks a value, the rooms may be meant to set it: then the problem belongs to this
            # room.
            self._add(
                self._source.problem_at(room.part.find_location(path), problem.reason, room.part.to_event_path(path))
            )

    def _rooms_as_data(self, data: Mapping[str, Any], plans: tuple[RoomPlan, ...]) -> dict[str, Any]:
        raw = data.get("rooms")
        rooms = raw if isinstance(raw, Mapping) else {}
        return {room.key: {**(rooms.get(room.key) or {}), "agent": room.part.data} for room in plans}

    def _report(self, location: Location, reason: str) -> None:
        self._add(self._source.problem_at(location, reason))

    def _add(self, mistake: EventProblem) -> None:
        self._by_path.setdefault(mistake.path, mistake)

    def _sort_mistakes(self) -> tuple[EventProblem, ...]:
        return tuple(sorted(self._by_path.values(), key=lambda mistake: mistake.line or 0))


_AGENT_NAMES: Final = frozenset({*AgentSettings.wire_names(), "extra"})


def _select_known(agent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in agent.items() if name in _AGENT_NAMES and value is not UNKNOWN}
