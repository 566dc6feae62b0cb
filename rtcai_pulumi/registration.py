"""Checks all resources of a program while it registers them.

The engine calls `check` for one resource after the other and stops at the first failure, so problems in several rooms
would be reported one by one. The engine does not know rooms either, so it would not notice two agents in one room.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime.resource import all_aliases

from rtcai_pulumi.config.end_time import ENDS_AT, normalize_end_time
from rtcai_pulumi.config.output_text import REASON, is_output_text
from rtcai_pulumi.config.problems import TWO_AGENTS, Problem, path_of
from rtcai_pulumi.config.rules import TOO_DEEP, find_unsendable
from rtcai_pulumi.config.values import UNKNOWN, Location, as_data, is_not_null, map_nested
from rtcai_pulumi.options import ResolvedOptions, foreign_transforms, watch_transforms
from rtcai_pulumi.outputs import output_of
from rtcai_pulumi.sdk_wait import RunIdentity, continue_output
from rtcai_pulumi.stack.owner import NO_ORGANIZATION, program_owner
from rtcai_pulumi.stack.project import project_in


class InvalidProgram(pulumi.RunError):
    """Conversations or rooms of the program have problems; each was reported as an error of its own before this one."""


@dataclass(slots=True)
class _Run:
    """The shared data of the conversations of one run."""

    identity: RunIdentity = field(default_factory=RunIdentity.read)
    rooms: dict[str, tuple[object, str]] = field(default_factory=dict)
    """The first conversation of each room: a token that identifies it, and its label."""
    conversations: list[tuple[list[str], object]] = field(default_factory=list)
    """The names and the room of every conversation, as the program gives them."""
    unreported: list[str] = field(default_factory=list)
    """The problems of plain values, one sentence each, until they are reported."""
    problems: int = 0
    complete_urn: Callable[[str], str] | None = None
    """Makes an owner from a URN; kept, because making it reads the project file."""
    watch: asyncio.Future[None] | None = None
    """The latest registration of the transform that reads the options, once it has begun."""
    watched: frozenset[str] = frozenset()
    """The program's own transforms at that moment; ours runs after them."""

    async def watch_transforms(self, *, wanted: bool) -> None:
        """Have options read that a parent or a transform may change.

        Args:
            wanted: whether they are read even if the program has not registered any transform yet.
        """
        foreign = foreign_transforms()
        if foreign != self.watched or (wanted and self.watch is None):
            self.watched, self.watch = foreign, asyncio.ensure_future(watch_transforms())
        if self.watch is not None:
            await asyncio.shield(self.watch)

    def add_problems(self, problems: Iterable[str]) -> None:
        """Keep problems for the report; from now on nothing is registered."""
        known = len(self.unreported)
        self.unreported += problems
        self.problems += len(self.unreported) - known


# The latest run of each event loop: the Automation API and unit tests run many programs in one process.
_runs: WeakKeyDictionary[asyncio.AbstractEventLoop, _Run] = WeakKeyDictionary()


def delay_registration(
    owner: Callable[[], Awaitable[str | None]],
    name: str,
    inputs: Mapping[str, Any],
    opts: pulumi.ResourceOptions | None,
    options: ResolvedOptions,
    *,
    type_: str,
    check: Callable[[Mapping[str, Any]], list[Problem]],
) -> pulumi.Output[str | None]:
    """Check a conversation or a room before it is registered, and delay its registration.

    All problems are known only when the program has declared everything that it declares before its first wait. If
    there is a problem, nothing further is registered.

    Args:
        owner: returns the input that each of them has, and that is delayed.
        name: the resource's name.
        inputs: flat inputs with the names in the request; some may be outputs.
        opts: the resource's options as the program gives them.
        options: the same options, after reading them.
        type_: the name of its class.
        check: returns the problems of the inputs, the same as its provider's `check`.

    Returns:
        The owner, as soon as the registration may continue.
    """
    run = _this_run()
    problems = [*options.problems, *_check_name(name), *check(_replace_outputs(inputs))]
    label = type_ if is_output_text(name) else f"{type_} {_label(name, opts)}"
    run.add_problems(f"{label} has a problem: {problem}" for problem in problems)

    async def delayed_owner() -> str | None:
        _report_problems(run)
        await run.watch_transforms(wanted=options.may_change)
        for field_name in ("cname", "requestId", ENDS_AT):
            if isinstance(inputs.get(field_name), pulumi.Output) and await inputs[field_name].is_secret():
                raise InvalidProgram(_MUST_BE_PUBLIC.format(label=label, name=field_name))
        return await owner()

    # One output and not several that depend on each other: each costs time for each resource.
    return output_of(delayed_owner())


