"""A `Room` that ends or is replaced while an agent is in it: declared, only in the state, or retained."""

import json
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live
from tests.engine.stack import TYPE, Stack
from tests.engine.test_machines import machine
from tests.engine.test_retention import marks
from tests.engine.test_room_changes import URN, assert_agree, counting, creators
from tests.engine.test_rooms import no_room_opens_by_itself, opened
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more ways in which an agent and its room meet; one life of both is tried every day"),
    pytest.mark.shows("promise 1", "promise 8"),
]

__all__ = ["counting", "no_room_opens_by_itself"]

BY_REFERENCE, BY_NAME = "hall.cname", '"hall"'
ROOM = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation, Room
hall = Room("hall", cname="hall"{more})
"""
HOST = """
RealtimeConversation("host", cname={cname}, agent=Agent(agent_id="a", user_id={user!r}), wait_for_room=60{more})
"""
RETAINED = ", opts=pulumi.ResourceOptions(retain_on_delete=True)"


def hall(more: str = "") -> str:
    return ROOM.format(more=more)


def host(cname: str = BY_NAME, user: str = "u", more: str = "") -> str:
    return HOST.format(cname=cname, user=user, more=more)


def running(emulator: Emulator) -> list[Any]:
    """The tasks that have not ended, including agents that do not count as members."""
    return [task["taskId"] for task in emulator.tasks() if task["state"] != "ended"]


each_name = pytest.mark.parametrize("cname", some_of([BY_NAME, BY_REFERENCE]), ids=["by name", "by reference"])


# Another creator.


@pytest.mark.parametrize("where", some_of(["another machine", "the same machine"]))
def test_with_force_another_creator_s_room_has_its_agent_again(stack: Stack, emulator: Emulator, where: str) -> None:
    stack.program(hall(", uid=41, force=True") + host(BY_REFERENCE))
    stack.up(**machine(stack, "first")).succeeded()
    stack.program(hall(", uid=42, force=True") + host(BY_REFERENCE))
    environment = machine(stack, "first" if where == "the same machine" else "second")
    stack.up(**environment).succeeded()
    assert creators(emulator) == [41, 42]
    assert_agree(stack, emulator, ["hall"])
    assert "3 unchanged" in stack.up(**environment).succeeded().output


def test_force_does_not_take_a_room_from_an_agent_that_names_it_itself(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall(", uid=41, force=True") + host(BY_NAME))
    stack.up().succeeded()
    stack.program(hall(", uid=42, force=True") + host(BY_NAME))
    run = stack.up().failed()
    assert "RoomInUse" in run.output
    assert "pass cname=room.cname to the agent" in run.output
    assert creators(emulator) == [41]
    assert_agree(stack, emulator, ["hall"])


def test_another_creator_is_refused_for_an_agent_of_the_state_alone(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(start_seconds=3600)
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(hall(", uid=41"))
    stack.up(**first).succeeded()
    stack.program(hall(", uid=41") + host(BY_REFERENCE))
    stack.up(**second).succeeded()
    before = opened(emulator)
    stack.program(hall(", uid=42") + host(BY_REFERENCE))
    assert "RoomInUse" in stack.up(**first).failed().output
    assert opened(emulator) == before
    assert creators(emulator) == [41]
    assert_agree(stack, emulator, ["hall"])


# Both are destroyed.


@each_name
@pytest.mark.parametrize("arguments", some_of([[], ["--parallel", "1"]]), ids=["together", "one by one"])
def test_destroy_leaves_no_agent_and_no_room(
    stack: Stack, emulator: Emulator, counting: str, cname: str, arguments: list[str]
) -> None:
    emulator.change_settings(tasks_end_with_room=False)
    stack.program(hall() + host(cname))
    stack.up().succeeded()
    assert "warning" not in stack.destroy(*arguments).succeeded().output
    assert_agree(stack, emulator, [])
    assert opened(emulator) == {}
    assert calls(emulator).count("close") == 1


@each_name
def test_destroy_leaves_nothing_of_what_another_machine_has_replaced(
    stack: Stack, emulator: Emulator, counting: str, cname: str
) -> None:
    emulator.change_settings(tasks_end_with_room=False)
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(hall() + host(cname))
    stack.up(**first).succeeded()
    stack.program(hall() + host(cname, user="v"))
    stack.up(**second).succeeded()
    assert_agree(stack, emulator, ["hall"])
    stack.destroy(**first).succeeded()
    assert_agree(stack, emulator, [])
    assert opened(emulator) == {}


def test_an_agent_that_an_older_state_drops_with_its_room_is_named(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    """The engine drops the agent before it calls the provider. An `up` before the destroy removes the option."""
    emulator.change_settings(tasks_end_with_room=False)
    stack.program(hall() + host(BY_REFERENCE))
    stack.up().succeeded()
    export = tmp_path / "state.json"
    stack.pulumi("stack", "export", "--file", str(export)).succeeded()
    state = json.loads(export.read_text("utf-8"))
    for resource in state["deployment"]["resources"]:
        if resource["type"] == TYPE:
            resource["deletedWith"] = URN
    export.write_text(json.dumps(state), encoding="utf-8")
    stack.pulumi("stack", "import", "--file", str(export)).succeeded()
    (agent,) = live(emulator)
    output = stack.destroy().succeeded().output
    assert "warning: room hall (cid " in output
    assert f"stop it with `rtcai close {agent['cid']}/{agent['taskId']}`" in output
    assert len(opened(emulator)) == 1


# The agent stays.


def test_a_targeted_destroy_leaves_the_room_of_a_known_agent_open(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(start_seconds=3600)
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(hall())
    stack.up(**first).succeeded()
    stack.program(hall() + host())
    stack.up(**second).succeeded()
    before = running(emulator)
    run = stack.destroy("--target", URN, **first).succeeded()
    assert "warning: room hall (cid " in run.output
    assert "was not ended and is removed from the state" in run.output
    assert list(opened(emulator)) == ["hall"]
    assert running(emulator) == before
    assert calls(emulator) == ["create"]


@pytest.mark.shows("promise 6")
def test_a_target_in_any_spelling_leaves_the_other_agents_alone(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(start_seconds=3600)
    stack.program(hall() + host())
    stack.up().succeeded()
    before = running(emulator)
    stack.pulumi("destroy", "-yft", URN)
    stack.pulumi("destroy", "-yf", PULUMI_OPTION_TARGET=URN)
    assert running(emulator) == before
    assert list(opened(emulator)) == ["hall"]
    assert list(stack.conversations()) == ["host"]


@pytest.mark.parametrize("way", some_of(["destroyed", "removed", "removed one after the other"]))
def test_force_does_not_end_a_room_with_a_retained_agent(
    stack: Stack, emulator: Emulator, counting: str, way: str
) -> None:
    stack.program(hall(", force=True") + host(BY_REFERENCE, more=RETAINED))
    stack.up().succeeded()
    before = running(emulator)
    if way == "removed one after the other":
        stack.program(hall(", force=True"))
        stack.up().succeeded()
    stack.program("")
    run = (stack.destroy() if way == "destroyed" else stack.up()).succeeded()
    assert "warning: room hall (cid " in run.output
    assert "was not ended and is removed from the state" in run.output
    assert running(emulator) == before
    assert list(opened(emulator)) == ["hall"]
    assert calls(emulator) == ["create"]
    assert marks(stack) == {"hall": "retained"}


def test_force_ends_a_room_with_the_agent_that_is_removed_with_it(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(tasks_end_with_room=False)
    stack.program(hall(", force=True") + host(BY_REFERENCE))
    stack.up().succeeded()
    stack.program("")
    stack.up().succeeded()
    assert (live(emulator), opened(emulator)) == ([], {})
