"""Random walks through histories that are too long to try exhaustively. A seed always gives the same walk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.model.commands import Command
from tests.model.explore import essence
from tests.model.moves import Move, faults, steps
from tests.model.promises import Broken, hold
from tests.model.world import ROOM_2, Inputs, World

_PROGRAMS: Final = (Inputs("A"), Inputs("B"), Inputs("A", ROOM_2), Inputs("B", start_first=True))
_FAULT_CHANCE: Final = 0.08


@dataclass(slots=True)
class Walked:
    """How much was tried."""

    steps: int = 0
    broken: Broken | None = None
    """The shortest sequence that broke a promise."""


def walk_all(seeds: Iterable[int], *, replays: bool) -> Walked:
    """Do one walk for each seed."""
    walked, checked = Walked(), set[int]()
    start = World(replays=replays)
    for seed in seeds:
        path: list[Move] = []
        try:
            _walk(Random(seed), start, path, checked)
        except Broken as broken:
            if walked.broken is None or len(broken.path) < len(walked.broken.path):
                walked.broken = broken
        walked.steps += len(path)
    return walked


def _walk(dice: Random, world: World, path: list[Move], checked: set[int]) -> None:
    stages = [[_command(dice)] for _ in range(dice.randint(3, 5))]
    world = world.copy()
    world.rooms_required = dice.random() < 0.3
    world.faults = dice.randint(2, 5)
    while True:
        if world.wrong:
            raise Broken(world.wrong, path)
        if world.quiet:
            _check(world, path, checked)
        found = list(faults(world)) if dice.random() < _FAULT_CHANCE else []
        found = found or list(steps(world, stages))
        if not found:
            return
        move, world = dice.choice(found)
        path.append(move)


def _command(dice: Random) -> Command:
    name = dice.choice(("up", "up", "up", "up --replace", "refresh", "destroy", "preview", "preview --refresh"))
    program = None if name in {"refresh", "destroy"} else dice.choice(_PROGRAMS)
    if name == "up" and dice.random() < 0.1:
        program = None
    return Command(name, program, checkpoints=dice.random() < 0.5)


def _check(world: World, path: list[Move], checked: set[int]) -> None:
    key = hash((world.rooms_required, essence(world)))
    if key in checked:
        return
    checked.add(key)
    try:
        hold(world)
    except Broken as broken:
        raise Broken(broken.promise, [*path, *broken.path]) from None
