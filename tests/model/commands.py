"""The commands of an engine: the order in which it calls the verbs of one resource, and when it writes its state.

This follows engine.md section 3 and the engine's own ``resource/deploy/step_generator.go`` and ``step.go``.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.service.errors import RtcAiError
from tests.model import verbs
from tests.model.steps import AT_ONCE, Step
from tests.model.world import END, Failed, Inputs, Plugin, Raised, Resource, Stack, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.model.world import World

Steps = Generator[Step, Any, Any]


class Command(NamedTuple):
    """A command that a user enters, and the program's inputs at that time (None: the program does not declare it)."""

    name: str
    program: Inputs | None = None
    checkpoints: bool = True
    repeats: int = 0
    """How many times an error hook repeats a failed call."""

    def __str__(self) -> str:
        program = f" with {self.program}" if self.program else " without the resource" if self.name == "up" else ""
        repeats = f" (repeats {self.repeats})" if self.repeats else ""
        return f"{self.name}{program}{'' if self.checkpoints else ' (no checkpoints)'}{repeats}"

    def run(self, stack: Stack) -> Steps:
        with suppress(Failed, RtcAiError):
            yield from COMMANDS[self.name](self.program, stack)
        if (yield End()):
            yield Cancel()


def up(program: Inputs | None, stack: Stack) -> Steps:
    if program is None:
        yield from destroy(None, stack)
        return
    old = stack.current
    if old is None:
        stack = yield from created(stack, program)
    else:
        difference = yield from call(verbs.diff, old, program)
        if difference.replaces or stack.replaced:
            stack = yield from replaced(stack, program, old, stop_first=difference.stop_first)
        elif difference.needs_recovery:
            yield from call(verbs.update, old, program)
            stack = yield Save(stack._replace(current=kept(old, program)), received=True)
        elif old.inputs.retained != program.retained:
            stack = yield Save(stack._replace(current=kept(old, program)), received=True)
    yield from delete_pending(stack)


def kept(old: Resource, program: Inputs) -> Resource:
    """The resource after an update: its outputs have the configuration with which its agent was started."""
    return Resource(old.task, program._replace(config=old.inputs.config, cname=old.inputs.cname))


def up_replace(program: Inputs | None, stack: Stack) -> Steps:
    """``pulumi up --replace URN``: the engine does not call `diff`, and the replacement is never stop-first."""
    assert program
    if stack.current is None:
        stack = yield from created(stack, program)
    else:
        stack = yield from replaced(stack, program, stack.current, stop_first=False)
    yield from delete_pending(stack)


def up_refresh_replace(program: Inputs | None, stack: Stack) -> Steps:
    """``pulumi up --refresh --replace URN``: `diff` compares what was read with its own inputs, in the same process."""
    old = stack.current
    if old and not stack.replaced:
        if (yield from call(verbs.read, old)):
            stack = yield Save(stack._replace(current=None))
        else:
            yield from call(verbs.diff, old, old.inputs)
    yield from up_replace(program, stack)


def created(stack: Stack, program: Inputs) -> Steps:
    task = yield from call(verbs.create, program)
    return (yield Save(stack._replace(current=Resource(task, program), replaced=False), given=True))


def replaced(stack: Stack, program: Inputs, old: Resource, *, stop_first: bool) -> Steps:
    if stop_first and not stack.replaced:
        yield from deleted(old)
        stack = yield Save(stack._replace(replaced=True))
    was_deleted = stack.replaced
    task = yield from call(verbs.create, program)
    pending = stack.pending if was_deleted else (*stack.pending, old)
    stack = yield Save(Stack(Resource(task, program), pending=pending), given=True)
    if was_deleted and not stop_first:
        # The engine counts the resource as deleted and also as still to be deleted. The state no longer has it, but the
        # engine calls the provider.
        yield from deleted(old)
    return stack


def deleted(resource: Resource) -> Steps:
    """A retained resource leaves the state without a call to the provider. The option of the old inputs decides."""
    if not resource.inputs.retained:
        yield from call(verbs.delete, resource)


def delete_pending(stack: Stack) -> Steps:
    for resource in stack.pending:
        yield from deleted(resource)
        stack = yield Save(stack._replace(pending=tuple(other for other in stack.pending if other != resource)))
    return stack


def destroy(_: Inputs | None, stack: Stack) -> Steps:
    stack = yield from delete_pending(stack)
    if stack.current and not stack.replaced:
        yield from deleted(stack.current)
    if stack.current:
        yield Save(Stack())


def refresh(_: Inputs | None, stack: Stack) -> Steps:
    if stack.current and not stack.replaced and (yield from call(verbs.read, stack.current)):
        stack = yield Save(stack._replace(current=None))
    for resource in stack.pending:
        if (yield from call(verbs.read, resource)):
            stack = yield Save(stack._replace(pending=tuple(other for other in stack.pending if other != resource)))


def preview(program: Inputs | None, stack: Stack) -> Steps:
    """Show the result of `diff`; the state does not change."""
    if program and stack.current and not stack.replaced:
        yield from call(verbs.diff, stack.current, program)


def preview_refresh(program: Inputs | None, stack: Stack) -> Steps:
    """``pulumi preview --refresh``: a resource that no longer exists is not compared, but it stays in the state."""
    for resource in stack.pending:
        yield from call(verbs.read, resource)
    if stack.current and not stack.replaced and not (yield from call(verbs.read, stack.current)):
        yield from preview(program, stack)


COMMANDS: dict[str, Callable[[Inputs | None, Stack], Steps]] = {
    "up": up,
    "up --replace": up_replace,
    "up --refresh --replace": up_refresh_replace,
    "refresh": refresh,
    "preview": preview,
    "preview --refresh": preview_refresh,
    "destroy": destroy,
}


