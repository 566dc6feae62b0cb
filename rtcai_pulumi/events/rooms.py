"""`EventRooms`, the component that declares the agents of an event, and its README."""

import inspect
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import pulumi
from pulumi import Output, ResourceOptions

from rtcai_pulumi.config.conversation import Conversation
from rtcai_pulumi.config.rules import TOO_DEEP
from rtcai_pulumi.config.values import Location, as_data, drop_nulls, map_nested, walk
from rtcai_pulumi.conversation import RealtimeConversation
from rtcai_pulumi.events.document import EventSource
from rtcai_pulumi.events.loader import DEFAULT_FILE, plan_of
from rtcai_pulumi.events.model import Event, is_address
from rtcai_pulumi.events.secrets import Reference
from rtcai_pulumi.events.validation import Plan, RoomPlan, plan
from rtcai_pulumi.registration import refuse_component
from rtcai_pulumi.room import Room

_MARKUP: Final = re.compile(r"[\\`*_\[\]<>|~#&]")


@dataclass(frozen=True, slots=True)
class Row:
    """One room of the table."""

    key: str
    cname: str
    task: str
    """``cid/taskId``."""
    link: str | None
    """The link for joining; ``{cname}`` is the placeholder for the room's name."""


def stack_readme(title: str, rows: Iterable[Row]) -> str:
    """Return a table of rooms, tasks and links, sorted by the rooms' keys: the order in the event does not matter.

    Args:
        title: the event's name.
        rows: its rooms.
    """
    table = sorted(rows, key=lambda row: row.key)
    linked = any(row.link for row in table)
    head = ["Room", "Name in the service", "Task"] + ["Join"] * linked
    lines = [head, ["---"] * len(head), *(_cells(row, linked=linked) for row in table)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    agents = f"{len(table)} room{'s' * (len(table) != 1)} with an AI agent each." if table else "No rooms."
    return f"# {_text(title)}\n\n{agents}\n" + (f"\n{text}\n" if table else "")


def _cells(row: Row, *, linked: bool) -> list[str]:
    cells = [_text(row.key), _text(row.cname), _text(row.task)]
    if linked:
        address = (row.link or "").replace("{cname}", quote(row.cname, safe=""))
        cells.append(f"[open](<{quote(address, safe=_LINK_SAFE)}>)" if address else "")
    return cells


_LINK_SAFE: Final = ":/?#[]@!&'()*+,;=%~-._{}"


def _text(text: str) -> str:
    """Escape a text for Markdown. ``$`` is escaped too, because Pulumi Cloud replaces ``${…}`` with outputs."""
    escaped = _MARKUP.sub(lambda found: "\\" + found[0], text)
    return escaped.replace("$", "&#36;").replace("\n", " ")


def missing_secrets(values: list[Any]) -> list[str]:
    """Return a sentence for each reference to a missing secret, each location once."""
    references = [value for _, value in walk(values) if isinstance(value, Reference)]
    found = {reference.place: problem for reference in references if (problem := _problem(reference)) is not None}
    return [f"{place}: {problem}" for place, problem in found.items()]


def reveal(value: Any) -> Any:
    """Return a value in which secret outputs replace the references."""

    def read(_: Location, item: Any) -> Any:
        return pulumi.Output.secret(_read(item)) if isinstance(item, Reference) else item

    return map_nested(value, read)


def _read(reference: Reference) -> str | pulumi.Output[str] | None:
    if reference.kind == "$env":
        return os.environ.get(reference.name) or None
    namespace, _, key = reference.name.rpartition(":")
    return pulumi.Config(namespace or None).get_secret(key)


def _problem(reference: Reference) -> str | None:
    if _read(reference) is not None:
        return None
    if reference.kind == "$env":
        return f"the environment variable {reference.name} is not set, or empty; set it where pulumi runs"
    return (
        f"the stack's config has no {reference.name}; set it with `pulumi config set --secret {reference.name}`, "
        "which asks for the value"
    )


DEFAULT_NAME = "event"


class EventRooms(pulumi.ComponentResource):
    """An event: a `RealtimeConversation` in each of its rooms and, if the event asks for it, a `Room` for each.

    Each child is named ``{name}-{key of its room}``, so adding, removing or moving a room in the event does not affect
    the others. Mistakes in the event are reported at preview, with the problems of all conversations of the program; no
    agent is started then. `protect` and `depends_on` apply to the children, too.
    """

    conversations: Mapping[str, RealtimeConversation]
    """The conversation of each room, by the room's key."""
    tasks: Output[Mapping[str, str]]
    """The task of each room, as ``"cid/taskId"``, by the room's key."""
    readme: Output[str]
    """A table of rooms, tasks and links in Markdown; Pulumi Cloud shows it if the stack exports it as ``readme``."""

    def __init__(self, name: str, event: Event | Mapping[str, Any], opts: ResourceOptions | None = None) -> None:
        """Declare the event's agents.

        Args:
            name: the resource's name in the program; the event's own name is ignored.
            event: an `Event`, the result of `load`, or the same as a dict with camelCase names. Values may be outputs;
                if a block is an output, a room's changes replace it as a whole and are not merged.
            opts: Pulumi's options.
        """
        source = EventSource()
        try:
            found = plan(_as_event_data(event), source, _is_late, Output.concat)
        except RecursionError:  # nested deeper than Python can follow, or an object inside itself
            found = Plan(None, False, (), (source.problem((), TOO_DEEP),))
        self._declare(name, found, [f"EventRooms {name!r} has a problem: {one}" for one in found.mistakes], opts)

    @classmethod
    def from_file(
        cls, file: str | Path = DEFAULT_FILE, name: str | None = None, opts: ResourceOptions | None = None
    ) -> Self:
        """Declare the agents of an event file; each mistake in it is reported with its line.

        Args:
            file: the path of the event file.
            name: the resource's name in the program. Default: the event's own name, else ``"event"``.
            opts: Pulumi's options.
        """
        found = plan_of(file)
        event_rooms = cls.__new__(cls)
        event_rooms._declare(name or found.name or DEFAULT_NAME, found, list(map(str, found.mistakes)), opts)
        return event_rooms

    def _declare(self, name: str, found: Plan, problems: list[str], opts: ResourceOptions | None) -> None:
        problems = problems or missing_secrets([room.inputs for room in found.rooms])
        # If the event has mistakes, the component itself cannot be registered: so the run fails, and no room is
        # deleted.
        props = {"event": refuse_component(problems)} if problems else None
        super().__init__("rtcai:index:EventRooms", name, props, opts)
        # Children inherit protect, retain_on_delete and deleted_with from a component, but not depends_on.
        inherited = ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        self.conversations = {
            room.key: _conversation(f"{name}-{room.key}", room, inherited, with_room=found.create_rooms)
            for room in (() if problems else found.rooms)
        }
        if not problems and not found.rooms:
            pulumi.warn(f"event {name}: it has no rooms, so every agent of it is stopped")
        tasks: Any = {key: one.id for key, one in self.conversations.items()}
        self.tasks = Output.from_input(tasks)
        links = Output.from_input({room.key: room.link for room in found.rooms})
        names = Output.from_input({key: one.cname for key, one in self.conversations.items()})
        self.readme = Output.all(self.tasks, names, links).apply(
            lambda known: stack_readme(
                name, [Row(key, known[1][key], task, _link(known[2].get(key))) for key, task in known[0].items()]
            )
        )
        self.register_outputs({"tasks": self.tasks, "readme": self.readme})


def _conversation(name: str, room: RoomPlan, opts: ResourceOptions, *, with_room: bool) -> RealtimeConversation:
    inputs = {_PYTHON_NAMES[key]: value for key, value in reveal(room.inputs).items()}
    if with_room:
        inputs["cname"] = Room._of_event(name, inputs["cname"], opts).cname
    return RealtimeConversation(name, **inputs, opts=opts)


def _link(link: Any) -> str | None:
    """Return a link, whose value may come from an output; None if it is not an address."""
    return link if isinstance(link, str) and is_address(link) else None


_PYTHON_NAMES = {**Conversation.wire_names(), "extra": "extra"}


def _as_event_data(event: Event | Mapping[str, Any]) -> Any:
    """Return an event as data. In a program, None means omitted, except in a room's changes, where it removes a
    field.
    """
    data = as_data(event)
    if not isinstance(data, dict):
        return data
    stated = {key: value for key, value in data.items() if value is not None}
    if isinstance(stated.get("agent"), dict):
        stated["agent"] = drop_nulls(stated["agent"])
    if isinstance(stated.get("rooms"), dict):
        stated["rooms"] = {
            key: {name: value for name, value in room.items() if value is not None} if isinstance(room, dict) else room
            for key, room in stated["rooms"].items()
        }
    return stated


def _is_late(value: Any) -> bool:
    return isinstance(value, Output) or inspect.isawaitable(value)
