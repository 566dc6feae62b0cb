"""Error hooks: the engine calls a verb again immediately, in the same plugin process."""

from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import assert_settled
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("calls that a hook has repeated; tests/model tries them without the engine"),
    pytest.mark.shows("promise 1", "promise 6"),
]

PROGRAM = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
def again(args):
    return True
hook = pulumi.ErrorHook("again", again)
RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id={user!r}),
    opts=pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(on_error=[hook])))
"""


def program(user: str = "u") -> str:
    return PROGRAM.format(user=user)


LOST: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset", "work": True},
    "reset before": {"kind": "reset", "work": False},
    "half": {"kind": "half", "work": True},
    "500": {"kind": "answer-after", "status": 500},
    "503": {"kind": "answer", "status": 503},
}


def traces(emulator: Emulator) -> list[str]:
    """The trace id of each create, in order."""
    found = [request for request in emulator.requests() if request["path"].endswith("/create")]
    return [request["headers"]["X-custom-traceid"] for request in found]


@pytest.mark.shows("safety hook-repeats-lost")
def test_a_lost_create_that_is_repeated_is_the_same_create(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")
    for number, (name, fault) in enumerate(LOST.items()):
        print(name)  # printed if the test fails
        before = len(traces(emulator))
        emulator.fault("create", **fault)
        stack.program(program(f"user-{number}"))
        run = stack.up().succeeded()
        assert "retrying" in run.output
        assert len(set(traces(emulator)[before:])) == 1
        assert rooms(emulator) == ["keynote"]
    assert_settled(stack, emulator, ["keynote"])


def test_a_create_that_is_lost_twice_is_still_the_same_create(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")
    emulator.fault("create", "reset", work=True, times=3)
    stack.program(program())
    stack.up().succeeded()
    assert len(emulator.tasks()) == 1
    assert calls(emulator) == ["create"] * 4
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety hook-repeats-refused")
def test_a_refused_create_is_tried_afresh(stack: Stack, emulator: Emulator) -> None:
    emulator.fault("create", "answer", code=611)
    stack.program(program())
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote"]
    assert len(set(traces(emulator))) == 2
    assert_settled(stack, emulator, ["keynote"])


def test_a_lost_create_that_the_service_does_not_tell_again_starts_no_second(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(dedup="refuse")
    emulator.fault("create", "reset", work=True)
    stack.program(program())
    assert "maximum number of error hook retries" in stack.up().failed().output
    assert len(live(emulator)) == 1


@pytest.mark.parametrize("command", some_of(["replace", "destroy"]))
def test_a_refused_close_is_repeated(stack: Stack, emulator: Emulator, command: str) -> None:
    stack.program(program())
    stack.up().succeeded()
    emulator.fault("close", "answer", code=611)
    if command == "destroy":
        stack.destroy("--run-program").succeeded()
        assert live(emulator) == []
    else:
        stack.program(program("another"))
        stack.up().succeeded()
        assert rooms(emulator) == ["keynote"]
        assert_settled(stack, emulator, ["keynote"])
