"""What must hold whenever nothing is running any more."""

from __future__ import annotations

from typing import Final

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from tests.model.commands import Command, Invoke
from tests.model.moves import Move, begin_command, begin_sweep, describe, moves
from tests.model.steps import Send
from tests.model.world import END, LATER, OTHER, OTHERS_TASK, OWNER, ROOM_2, Inputs, World

PROGRAMS: Final = (Inputs("A"), Inputs("B"))
RETAINED: Final = Inputs("A", retained=True)
ENDING: Final = Inputs("A", ends_at=END)
ENDING_LATER: Final = Inputs("A", ends_at=LATER)
START_FIRST: Final = Inputs("C", start_first=True)
ELSEWHERE: Final = Inputs("C", ROOM_2)


class Broken(Exception):
    """A promise is broken. The message says which one, and how."""

    def __init__(self, promise: str, path: list[Move]) -> None:
        super().__init__(promise, path)
        self.promise = promise
        self.path = path

    def __str__(self) -> str:
        return f"{self.promise}\n{describe(self.path)}"


def hold(world: World) -> None:
    """Check a quiet world, then the result of undisturbed commands in it.

    Raises:
        Broken: a promise does not hold; its path begins in this world.
    """
    _no_agent_is_forgotten(world, [])
    _the_other_is_left_alone(world, [])
    path: list[Move] = []
    if world.drifted:
        world = undisturbed(world, Command("refresh"), path)
    elif world.stack.current and not world.stack.replaced and not world.stack.current.inputs.retained:
        _destroy_ends_agents_never_returned(world)
    for program in PROGRAMS:
        _up_mends(world, program, list(path))
    current = world.stack.current
    if any(record.ends_at for record in world.records) or (current and current.inputs.ends_at):
        for sweeps_first in (True, False):
            _what_is_over_stays_over(world, list(path), sweeps_first=sweeps_first)
        _a_later_end_is_kept(world, list(path))
    if any(record.kept is KeepReason.RETAINED for record in world.records):
        _what_is_retained_stays(world, path)


def _what_is_retained_stays(world: World, path: list[Move]) -> None:
    """A retained resource is declared, leaves the program and is declared again: its agent keeps running."""
    world = undisturbed(world, Command("up", RETAINED), path)
    _one_agent(world, RETAINED, path)
    (task,) = world.stack.tasks
    world = undisturbed(world, Command("up"), path)
    world = undisturbed(world, Command("up", PROGRAMS[0]), path)
    if task not in [agent.task for agent in world.running()]:
        raise Broken(f"{task} is retained, and does not run any more", path)


def _what_is_over_stays_over(world: World, path: list[Move], *, sweeps_first: bool) -> None:
    """The end passes: after a sweep nothing runs, no command starts anything, and the state keeps what is over."""
    world = world.copy()
    world.over = True
    if sweeps_first:
        world = swept(world, path)
    before = world.stack
    world = undisturbed(world, Command("up", ENDING), path)
    world = swept(world, path)
    over = {record.task for record in world.records if record.is_unfinished and record.ends_at == END}
    for agent in world.running():
        if agent.task in over | world.stack.tasks or agent in world.never_returned():
            raise Broken(f"agent {agent.task} is over, and still runs after a sweep", path)
    held = world.stack
    if (
        before.current
        and not before.replaced
        and (held.replaced or not held.current or held.current.task != before.current.task)
    ):
        raise Broken("an `up` of what is over replaced it", path)
    if held.current is None or held.replaced:
        return  # there was nothing to keep: `up` has refused to start it
    again: list[Move] = []
    world = undisturbed(world, Command("up", ENDING), again)
    world = undisturbed(world, Command("up", ENDING._replace(config="B")), again)
    path += again
    updates = [move for move in again if isinstance(move.what, Invoke) and move.what.verb.__name__ == "update"]
    if updates or any(move.who == "service" for move in again):
        raise Broken("an `up` of what is over changed something", path)
    world = undisturbed(world, Command("refresh"), path)
    if world.stack.current != held.current:
        raise Broken("what is over left the state, so the next `up` would start it", path)
    _none_is_left(undisturbed(world, Command("destroy"), path), path)


def _a_later_end_is_kept(world: World, path: list[Move]) -> None:
    """The end is moved into the future after it has passed: one agent runs, and no sweep stops it."""
    world = world.copy()
    world.over = True
    world = undisturbed(world, Command("up", ENDING_LATER), path)
    _one_agent(world, ENDING_LATER, path)
    world = swept(world, path)
    if not world.running():
        raise Broken("a sweep stopped an agent that is not over", path)
    _one_agent(world, ENDING_LATER, path)


def swept(world: World, path: list[Move]) -> World:
    """Run ``rtcai sweep --over`` while nothing else happens."""
    world = world.copy()
    world.faults = world.commands = world.ticks = world.sweeps = 0
    move, world = begin_sweep(world)
    path.append(move)
    while found := list(moves(world, ())):
        ((move, world),) = found
        path.append(move)
        if world.wrong:
            raise Broken(world.wrong, path)
    return world