def _check_name(name: str) -> list[Problem]:
    """The problem of a resource's name, if it has one."""
    if is_output_text(name):
        return [Problem("name", REASON)]
    return [] if name.isprintable() else [Problem("name", "contains an invisible character; remove it")]


def require_text_and_options(kind: str, name: Any, opts: Any) -> None:
    """Reject wrong types immediately, because Pulumi's SDK would report them as a bug of its own.

    Raises:
        TypeError: the name is not a string, or `opts` is not `ResourceOptions`.
    """
    if not isinstance(name, str):
        message = f"{kind}() expects a string as its name, not {type(name).__name__}"
        raise TypeError(message)
    if not isinstance(opts, pulumi.ResourceOptions | None):
        message = f"{kind}() expects pulumi.ResourceOptions as opts, not {type(opts).__name__}"
        raise TypeError(message)


def as_inputs(value: Any, label: str, location: Location = ()) -> Any:
    """A value in the engine's form: blocks as objects with the names in the request, enums as their values, no None.

    If an output has a value that the engine cannot carry, the run fails with our message once the value is known;
    otherwise the SDK would show a traceback.

    Args:
        value: the value in the program.
        label: the name of the resource in messages.
        location: its location in the resource's inputs.
    """

    def watch(place: Location, item: Any) -> Any:
        if isinstance(item, pulumi.Output):
            return item.apply(lambda known: _require_sendable(known, label, place))
        return item

    return map_nested(as_data(value), watch, location, keeps=is_not_null)


def normalize_end_input(value: Any) -> Any:
    """The end of an agent or a room in the engine's form: a text in UTC. What is not a time is left for `check`."""
    if isinstance(value, pulumi.Output) or inspect.isawaitable(value):
        return pulumi.Output.from_input(value).apply(normalize_end_time)
    return normalize_end_time(value)


def _require_sendable(known: Any, label: str, location: Location) -> Any:
    try:
        inputs = as_inputs(known, label, location)
        problem = next(find_unsendable(_replace_outputs(inputs), location), None)
    except RecursionError:
        problem = Problem(path_of(location), TOO_DEEP)
    if problem is not None:
        message = f"{label} has a problem: {problem}"
        raise InvalidProgram(message)
    return inputs


def refuse_component(problems: Iterable[str]) -> pulumi.Output[None]:
    """Report the problems of a component that declares resources itself, and so cannot declare them.

    Args:
        problems: one sentence each, at least one.

    Returns:
        An output that never has a value: as an input of a resource it fails the run, with the problems of all others.
    """
    run = _this_run()
    run.add_problems(problems)

    async def never() -> None:
        _report_problems(run)

    return pulumi.Output.from_input(never())


def possible_roommates(name: str, cname: Any) -> pulumi.Output[list[str]]:
    """The names of the other conversations of the program that are, or may be, in the same room.

    With this, a create can distinguish an agent of a declared resource from one that no program declares any more:
    the engine may create one resource before it calls `diff` for the other.
    """
    run = _this_run()

    async def names() -> list[str]:
        # Everything is declared now. A room that is an output may be any room; to wait for it could be a deadlock.
        others = (names for names, room in run.conversations if names[0] != name and _may_be_same(room, cname))
        return sorted({other for names in others for other in names})

    return pulumi.Output.from_input(names())


def add_conversation(name: str, cname: Any, opts: pulumi.ResourceOptions | None) -> Any:
    """Add a conversation to those of the program, among which `possible_roommates` looks.

    As soon as the room's name is known, a warning says if another conversation of the program is in the same room.

    Returns:
        The name of the room, as an input of the conversation.
    """
    run, token = _this_run(), object()
    if isinstance(cname, str | pulumi.Output):  # a wrong type is reported by check
        run.conversations.append((_names_of(name, opts), cname))

    def warn(room: Any) -> Any:
        _warn_of_shared_room(run, room, token, _label(name, opts))
        return room

    return continue_output(cname, warn) if isinstance(cname, pulumi.Output) else warn(cname)


