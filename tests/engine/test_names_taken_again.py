"""A name that one agent had before and another one has now: the owner of the first agent is a different resource."""

import json

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import assert_settled
from tests.engine.test_events import told
from tests.engine.test_machines import machine
from tests.engine.test_retention import replaying, rtcai
from tests.engine.test_sequences import URN
from tests.engine.test_up import one_room

pytestmark = [
    pytest.mark.full("commands that rename or move a resource or a stack, then create one with the first name"),
    pytest.mark.shows("promise 1", "promise 6", "promise 8", "safety destroyed-elsewhere"),
]

__all__ = ["replaying"]


def agents(**cnames: str) -> str:
    """A program with one agent for each name, in the room of that name."""
    return "".join(one_room(cname=cname).replace('"host"', f'"{name}"') for name, cname in cnames.items())


def test_a_new_agent_may_have_the_name_that_another_had_in_state(stack: Stack, emulator: Emulator) -> None:
    stack.program(agents(host="keynote"))
    stack.up().succeeded()
    (renamed,) = live(emulator)
    stack.pulumi("state", "rename", URN, "mod", "--yes").succeeded()
    stack.program(agents(host="elsewhere", mod="keynote"))
    stack.up().succeeded()
    assert calls(emulator) == ["create", "create"]
    assert renamed in live(emulator)
    assert_settled(stack, emulator, ["elsewhere", "keynote"])


@pytest.mark.shows("safety alias-stays")
def test_an_alias_that_stays_in_the_program_means_nothing_once_another_agent_has_its_name(
    stack: Stack, emulator: Emulator
) -> None:
    def program(speed: float = 1) -> str:
        aliases = ", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name='host')])"
        return "import pulumi\n" + one_room(tts=f", speed={speed}", more=aliases).replace('"host"', '"mod"')

    stack.program(one_room(tts=", speed=1"))
    stack.up().succeeded()
    stack.program(program())
    stack.up().succeeded()
    assert calls(emulator) == ["create"]
    stack.program(program() + agents(host="elsewhere"))
    stack.up().succeeded()
    (other,) = (task for task in live(emulator) if task["cname"] == "elsewhere")
    stack.program(program(speed=2) + agents(host="elsewhere"))
    assert "1 replaced" in stack.up().succeeded().output
    stack.up("--replace", URN.replace("::host", "::mod")).succeeded()
    assert calls(emulator) == ["create", "create", "close", "create", "close", "create"]
    assert other in live(emulator)
    assert_settled(stack, emulator, ["elsewhere", "keynote"])


def test_a_new_agent_may_have_the_name_of_one_that_another_stack_has_now(stack: Stack, emulator: Emulator) -> None:
    stack.program(agents(host="keynote"))
    stack.up().succeeded()
    (moved,) = live(emulator)
    stack.pulumi("stack", "init", "two").succeeded()
    stack.pulumi("state", "move", "--source", "test", "--dest", "two", URN, "--yes").succeeded()
    stack.program(agents(host="elsewhere"))
    stack.up().succeeded()
    stack.up().succeeded()
    assert calls(emulator) == ["create", "create"]
    assert moved in live(emulator)
    stack.destroy().succeeded()
    assert live(emulator) == [moved]
    stack.name = "two"
    stack.program(agents(host="keynote"))
    stack.up().succeeded()
    assert live(emulator) == [moved]
    stack.destroy().succeeded()
    assert live(emulator) == []


def renamed_stack(stack: Stack) -> None:
    """A stack with an agent that now has another name, and a new stack with its first name."""
    stack.program(agents(host="keynote"))
    stack.up().succeeded()
    stack.pulumi("stack", "rename", "old").succeeded()
    stack.pulumi("stack", "init", "test").succeeded()


@pytest.mark.shows("safety old-name-other-room")
def test_a_new_stack_may_have_the_name_that_another_had(stack: Stack, emulator: Emulator) -> None:
    renamed_stack(stack)
    (agent,) = live(emulator)
    stack.program(agents(host="elsewhere"))
    stack.up().succeeded()
    stack.up().succeeded()
    assert calls(emulator) == ["create", "create"]
    assert agent in live(emulator)
    stack.name = "old"
    stack.program(agents(host="keynote"))
    stack.up().succeeded()
    assert rooms(emulator) == ["elsewhere", "keynote"]
    stack.destroy().succeeded()
    assert rooms(emulator) == ["elsewhere"]


@pytest.mark.shows("safety old-name-same-room")
def test_in_the_same_room_a_new_stack_of_the_name_stops_the_first_agent(stack: Stack, emulator: Emulator) -> None:
    renamed_stack(stack)
    (first,) = live(emulator)
    run = stack.up().succeeded()
    assert f"stopping task {first['cid']}/{first['taskId']} of an earlier run" in run.output
    assert calls(emulator) == ["create", "close", "create"]
    assert rooms(emulator) == ["keynote"]


def test_a_refused_close_after_a_foreign_destroy_is_reported_once(stack: Stack, emulator: Emulator) -> None:
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(one_room())
    stack.up(**first).succeeded()
    stack.destroy(**second).succeeded()
    emulator.fault("close", "answer", times=None, code=400, errmsg="bad")
    assert told(stack.up(**first).succeeded()).count("the service refuses to stop") == 1
    assert rooms(emulator) == ["keynote"]
    stack.environment |= first
    listed = json.loads(rtcai(stack, "ls", "--stack", "test", "--json"))
    assert sorted(each["mark"] for each in listed) == ["in state", "refused"]
    again = stack.up().succeeded()
    assert "the service refuses to stop" not in again.output
    assert "2 unchanged" in again.output
