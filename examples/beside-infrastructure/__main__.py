"""Agents next to other infrastructure: the output of another resource is an input of an agent.

The other resource stands for anything else that a room needs. It is defined in this program, so the example runs
anywhere; use a bucket, a database or a DNS name of any Pulumi provider in the same way.
"""

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Room, Tts


class TicketProvider(ResourceProvider):
    """Creates a code that the host reads aloud; a real provider would book it in a ticket system."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        if props["event"] == "sold out":
            message = "no tickets are left"
            raise RuntimeError(message)
        return CreateResult(secrets.token_hex(4), {**props, "code": f"{props['event']}-{secrets.randbelow(10_000):04}"})


class Ticket(Resource, module="example", name="Ticket"):
    """The code of an event."""

    code: pulumi.Output[str]

    def __init__(self, name: str, event: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TicketProvider(), name, {"event": event, "code": None}, opts)


event = pulumi.Config().get("event") or "expo"
ticket = Ticket("ticket", event)
hall = Room("hall", cname=ticket.code)
host = RealtimeConversation(
    "host",
    cname=hall.cname,
    asr=Asr(asr_vendor=6),
    llm=Llm(llm_vendor=1),
    tts=Tts(tts_vendor=6),
    pipeline=Pipeline(welcome_message=pulumi.Output.concat("Welcome! Your code is ", ticket.code, ".")),
)
pulumi.export("room", hall.cname)
pulumi.export("task", host.task_id)
