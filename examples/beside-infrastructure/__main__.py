"""Agents beside other infrastructure: what another resource puts out, an agent takes in.

The other resource stands for whatever else a room needs. It is one of the program's own, so that this runs anywhere;
a bucket, a database or a DNS name of any Pulumi provider is used in the same way.
"""

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Room, Tts


class TicketProvider(ResourceProvider):
    """Draws a code that the host reads out; a real one would book it somewhere."""

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