def call(verb: Callable[..., Any], *values: Any) -> Steps:
    """Call a verb of the plugin and wait for it. An error hook repeats the call immediately, in the same process."""
    for number in count():
        yield Invoke(verb, values, number)
        answer = yield Returned(number)
        if answer is not AGAIN:
            return answer


def _check_success(world: World, plugin: Plugin) -> None:
    """A repeated call that succeeded must also have closed what the first call took over and did not close."""
    taken_over = {record.task for record in world.records if record.process == plugin.process}
    for agent in world.never_returned():
        if agent.task in taken_over and (plugin.deletes or (plugin.updates and agent.task != plugin.updates)):
            verb = f"delete of {plugin.deletes}" if plugin.deletes else f"update of {plugin.updates}"
            world.wrong = f"the {verb} succeeded, and left {agent.task}, which no engine received"


def _check_that_it_runs(world: World, task: str) -> None:
    """An update that stores a later end must not succeed for an agent that a sweep stops at the same time."""
    swept = [record for record in world.records if record.task == task and record.process in world.sweepers]
    if any(record.state is not RecordState.OPEN for record in swept):
        world.wrong = f"the update of {task} succeeded, and a sweep stops it"


AGAIN: Final = "again"
"""The answer of an error hook to a failed call."""


@dataclass(frozen=True, slots=True)
class Invoke(Step):
    verb: Callable[..., Any]
    values: tuple[Any, ...]
    number: int = 0
    """How many times the call was repeated before."""

    def take(self, world: World, process: int, option: str) -> Raised | None:
        plugin, engine = world.plugin(process), world.engine
        if plugin is None or (engine and engine.interrupted):
            return Raised(Failed)
        verb = world.actor(self.verb, verbs.Me(process, plugin.unrecovered, self.number), *self.values)
        deletes = self.values[0].task if self.verb is verbs.delete else None
        updates = self.values[0].task if self.verb is verbs.update else None
        only_looks = self.verb in (verbs.diff, verbs.read)
        continues = bool(updates) and self.values[0].inputs.ends_at != "" and self.values[1].ends_at != END
        now = plugin._replace(verb=verb, deletes=deletes, updates=updates, only_looks=only_looks, continues=continues)
        world.put(now)
        return None

    def __str__(self) -> str:
        values = ", ".join(getattr(value, "task", None) or str(value) for value in self.values)
        return f"calls {self.verb.__name__}({values}){' once more' if self.number else ''}"


@dataclass(frozen=True, slots=True)
class Returned(Step):
    """The engine receives the plugin's answer, or notices that the plugin has ended."""

    number: int = 0
    """How many times the call was repeated before."""

    def options(self, world: World, process: int) -> tuple[str, ...]:
        plugin = world.plugin(process)
        return AT_ONCE if plugin is None or (plugin.verb and plugin.verb.outcome is not None) else ()

    def take(self, world: World, process: int, option: str) -> Any:
        plugin = world.plugin(process)
        if plugin is None or plugin.verb is None:
            return Raised(Failed)
        outcome, engine = plugin.verb.outcome, world.engine
        assert outcome is not None
        if plugin.updates and not isinstance(outcome, Raised) and plugin.continues:
            _check_that_it_runs(world, plugin.updates)
        world.put(plugin._replace(verb=None))
        if isinstance(outcome, Raised) and engine and self.number < engine.command.repeats:
            return AGAIN
        if self.number and not isinstance(outcome, Raised) and len(world.plugins) == 1 and not world.requests:
            _check_success(world, plugin)
        return outcome if isinstance(outcome, Raised) else outcome[0]


@dataclass(frozen=True, slots=True)
class Save(Step):
    """The engine changes its state. With checkpoints, the state is on disk immediately."""

    stack: Stack
    given: bool = False
    """Whether the current resource has just been created."""
    received: bool = False
    """Whether the plugin has just received the current resource and its new inputs."""

    def take(self, world: World, process: int, option: str) -> Stack:
        assert world.engine
        world.engine = world.engine._replace(memory=self.stack)
        if self.given and self.stack.current and self.stack.current.inputs.retained:
            world.engine = world.engine._replace(given=world.engine.given | {self.stack.current.task})
        if self.received and self.stack.current:
            task = {self.stack.current.task}
            world.sure = world.sure | task if self.stack.current.inputs.retained else world.sure - task
        if world.engine.command.checkpoints:
            world.stack = self.stack
        return self.stack


@dataclass(frozen=True, slots=True)
class End(Step):
    """The command ends and the state is on disk. Returns whether the plugin still has work to do at the end."""

    def take(self, world: World, process: int, option: str) -> bool:
        assert world.engine
        world.stack = world.engine.memory
        if world.engine.given and world.plugin(process):
            return True
        _go(world, process)
        return False


@dataclass(frozen=True, slots=True)
class Cancel(Step):
    """The engine reports to its plugin that the run has ended, and exits.

    The engine also does so at a first Ctrl-C. The model leaves this out: the engine may still be killed before it has
    stored what the plugin then records as stored.
    """

    def take(self, world: World, process: int, option: str) -> None:
        assert world.engine
        if world.plugin(process):
            world.sure |= world.engine.given
            self.stored(world, process)
        _go(world, process)

    def stored(self, world: World, process: int) -> None:
        stored(world, process)


def _go(world: World, process: int) -> None:
    world.engine = None
    world.plugins = tuple(plugin for plugin in world.plugins if plugin.process != process)
