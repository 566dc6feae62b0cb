"""`pulumi refresh` of the real engine: drift, and doubtful answers that are not drift."""

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_up import one_room

pytestmark = [
    pytest.mark.full("more answers of the room API; tests/unit/lifecycle/test_read.py has them all"),
    pytest.mark.shows("safety room-ended", "safety unsure-room-api"),
]


@pytest.mark.everyday
@pytest.mark.shows("promise 2", "verb read", "pulumi refresh")
def test_a_healthy_stack_is_left_as_it_is(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    before = stack.conversations()
    assert "2 unchanged" in stack.refresh().succeeded().output
    after = stack.conversations()
    assert before["host"]["outputs"] == after["host"]["outputs"]
    assert before["host"]["inputs"] == after["host"]["inputs"]
    assert calls(emulator) == ["create"]


@pytest.mark.everyday
@pytest.mark.shows("promise 8", "verb read")
def test_an_ended_room_is_dropped_and_the_next_up_starts_it_again(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    emulator.end_room("keynote")
    assert "1 deleted" in stack.refresh().succeeded().output
    assert stack.conversations() == {}
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote"]


def test_a_room_that_was_opened_again_is_another_room(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    emulator.end_room("keynote")
    emulator.open_room("keynote")
    stack.up("--refresh").succeeded()
    assert rooms(emulator) == ["keynote"]
    assert calls(emulator) == ["create", "create"]


def test_doubt_keeps_the_state_and_warns(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    emulator.fault("query", "answer", code=402)
    run = stack.refresh().succeeded()
    assert (
        "warning: The refresh could not check whether the agent in room keynote still runs, so it stays in the state."
        in run.output
    )
    assert "service code: 402" in run.output
    assert list(stack.conversations()) == ["host"]
    assert len(live(emulator)) == 1


@pytest.mark.shows("safety other-account")
def test_another_app_key_is_an_error_that_names_both(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    for run in (stack.refresh(RTCAI_APP_KEY="another-key"), stack.destroy(RTCAI_APP_KEY="another-key")):
        assert "another-key" in run.failed().output
        assert emulator.app_key in run.output
    assert list(stack.conversations()) == ["host"]
    assert calls(emulator) == ["create"]


def test_destroy_of_an_agent_that_is_gone_succeeds(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    (task,) = live(emulator)
    emulator.end_task(task["cid"], task["taskId"])
    stack.destroy().succeeded()
    assert stack.conversations() == {}
