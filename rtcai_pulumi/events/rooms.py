"""`EventRooms`, the component that declares the agents of an event, and its secrets."""

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pulumi
from pulumi import Output, ResourceOptions

from rtcai_pulumi.config.conversation import Conversation
from rtcai_pulumi.config.end_time import ENDS_AT
from rtcai_pulumi.config.rules import TOO_DEEP
from rtcai_pulumi.config.values import Location, as_data, drop_nulls, map_nested, walk
from rtcai_pulumi.conversation import RealtimeConversation
from rtcai_pulumi.events.document import EventSource
from rtcai_pulumi.events.loader import DEFAULT_FILE, plan_file
from rtcai_pulumi.events.model import DEFAULT_NAME, NO_ROOMS, Event, is_address
from rtcai_pulumi.events.readme import ReadmeRow, render_readme
from rtcai_pulumi.events.secrets import Reference
from rtcai_pulumi.events.validation import Plan, RoomPlan, plan_event
from rtcai_pulumi.options import note_component
from rtcai_pulumi.outputs import join_outputs
from rtcai_pulumi.registration import normalize_end_input, refuse_component
from rtcai_pulumi.room import Room


class EventRooms(pulumi.ComponentResource):
    """An event: a `RealtimeConversation` in each of its rooms and, if the event asks for it, a `Room` for each.

    Each child is named ``{name}-{key of its room}``, so adding, removing or moving a room in the event does not affect
    the others. Problems of the event are reported at preview, with the problems of all conversations of the program; no
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
            plan = plan_event(_to_data(event), source, _is_output, Output.concat)
        except RecursionError:  # nested deeper than Python can follow, or an object inside itself
            plan = Plan(None, False, (), (source.problem_at((), TOO_DEEP),))
        problems = [f"EventRooms {name!r} has a problem: {mistake}" for mistake in plan.mistakes]
        self._declare(name, plan, problems, opts)

    @classmethod
    def from_file(
        cls, file: str | Path = DEFAULT_FILE, name: str | None = None, opts: ResourceOptions | None = None
    ) -> Self:
        """Declare the agents of an event file; each problem in it is reported with its line.

        Args:
            file: the path of the event file.
            name: the resource's name in the program. Default: the event's own name, else ``"event"``.
            opts: Pulumi's options.
        """
        plan = plan_file(file)
        event_rooms = cls.__new__(cls)
        event_rooms._declare(name or plan.name or DEFAULT_NAME, plan, list(map(str, plan.mistakes)), opts)
        return event_rooms

    def _declare(self, name: str, plan: Plan, problems: list[str], opts: ResourceOptions | None) -> None:
        problems = problems or find_missing_secrets([room.inputs for room in plan.rooms])
        # If the event has problems, the component itself cannot be registered: so the run fails, and no room is
        # deleted.
        props = {"event": refuse_component(problems)} if problems else None
        super().__init__("rtcai:index:EventRooms", name, props, opts)
        note_component(self, opts)
        # Children inherit protect, retain_on_delete and deleted_with from a component, but not depends_on.
        inherited = ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        self.conversations = {
            room.key: _declare_conversation(f"{name}-{room.key}", room, inherited, with_room=plan.create_rooms)
            for room in (() if problems else plan.rooms)
        }
        if not problems and not plan.rooms:
            pulumi.warn(f"event {name} {NO_ROOMS}")
        tasks: Any = {key: conversation.id for key, conversation in self.conversations.items()}
        self.tasks = join_outputs(tasks)
        links = {room.key: Output.from_input(room.link) if _is_output(room.link) else room.link for room in plan.rooms}
        rows = [
            [key, conversation.cname, conversation.id, links[key], conversation.ends_at]
            for key, conversation in self.conversations.items()
        ]
        self.readme = join_outputs(rows).apply(
            lambda known: render_readme(
                name, [ReadmeRow(key, cname, task, _link(link), end) for key, cname, task, link, end in known]
            )
        )
        self.register_outputs({"tasks": self.tasks, "readme": self.readme})


def _declare_conversation(name: str, room: RoomPlan, opts: ResourceOptions, *, with_room: bool) -> RealtimeConversation:
    inputs = {_PYTHON_NAMES[key]: value for key, value in reveal(room.inputs).items()}
    if with_room:
        inputs["cname"] = Room._of_event(name, inputs["cname"], inputs.get("ends_at"), opts).cname
    return RealtimeConversation(name, **inputs, opts=opts)


def _link(link: Any) -> str | None:
    """Return a link, whose value may come from an output; None if it is not an address."""
    return link if isinstance(link, str) and is_address(link) else None


_PYTHON_NAMES = {**Conversation.wire_names(), "extra": "extra"}


def _to_data(event: Event | Mapping[str, Any]) -> Any:
    """Return an event as data. In a program, None means omitted. In a room, it removes the event's end instead; in a
    room's changes, it removes a field.
    """
    data = as_data(event)
    if not isinstance(data, dict):
        return data
    fields = _with_end({key: value for key, value in data.items() if value is not None})
    if isinstance(fields.get("agent"), dict):
        fields["agent"] = drop_nulls(fields["agent"])
    if isinstance(fields.get("rooms"), dict):
        fields["rooms"] = {
            key: _with_end({name: value for name, value in room.items() if value is not None or name == ENDS_AT})
            if isinstance(room, dict)
            else room
            for key, room in fields["rooms"].items()
        }
    return fields


def _with_end(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event or of a room with the end as a text; a program may pass a ``datetime``."""
    return {**fields, ENDS_AT: normalize_end_input(fields[ENDS_AT])} if ENDS_AT in fields else fields


def _is_output(value: Any) -> bool:
    return isinstance(value, Output) or inspect.isawaitable(value)


def find_missing_secrets(values: list[Any]) -> list[str]:
    """Return a sentence for each reference to a missing secret, each location once."""
    references = [value for _, value in walk(values) if isinstance(value, Reference)]
    missing = {reference.place: problem for reference in references if (problem := _describe_missing(reference))}
    return [f"{place}: {problem}" for place, problem in missing.items()]


def reveal(value: Any) -> Any:
    """Return a value in which secret outputs replace the references."""

    def read(_: Location, item: Any) -> Any:
        return pulumi.Output.secret(_read_secret(item)) if isinstance(item, Reference) else item

    return map_nested(value, read)


def _read_secret(reference: Reference) -> str | pulumi.Output[str] | None:
    if reference.kind == "$env":
        return os.environ.get(reference.name) or None
    namespace, _, key = reference.name.rpartition(":")
    return pulumi.Config(namespace or None).get_secret(key)


def _describe_missing(reference: Reference) -> str | None:
    if _read_secret(reference) is not None:
        return None
    if reference.kind == "$env":
        return (
            f"the environment variable {reference.name} is not set or is empty; set it for the process that runs pulumi"
        )
    return (
        f"the stack's config has no {reference.name}; set it with `pulumi config set --secret {reference.name}`, "
        "which asks for the value"
    )