def _may_be_same(room: object, other: object) -> bool:
    return room == other if isinstance(room, str) and isinstance(other, str) else True


def _names_of(name: str, opts: pulumi.ResourceOptions | None) -> list[str]:
    """The name of a conversation, then its former names: the journal may still have its agent under one of them."""
    names = [name]
    for alias in (opts.aliases if opts else None) or ():
        former = alias.name if isinstance(alias, pulumi.Alias) else alias
        if isinstance(former, str):
            names.append(former.split("::", 3)[-1])  # an alias may be a URN
    return names


def _label(name: str, opts: pulumi.ResourceOptions | None) -> str:
    return repr(name) if opts is None or opts.parent is None else f"{name!r} in {opts.parent.pulumi_resource_name!r}"


_MUST_BE_PUBLIC: Final = (
    "{label} has a problem: {name}: must not be a secret, because messages, the journal and the service's own logs "
    "contain it; if it is not a secret, pass pulumi.Output.unsecret(…)"
)


def owner_of(type_: str, name: str, opts: pulumi.ResourceOptions | None) -> Callable[[], Awaitable[str | None]]:
    """Return a function that returns the owner of a task.

    That is the resource's URN with its parents, the organization, and the project file's backend. The engine passes
    none of them to a dynamic provider, so the resource must. The plugin process knows the rest.
    """
    complete_urn = _owners_of_this_program()
    parent = opts.parent if opts else None
    # What `pulumi.create_urn` makes, which takes five outputs for each resource.
    stack = f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::"

    async def value() -> str | None:
        # A plain value: with an output of its parent, a child would depend on all children of its parent, also itself.
        above = stack
        if parent is not None:
            urn = await parent.urn.future()
            if not urn:
                return None
            above = f"{urn.rpartition('::')[0]}$"
        return complete_urn(f"{above}{type_}::{name}")

    return value


def former_owners_of(type_: str, name: str, opts: pulumi.ResourceOptions | None) -> pulumi.Output[list[str]] | None:
    """The owners from the former names of a resource, by its aliases and its parents' aliases; None if it has none."""
    aliases = all_aliases(opts.aliases if opts else None, name, type_, opts.parent if opts else None)
    if not aliases:
        return None
    complete_urn = _owners_of_this_program()

    async def values() -> list[str]:
        # Plain values, for the same reason as the owner itself.
        known = [await pulumi.Output.from_input(alias).future() for alias in aliases]
        return [complete_urn(urn) for urn in known if urn]

    return pulumi.Output.from_input(values())


def _owners_of_this_program() -> Callable[[str], str]:
    """Return a function that makes an owner from a URN, as far as the program knows it."""
    run = _this_run()
    if run.complete_urn is None:
        run.complete_urn = _read_owners()
    return run.complete_urn


def _read_owners() -> Callable[[str], str]:
    organization: str = pulumi.get_organization() or NO_ORGANIZATION
    root: str | None = pulumi.get_root_directory()  # None in an inline program, or with an older language host
    folder = Path(root or "")
    backend = project_in(folder).backend if root else None
    return lambda urn: program_owner(urn, organization, backend, folder)


def _this_run() -> _Run:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _Run()
    run = _runs.get(loop)
    if run is None or not run.identity.is_current():
        run = _runs[loop] = _Run()
    return run


def _replace_outputs(value: Any) -> Any:
    """A value with its outputs as unknowns: no code may wait for an output before everything is declared."""

    def replace(_: Location, item: Any) -> Any:
        return UNKNOWN if isinstance(item, pulumi.Output) or inspect.isawaitable(item) else item

    return map_nested(value, replace)


def _report_problems(run: _Run) -> None:
    for problem in run.unreported:
        pulumi.log.error(problem)
    run.unreported.clear()
    if run.problems:
        count = f"{run.problems} problem{'s' * (run.problems > 1)}"
        where = "in the conversations and rooms of this program"
        message = f"{count} {where} (see the errors above). No further conversation or room is registered."
        raise InvalidProgram(message)


def _warn_of_shared_room(run: _Run, room: object, token: object, label: str) -> None:
    if not isinstance(room, str):
        return  # a wrong type is reported by check
    first, first_label = run.rooms.setdefault(room, (token, label))
    if first is not token:
        pulumi.log.warn(
            f"conversations {first_label} and {label} share the room {room!r}. {TWO_AGENTS} Give each its own room, or "
            "remove one."
        )
