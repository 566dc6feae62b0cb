"""Whatever is killed, and whenever: one further `up` leaves exactly one agent a room, and `destroy` none."""

import shutil
from collections.abc import Sequence

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


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("moment", OF_A_CREATE)
def test_killed_in_a_first_create(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, moment) as run:
        end(run, victim)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("moment", [*OF_A_CLOSE, *OF_A_CREATE])
def test_killed_in_a_replacement(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.program(CHANGED)
    with interrupted(stack, emulator, UP, moment) as run:
        end(run, victim)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("moment", OF_A_CLOSE)
def test_killed_in_a_destroy(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    with interrupted(stack, emulator, DESTROY, moment) as run:
        end(run, victim)
    assert_settled(stack, emulator, ["keynote"])
