"""Events: many rooms from one default agent, declared in a program or in an event file.

Only `rooms` and `program` use Pulumi; the command ``rtcai`` uses the other modules.
"""

from rtcai_pulumi.config.conversation import AgentSettings
from rtcai_pulumi.events.model import Event, EventRoom
from rtcai_pulumi.events.program import InvalidEventFile, load, run
from rtcai_pulumi.events.rooms import EventRooms

__all__ = ["AgentSettings", "Event", "EventRoom", "EventRooms", "InvalidEventFile", "load", "run"]
