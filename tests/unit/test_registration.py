"""For how many outputs the SDK waits once a program has declared its resources.

What is checked before they are registered is in the tests of the engine.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import pulumi
from pulumi.runtime.settings import SETTINGS
from rtcai_pulumi import Agent, EventRooms, RealtimeConversation, Room

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return "1/task", args.inputs

    def call(self, args):
        return {{}}

pulumi.runtime.set_mocks(Mocks())

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


def count_outputs(declare: str, rooms: int) -> int:
    code = PROGRAM.format(rooms=rooms, declare=declare.strip())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("declare", [CONVERSATIONS, EVENT], ids=["conversations", "event"])
def test_the_sdk_waits_for_as_many_outputs_with_many_rooms_as_with_a_few(declare: str) -> None:
    """It waits for all of them again whenever one has a value, so the time would grow with the square of the rooms."""
    assert count_outputs(declare, 40) == count_outputs(declare, 4) > 0
