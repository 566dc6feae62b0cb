"""Whatever is killed, and whenever: one further `up` leaves exactly one agent a room, and `destroy` none."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import Interrupted, interrupted
from tests.engine.service import live, rooms
from tests.engine.stack import Stack
from tests.engine.test_up import one_room

UP = ["up", "--yes", "--skip-preview"]
DESTROY = ["destroy", "--yes", "--skip-preview"]
OF_A_CREATE = [
    "before the intent",
    "after the intent",
    "the create has been sent",
    "the create has been done",
    "the answer has arrived",
    "the journal has it",
    "the engine is about to be told",
]
OF_A_CLOSE = ["closing is noted", "the close has been sent", "the close has been done", "closed is noted"]
VICTIMS = ["engine", "plugin"]


def product(*factors: Sequence[Any], everyday: int | None = None) -> list[Any]:
    """All combinations; in the everyday run each value of each factor once or more, the rest in the full run.

    `everyday` takes only so many values of each: what another test shows every day need not be shown again.
    """
    everyday = max(map(len, factors)) if everyday is None else everyday
    combinations = list(itertools.product(*factors))
    chosen = {tuple(values[number % len(values)] for values in factors) for number in range(everyday)}
    return [pytest.param(*each, marks=() if each in chosen else pytest.mark.full) for each in combinations]


ROOM, CHANGED, MOVED = one_room(), one_room(tts=", speed=2"), one_room(cname="elsewhere")


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    """A service that drops duplicates by trace id: without that nobody could find a lost agent."""
    emulator.change_settings(dedup="replay")


def many_rooms(count: int) -> str:
    return f"""
from rtcai_pulumi import Agent, RealtimeConversation
for number in range({count}):
    RealtimeConversation(f"room-{{number:02}}", cname=f"room-{{number:02}}", agent=Agent(agent_id="a", user_id="u"))
"""


def end(run: Interrupted, victim: str) -> None:
    """Kill one, or interrupt, and let what lives go on to its end."""
    if victim == "engine":
        run.kill_engine()
    elif victim == "plugin":
        run.kill_plugin()
    else:
        run.interrupt({"SIGINT": 1, "two SIGINTs": 2}[victim])
    run.finish()


def recover(stack: Stack, **environment: str) -> None:
    """What an operator does after a crash: unlock, put a half-written checkpoint back, up."""
    stack.pulumi("cancel", "--yes")
    run = stack.up(**environment)
    if "failed to load checkpoint" in run.output:
        state = stack.folder / "backend" / ".pulumi" / "stacks" / "rooms" / f"{stack.name}.json"
        shutil.copyfile(f"{state}.bak", state)
        run = stack.up(**environment)
    run.succeeded()


def assert_settled(stack: Stack, emulator: Emulator, expected: Sequence[str], **environment: str) -> None:
    """One up leaves one agent for each room that the state knows, another changes nothing, and destroy leaves none."""
    recover(stack, **environment)
    assert rooms(emulator) == sorted(expected)
    known = {room["outputs"]["taskId"] for room in stack.conversations().values()}
    assert known == {task["taskId"] for task in live(emulator)}
    assert f"{len(expected) + 1} unchanged" in stack.up(**environment).succeeded().output
    stack.destroy(**environment).succeeded()
    assert live(emulator) == []


@pytest.mark.parametrize(("moment", "victim"), product(OF_A_CREATE, VICTIMS))
def test_killed_in_a_first_create(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, moment) as run:
        end(run, victim)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize(("moment", "victim"), product([*OF_A_CLOSE, *OF_A_CREATE], VICTIMS, everyday=len(OF_A_CLOSE)))
def test_killed_in_a_replacement(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.program(CHANGED)
    with interrupted(stack, emulator, UP, moment) as run:
        end(run, victim)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize(("moment", "victim"), product(OF_A_CLOSE, VICTIMS, everyday=1))
def test_killed_in_a_destroy(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    with interrupted(stack, emulator, DESTROY, moment) as run:
        end(run, victim)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize(
    ("count", "moment", "victim", "checkpoints"),
    product(
        [1, 20],
        ["the create has been done", "the create has been sent", "the journal has it"],
        ["SIGINT", "two SIGINTs", "engine"],
        ["with checkpoints", "without checkpoints"],
    ),
)
def test_interrupted_in_other_ways(
    stack: Stack, emulator: Emulator, count: int, moment: str, victim: str, checkpoints: str
) -> None:
    environment = {"PULUMI_SKIP_CHECKPOINTS": "true"} if checkpoints.startswith("without") else {}
    stack.program(many_rooms(count))
    command = [*UP, "--parallel", "32"]
    with interrupted(stack, emulator, command, moment, count=count, **environment) as run:
        end(run, victim)
    assert_settled(stack, emulator, [f"room-{number:02}" for number in range(count)], **environment)


HISTORIES = {
    "changed": (None, ROOM, CHANGED, "keynote"),
    "moved": (None, ROOM, MOVED, "elsewhere"),
    "reverted": (ROOM, CHANGED, ROOM, "keynote"),
    "move reverted": (ROOM, MOVED, ROOM, "keynote"),
    "moved, then changed": (ROOM, MOVED, CHANGED, "keynote"),
    "start-first reverted": (ROOM, one_room(tts=", speed=2", more=", replace_strategy='start-first'"), ROOM, "keynote"),
}


@pytest.mark.parametrize(("history", "victim"), product(list(HISTORIES), VICTIMS))
def test_the_program_is_changed_before_the_next_up(stack: Stack, emulator: Emulator, history: str, victim: str) -> None:
    before, killed, after, room = HISTORIES[history]
    if before:
        stack.program(before)
        stack.up().succeeded()
    stack.program(killed)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        end(run, victim)
    stack.program(after)
    assert_settled(stack, emulator, [room])


def test_a_plugin_that_would_post_after_the_next_up_has_begun_does_not(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "after the intent") as old:
        old.kill_engine()
        stack.pulumi("cancel", "--yes")
        # The old plugin lives and its create is asked for: the new run waits for it, then takes it over.
        stack.up(RTCAI_TIMEOUT="1").succeeded()
        assert rooms(emulator) == ["keynote"]
        old.finish()
    assert_settled(stack, emulator, ["keynote"])


def test_a_plugin_whose_engine_is_gone_closes_what_it_has_started_and_ends_itself(
    stack: Stack, emulator: Emulator
) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        run.kill_engine()
        assert len(live(emulator)) == 1
        run.finish()
    assert live(emulator) == []


def test_two_stacks_on_one_journal_are_settled_each_for_itself(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    other = Stack(tmp_path / "other", emulator)
    other.environment["RTCAI_JOURNAL"] = stack.environment["RTCAI_JOURNAL"]
    other.program(one_room(cname="other"))
    other.up().succeeded()
    (untouched,) = live(emulator)
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        run.kill_plugin()
    other.up("--refresh").succeeded()
    assert untouched in live(emulator)
    recover(stack)
    assert rooms(emulator) == ["keynote", "other"]
    assert untouched in live(emulator)
    stack.destroy().succeeded()
    assert live(emulator) == [untouched]
    other.destroy().succeeded()
    assert live(emulator) == []
