"""Events: many rooms from one default agent, in a program or in a file of their own.

What knows Pulumi is in `rooms`, `program` and `secret`; the command ``rtcai`` uses the other modules.
"""

from rtcai_pulumi.config.conversation import AgentSettings
from rtcai_pulumi.events.model import Event, EventRoom
from rtcai_pulumi.events.program import InvalidEventFile, load, run
from rtcai_pulumi.events.rooms import EventRooms

__all__ = ["AgentSettings", "Event", "EventRoom", "EventRooms", "InvalidEventFile", "load", "run"]
