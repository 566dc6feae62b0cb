"""What can happen next: a step of a process, the service's work, a fault, the next command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.service.errors import InvalidRequest, OutcomeUnknown, RoomNotFound, TaskNotFound
from tests.model import verbs
from tests.model.commands import Command
from tests.model.steps import EngineLives, Receive, Report, Send, Step, engine_lives
from tests.model.world import OWNER, Agent, Engine, Plugin, Raised, Request, World

if TYPE_CHECKING:
    from collections.abc import Callable

Stages = Sequence[Sequence[Command]]
"""For each command of the sequence, its alternatives."""


class Move(NamedTuple):
    """One thing that happened. Its text is built only when it is read."""

    who: str
    what: Any
    option: str = ""

    def __str__(self) -> str:
        what = _words(self.what) if isinstance(self.what, Step) else str(self.what)
        return f"{self.who}: {what}{f' ({self.option})' if self.option else ''}"


Next = tuple[Move, World]


def moves(world: World, stages: Stages) -> Iterable[Next]:
    """Everything that can happen next. If the order of two moves makes no difference, only one order is tried."""
    return _by_itself(world, stages) or [*steps(world, stages), *_by_the_clock(world), *faults(world)]


def _by_itself(world: World, stages: Stages) -> list[Next]:
    """A move that can go first because no other process sees it, and no fault can occur before it any more.

    A plugin does not see what another plugin's engine does, what another plugin has sent before the service processes
    it, or what is reported to the user.
    """
    if world.faults or world.ticks or world.sweeps:
        return []
    if world.engine is not None:
        if found := list(_engine_steps(world, world.engine)):
            return found
    elif world.commands < len(stages) and not world.quiet:
        return [begin_command(world, command) for command in stages[world.commands]] + [_over(world, stages)]
    for plugin in world.plugins:
        if plugin.verb and isinstance(plugin.verb.step, EngineLives | Report | Send | Receive):
            found = list(_plugin_steps(world, plugin))
            if found:
                return found
    return []


def _over(world: World, stages: Stages) -> Next:
    made = world.copy()
    made.commands = len(stages)
    return Move("user", "waits for what still runs"), made


def steps(world: World, stages: Stages) -> Iterator[Next]:
    """Everything that can happen next, except faults."""
    if world.engine is not None:
        yield from _engine_steps(world, world.engine)
    elif world.commands < len(stages):
        for command in stages[world.commands]:
            yield begin_command(world, command)
    for plugin in world.plugins:
        yield from _plugin_steps(world, plugin)
    for request in world.requests:
        if request.answer is None:
            yield _worked(world, request)
    yield from _opened_rooms(world)


def faults(world: World) -> Iterator[Next]:
    """Everything that can go wrong next, if the world has faults left."""
    if world.faults:
        for move, made in _faults(world):
            made.faults = world.faults - 1
            made.late = frozenset()
            yield move, made


def _by_the_clock(world: World) -> Iterator[Next]:
    """The end of an agent passes, or a schedule begins a sweep: at any time, as far as the world has them left."""
    sending = any(plugin.verb and isinstance(plugin.verb.step, Send) for plugin in world.plugins)
    if world.ticks and not sending:  # between the last look at the clock and a request, no time passes
        made = world.copy()
        made.ticks -= 1
        made.over = True
        yield Move("clock", "the end passes"), made
    if world.sweeps:
        move, made = begin_sweep(world)
        made.sweeps -= 1
        yield move, made


def begin_sweep(world: World) -> Next:
    """A schedule begins ``rtcai sweep --over``, which has a process of its own and no engine."""
    made = world.copy()
    made.processes = process = world.processes + 1
    made.sweepers = world.sweepers | {process}
    made.plugins = (*world.plugins, Plugin(process, world.actor(verbs.sweep_over, verbs.Me(process)), False))
    return Move("schedule", "rtcai sweep --over"), made


def begin_command(world: World, command: Command) -> Next:
    """A user starts a command, which has its own plugin process."""
    made = world.copy()
    made.processes = process = world.processes + 1
    made.commands = world.commands + 1
    made.plugins = (*world.plugins, Plugin(process))
    made.engine = Engine(command, world.actor(Command.run, command, world.stack), process, world.stack)
    return Move("user", command), made


def _engine_steps(world: World, engine: Engine) -> Iterator[Next]:
    step = engine.actor.step
    for option in step.options(world, engine.process):
        made = world.copy()
        answer = step.take(made, engine.process, option)
        if made.engine is not None:
            now = made.engine  # the step itself may have changed it
            made.engine = now._replace(actor=engine.actor.answered(answer))
        yield Move(f"engine {engine.process}", step, option), made


def _plugin_steps(world: World, plugin: Plugin) -> Iterator[Next]:
    if plugin.verb is None or plugin.verb.outcome is not None:
        return
    step = plugin.verb.step
    for option in step.options(world, plugin.process):
        made = world.copy()
        verb = plugin.verb.answered(step.take(made, plugin.process, option))
        if plugin.only_looks and step.writes:
            made.wrong = f"a verb that previews call writes: {_words(step)}"
        now = made.plugin(plugin.process) or plugin  # the step itself may have changed it
        made.put(now._replace(verb=verb))
        if verb.outcome is not None and not plugin.engine_lives:
            _without(made, plugin.process)
        yield Move(f"plugin {plugin.process}", step, option), made


def _worked(world: World, request: Request) -> Next:
    """The service processes a request."""
    made = world.copy()
    answer = _created(made, request) if request.kind == "create" else _closed(made, request)
    _answer(made, request, answer)
    return Move("service", f"{request.kind} {request.trace or request.task}: {_said(answer)}"), made


def _created(world: World, request: Request) -> str | Raised:
    first = dict(world.answers).get(request.trace)
    if first and world.replays:
        return first
    rooms = dict(world.rooms)
    if request.cname not in rooms:
        if world.rooms_required:
            return Raised(RoomNotFound)
        _open_room(world, request.cname)
        rooms = dict(world.rooms)
    waits = request.sender is not None and engine_lives(world, request.sender)
    # A request that a killed run has sent cannot be stopped: its plugin closes the agent, or a later run recovers it.
    if (
        world.replays
        and request.alone
        and waits
        and any(agent.cname == request.cname and agent.task not in world.retained for agent in world.running())
    ):
        world.wrong = f"two agents of one resource talk to each other in {request.cname}"
    task = f"{rooms[request.cname]}/{len(world.agents)}"
    world.agents = (*world.agents, Agent(task, request.cname, OWNER, request.digest, request.trace))
    if not first:
        world.answers = (*world.answers, (request.trace, task))
    return task


def _closed(world: World, request: Request) -> str | Raised:
    if not any(agent.task == request.task and agent.lives for agent in world.agents):
        return Raised(TaskNotFound)
    _end(world, lambda agent: agent.task == request.task)
    return "closed"


def _end(world: World, which: Callable[[Agent], bool]) -> None:
    world.agents = tuple(agent._replace(lives=False) if which(agent) else agent for agent in world.agents)


def _answer(world: World, request: Request, answer: Any) -> None:
    answered = () if request.sender is None else (request._replace(answer=answer),)
    world.requests = tuple(other for other in world.requests if other is not request) + answered


def _opened_rooms(world: World) -> Iterator[Next]:
    """Someone opens a room that had ended. This takes a person longer than a request, so no request is in flight."""
    sending = any(plugin.verb and isinstance(plugin.verb.step, Send) for plugin in world.plugins)
    if world.rooms_required and not world.requests and not sending:
        for cname in {agent.cname: None for agent in world.agents}:
            if cname not in dict(world.rooms):
                made = world.copy()
                _open_room(made, cname)
                yield Move("people", f"open {cname}"), made


def _open_room(world: World, cname: str) -> None:
    cid = 1 + max([number for _, number in world.rooms] + [int(agent.task.partition("/")[0]) for agent in world.agents])
    world.rooms = (*world.rooms, (cname, cid))


def _faults(world: World) -> Iterator[Next]:
    yield from _kills(world)
    for request in world.requests:
        if request.answer is None and request.sender is not None:
            for name, answer, stays in (
                ("refused", Raised(InvalidRequest), False),
                ("lost before the work", Raised(OutcomeUnknown), False),
                ("not answered in time, but perhaps worked on later", Raised(OutcomeUnknown), True),
            ):
                made = world.copy()
                _answer(made, request, answer)
                if stays:
                    made.requests = (*made.requests, request._replace(sender=None))
                yield Move("FAULT", f"{request.kind} {request.trace or request.task} {name}"), made
    for cname, cid in world.rooms:
        if any(agent.lives and agent.owner == OWNER and agent.cname == cname for agent in world.agents):
            made = world.copy()
            made.drifted = True
            made.rooms = tuple(room for room in world.rooms if room != (cname, cid))
            _end(made, lambda agent, cname=cname: agent.cname == cname)  # type: ignore[misc]
            yield Move("FAULT", f"{cname} ends"), made


def _kills(world: World) -> Iterator[Next]:
    if world.engine is not None:
        process = world.engine.process
        if not world.engine.interrupted:
            made = world.copy()
            made.engine = world.engine._replace(interrupted=True)
            yield Move("FAULT", f"SIGINT to engine {process}"), made
        made = world.copy()
        _kill_engine(made, process)
        yield Move("FAULT", f"kill -9 engine {process}"), made
        made = made.copy()
        if made.plugin(process):
            _kill_plugin(made, process)
            yield Move("FAULT", f"kill -9 engine {process} and its plugin"), made
    for plugin in world.plugins:
        made = world.copy()
        _kill_plugin(made, plugin.process)
        yield Move("FAULT", f"kill -9 plugin {plugin.process}"), made


def _kill_engine(world: World, process: int) -> None:
    world.engine = None
    plugin = world.plugin(process)
    if plugin is None:
        return
    world.put(plugin._replace(engine_lives=False))
    if plugin.verb is None or plugin.verb.outcome is not None:
        _without(world, process)


def _kill_plugin(world: World, process: int) -> None:
    """The requests that it had sent stay in flight."""
    _without(world, process)
    mine = [request for request in world.requests if request.sender == process]
    sent = tuple(request._replace(sender=None) for request in mine if request.answer is None)
    world.requests = tuple(request for request in world.requests if request.sender != process) + sent


def _without(world: World, process: int) -> None:
    world.plugins = tuple(plugin for plugin in world.plugins if plugin.process != process)


def _said(answer: Any) -> str:
    return answer.error.__name__ if isinstance(answer, Raised) else str(answer)


def _words(step: Step) -> str:
    if type(step).__str__ is not object.__str__:
        return str(step)
    values = [value for value in (getattr(step, field.name) for field in fields(step)) if value not in {"", False}]
    return f"{type(step).__name__}({', '.join(_word(value) for value in values)})"


def _word(value: Any) -> str:
    if isinstance(value, Record):
        return f"{value.trace_id} {value.state}{f' {value.task}' if value.task else ''}"
    return str(value)


def describe(path: Iterable[Move]) -> str:
    """A sequence, as readable steps."""
    return "\n".join(f"{number:3}. {move}" for number, move in enumerate(path, 1))