def _up_mends(world: World, program: Inputs, path: list[Move]) -> None:
    lost = _lost(world, program)
    world = undisturbed(world, Command("up", program), path)
    _one_agent(world, program, path)
    if lost and lost not in world.stack.tasks:
        raise Broken(f"agent {lost} is what `up` asks for, and was not found again", path)
    again: list[Move] = []
    world = undisturbed(world, Command("up", program), again)
    path += again
    if any(move.who == "service" for move in again):
        raise Broken("an `up` without a change closed or created something", path)
    if any(isinstance(move.what, Invoke) and move.what.verb.__name__ == "update" for move in again):
        raise Broken("an `up` without a change updated something", path)
    world = undisturbed(world, Command("up", START_FIRST), path, never_silent=True)
    if program == PROGRAMS[0]:
        for replacement in (START_FIRST, ELSEWHERE):
            world = undisturbed(world, Command("up --replace", replacement), path, never_silent=True)
            _one_agent(world, replacement, path)
    world = undisturbed(world, Command("destroy"), path)
    _none_is_left(world, path)


def _lost(world: World, program: Inputs) -> str | None:
    """The only agent, if it has the configuration that the program declares and its answer never arrived."""
    left = [record for record in world.records if record.owner == OWNER and record.is_unfinished]
    if world.stack.tasks or len(left) != 1 or left[0].state is not RecordState.ASKED or not world.replays:
        return None
    agents = [agent for agent in world.running() if agent.trace == left[0].trace_id]
    return agents[0].task if agents and agents[0].digest == program.digest else None


def undisturbed(world: World, command: Command, path: list[Move], *, never_silent: bool = False) -> World:
    """Run one command while nothing else happens."""
    world = world.copy()
    world.faults = world.commands = world.ticks = world.sweeps = 0
    while world.rooms_required and (opened := list(moves(world, ()))):
        move, world = opened[0]
        path.append(move)
    closed = {record.task for record in world.records if record.state is RecordState.CLOSED}
    move, world = begin_command(world, command)
    path.append(move)
    while found := list(moves(world, ())):
        ((move, world),) = found
        path.append(move)
        if world.wrong:
            raise Broken(world.wrong, path)
        if never_silent and not world.running():
            raise Broken("a replacement that starts first left the room without an agent", path)
        plugin = world.plugin(world.processes)
        if isinstance(move.what, Send) and plugin and plugin.deletes == move.what.task and plugin.deletes in closed:
            raise Broken(f"{plugin.deletes} was asked to close, and the journal knew it as closed", path)
    return world


def _destroy_ends_agents_never_returned(world: World) -> None:
    """Agents that were returned to an engine but are in no state are left to `rtcai sweep`. No others may remain."""
    path: list[Move] = []
    world = undisturbed(world, Command("destroy"), path)
    for agent in world.never_returned():
        raise Broken(f"agent {agent.task} was never returned to an engine, and `destroy` left it", path)


def _no_agent_is_forgotten(world: World, path: list[Move]) -> None:
    """Each agent is in the state, in the journal for `rtcai sweep`, or, if neither can know it, was reported."""
    known = world.stack.tasks
    for agent in world.running():
        if agent.task in world.late and agent.task not in known:
            raise Broken(f"agent {agent.task} was answered when its engine was gone, and its plugin left it", path)
        if agent.task in known or any(_knows(world, record, agent.task) for record in world.records):
            continue
        if not world.excused(agent):
            raise Broken(f"agent {agent.task} runs, and neither the state nor the journal knows of it", path)


def _knows(world: World, record: Record, task: str) -> bool:
    """Whether an unfinished record leads to a task."""
    if record.state is RecordState.ASKED:
        return (record.trace_id, task) in world.answers
    return record.is_unfinished and record.task == task


def _one_agent(world: World, program: Inputs, path: list[Move]) -> None:
    current, pending = world.stack.current, world.stack.pending
    mine = [agent for agent in world.running() if current and agent.task == current.task]
    if current is None or world.stack.replaced or pending or not mine:
        raise Broken("after an undisturbed `up` the state holds no agent that runs, or more than one", path)
    if mine[0].digest != program.digest:
        raise Broken("after an undisturbed `up` another configuration runs", path)
    _only(world, mine[0].task, path)


def _none_is_left(world: World, path: list[Move]) -> None:
    if world.stack.tasks:
        raise Broken("after `destroy` the state still holds something", path)
    _only(world, None, path)


def _only(world: World, task: str | None, path: list[Move]) -> None:
    """No other agent than this one runs."""
    for agent in world.running():
        if agent.task != task and agent.task not in world.sure and not world.excused(agent):
            raise Broken(f"agent {agent.task} still runs", path)
    _the_other_is_left_alone(world, path)


def _the_other_is_left_alone(world: World, path: list[Move]) -> None:
    records = [record for record in world.records if record.owner == OTHER]
    begin = [record for record in World().records if record.owner == OTHER]
    room_lives = any(number == 1 for _, number in world.rooms)
    lives = any(agent.task == OTHERS_TASK and agent.lives for agent in world.agents)
    kept = any(resource == OTHERS_TASK for resource in world.stack.tasks)
    if records != begin or (room_lives and not lives) or kept:
        raise Broken("the agent of another resource was touched", path)
    if any(agent.owner != OWNER and agent.task != OTHERS_TASK for agent in world.agents):
        raise Broken("an agent was started for another resource", path)
