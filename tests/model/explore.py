"""Tries everything that can happen, breadth first, so the first broken promise is found by a shortest sequence."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.model.moves import Move, Stages, moves
from tests.model.promises import Broken, hold
from tests.model.world import World


@dataclass(slots=True)
class Explored:
    """How much was tried."""

    states: int = 0
    steps: int = 0
    quiet: int = 0
    """The number of different worlds in which nothing was running and the promises were checked."""
    broken: Broken | None = None
    _parents: list[tuple[int, Move | None]] = field(default_factory=list)

    def met(self, *words: str) -> bool:
        """Whether there was a sequence with these words in this order, at most one of them in each move."""
        ends = (index for index, (_, move) in enumerate(self._parents) if move and words[-1] in str(move))
        return any(_in_order(words, self.path(index)) for index in ends)

    def path(self, index: int) -> list[Move]:
        """The moves that led to a world."""
        found = []
        while index >= 0:
            index, move = self._parents[index]
            if move is not None:
                found.append(move)
        return found[::-1]


def explore(start: World, stages: Stages) -> Explored:
    """Try every possible history of these commands, one after the other."""
    explored = Explored()
    seen: set[int] = set()
    checked: set[int] = set()
    waiting: deque[tuple[int, World]] = deque()

    def meet(world: World, parent: int, move: Move | None) -> None:
        key = hash(world.key)
        if key not in seen:
            seen.add(key)
            explored._parents.append((parent, move))
            waiting.append((len(explored._parents) - 1, world))

    meet(start, -1, None)
    while waiting and explored.broken is None:
        index, world = waiting.popleft()
        if world.wrong:
            explored.broken = Broken(world.wrong, explored.path(index))
            break
        if world.quiet and (key := hash(essence(world))) not in checked:
            checked.add(key)
            try:
                hold(world)
            except Broken as broken:
                explored.broken = Broken(broken.promise, [*explored.path(index), *broken.path])
        for move, made in moves(world, stages):
            explored.steps += 1
            meet(made, index, move)
    explored.states, explored.quiet = len(seen), len(checked)
    return explored


def _in_order(words: tuple[str, ...], path: list[Move]) -> bool:
    said = iter(str(move) for move in path)
    return all(any(word in move for move in said) for word in words)


def essence(world: World) -> tuple[object, ...]:
    """The part of a quiet world that affects later commands. Which process wrote a record no longer matters."""
    records = tuple(
        (r.trace_id, r.owner, r.state, r.task, r.handed, r.digest, r.kept, r.stored, r.ends_at) for r in world.records
    )
    known = (world.reported, world.late, world.sure, world.stack, world.drifted, world.over)
    return (world.rooms, world.agents, world.answers, records, *known)
