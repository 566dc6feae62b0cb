"""For how many outputs the SDK waits once a program has declared its resources, and what ends with its run.

What is checked before they are registered is in the tests of the engine.
"""

import subprocess
import sys

import pytest

MOCKS = """
import pulumi
from pulumi.runtime.settings import SETTINGS
from rtcai_pulumi import Agent, EventRooms, RealtimeConversation, Room

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return "1/task", args.inputs

    def call(self, args):
        return dict()

pulumi.runtime.set_mocks(Mocks())
"""
PROGRAM = """
@pulumi.runtime.test
def program():
    before = set(SETTINGS.outputs)
    declare(range({rooms}))
    print(len(SETTINGS.outputs - before))

def declare(numbers):
    {declare}

program()
"""
CONVERSATIONS = """
    agent = Agent(agent_id="a", user_id="u")
    for number in numbers:
        RealtimeConversation(f"host-{number}", cname=Room(f"room-{number}", cname=f"r-{number}").cname, agent=agent)
"""
EVENT = """
    link = pulumi.Output.from_input("https://example.org")
    rooms = {str(number): {"cname": f"r-{number}", "link": link} for number in numbers}
    EventRooms("host", {"agent": {"agent": {"agentId": "a", "userId": "u"}}, "createRooms": True, "rooms": rooms})
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", MOCKS + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def count_outputs(declare: str, rooms: int) -> int:
    return int(run(PROGRAM.format(rooms=rooms, declare=declare.strip())).stdout)


@pytest.mark.parametrize("declare", [CONVERSATIONS, EVENT], ids=["conversations", "event"])
def test_the_sdk_waits_for_as_many_outputs_with_many_rooms_as_with_a_few(declare: str) -> None:
    """It waits for all of them again whenever one has a value, so the time would grow with the square of the rooms."""
    assert count_outputs(declare, 40) == count_outputs(declare, 4) > 0


UNIT_TESTS = """
def declare(name, cname="keynote"):
    return RealtimeConversation(name, cname=cname, agent=Agent(agent_id="a", user_id="u"))

@pulumi.runtime.test
def invalid():
    declare("invalid", "")

@pulumi.runtime.test
def valid(name):
    return declare(name).id.apply(lambda task: print(name, task))

@pulumi.runtime.test
def shared():
    declare("one")
    declare("two")
"""


def test_an_invalid_conversation_fails_its_own_unit_test_only() -> None:
    program = """
from rtcai_pulumi.registration import InvalidProgram
try:
    invalid()
except InvalidProgram:
    valid("first")
valid("second")
"""
    assert run(UNIT_TESTS + program).stdout.splitlines() == ["first 1/task", "second 1/task"]


@pytest.mark.parametrize("between", ["", "pulumi.runtime.set_mocks(Mocks())"], ids=["same mocks", "other mocks"])
def test_two_unit_tests_may_use_the_same_room(between: str) -> None:
    assert "share the room" not in run(f"{UNIT_TESTS}\nvalid('first')\n{between}\nvalid('second')").stderr
    assert "share the room" in run(f"{UNIT_TESTS}\nshared()").stderr
