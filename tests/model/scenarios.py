"""The commands and faults that are tried exhaustively. A scenario covers every order of steps that they can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.model.commands import Command
from tests.model.explore import Explored, explore
from tests.model.promises import undisturbed
from tests.model.world import END, LATER, ROOM_2, Inputs, World

A: Final = Inputs("A")
B: Final = Inputs("B")
ELSEWHERE: Final = Inputs("A", ROOM_2)
START_FIRST: Final = Inputs("B", start_first=True)

RETAINED: Final = Inputs("A", retained=True)
RETAINED_B: Final = Inputs("B", retained=True)

ENDING: Final = Inputs("A", ends_at=END)
ENDING_B: Final = Inputs("B", ends_at=END)
ENDING_LATER: Final = Inputs("A", ends_at=LATER)

DESTROY: Final = Command("destroy")
REFRESH: Final = Command("refresh")


def up(program: Inputs | None, *, checkpoints: bool = True) -> Command:
    return Command("up", program, checkpoints)


def preview(program: Inputs) -> Command:
    return Command("preview", program)


def preview_refresh(program: Inputs) -> Command:
    return Command("preview --refresh", program)


def replace(program: Inputs, *, checkpoints: bool = True) -> Command:
    return Command("up --replace", program, checkpoints)


def refresh_replace(program: Inputs, *, checkpoints: bool = True) -> Command:
    return Command("up --refresh --replace", program, checkpoints)


_COMMANDS: Final = (
    up(A),
    up(B),
    up(ELSEWHERE),
    up(START_FIRST),
    up(None),
    replace(A),
    refresh_replace(A),
    REFRESH,
    DESTROY,
)


def hooked(command: Command) -> Command:
    """The command with an error hook that repeats every call once."""
    return command._replace(repeats=1)


EVERY_COMMAND: Final = (
    *(command._replace(checkpoints=checkpoints) for command in _COMMANDS for checkpoints in (True, False)),
    preview(B),
    preview_refresh(A),
)

# Commands about a retained agent, and commands that remove it from the program or no longer retain it.
RETAINING: Final = (up(RETAINED), up(A), replace(RETAINED))
NO_LONGER_RETAINING: Final = (up(A), up(RETAINED_B), up(None), DESTROY)


# Commands about an agent whose end passes at any time, while a schedule sweeps.
WITH_END: Final = (
    up(ENDING),
    up(ENDING_B),
    up(ENDING_LATER),
    up(A),
    replace(ENDING),
    replace(ENDING_LATER),
    REFRESH,
    DESTROY,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Commands in the order in which they begin. The next one may begin while an old plugin still works."""

    stages: tuple[tuple[Command, ...], ...]
    """For each command of the sequence, its alternatives."""
    faults: int = 1
    after: tuple[Command, ...] = ()
    """Commands that succeeded before."""
    replays: bool = True
    """Whether the service repeats the first answer to a trace id. Otherwise it ignores duplicates."""
    rooms_required: bool = False
    """Whether a create is refused if no one has opened its room."""
    sweeps: int = 0
    """How many times ``rtcai sweep --over`` begins, at any time."""
    ends: bool = False
    """Whether the end of the agents passes, at any time."""

    def explored(self) -> Explored:
        world = World(replays=self.replays, rooms_required=self.rooms_required)
        for command in self.after:
            world = undisturbed(world, command, [])
        world.commands, world.faults = 0, self.faults
        world.sweeps, world.ticks = self.sweeps, int(self.ends)
        return explore(world, self.stages)


ANY_TWO_COMMANDS: Final = (EVERY_COMMAND, EVERY_COMMAND)
