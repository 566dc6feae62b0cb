"""When the resources of a program reach the engine. What is checked before is in the tests of the engine."""

import subprocess
import sys

PROGRAM = """
import pulumi
import pulumi.runtime.resource as sdk
from rtcai_pulumi import Agent, RealtimeConversation

ROOMS = 20
steps = []

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        steps.append(("sent", args.name))
        return "1/task", args.inputs

    def call(self, args):
        return {}

prepare = sdk.prepare_resource

async def prepare_and_note(resource, *arguments):
    prepared = await prepare(resource, *arguments)
    steps.append(("prepared", resource.pulumi_resource_name))
    return prepared

sdk.prepare_resource = prepare_and_note
pulumi.runtime.set_mocks(Mocks())

@pulumi.runtime.test
def program():
    rooms = [
        RealtimeConversation(f"host-{number}", cname=f"r-{number}", agent=Agent(agent_id="a", user_id="u"))
        for number in range(ROOMS)
    ]
    return pulumi.Output.all(*(room.urn for room in rooms))

program()
ours = [step for step in steps if step[1].startswith("host-")]
assert [name for step, name in ours if step == "prepared"] == [f"host-{number}" for number in range(ROOMS)]
first_sent = next(place for place, (step, _) in enumerate(ours) if step == "sent")
print("prepared before the first was sent:", first_sent)
"""


def test_the_engine_gets_the_first_room_before_the_program_has_prepared_the_others() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout.rpartition(":")[2]) < 10
