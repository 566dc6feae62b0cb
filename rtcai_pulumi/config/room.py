"""The inputs of a `Room`, which is an RTC room."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import RoomName
from rtcai_pulumi.config.end_time import EndTime
from rtcai_pulumi.config.setting import Integer, Setting

UID_MAX: Final = 2**53 - 1
"""The engine would round larger numbers."""


class RoomInputs(Block):
    """All inputs of one `Room`; the property names in state are the camelCase ones."""

    cname: Setting[RoomName] = Field()
    """Name of the room, 1 to 64 bytes of UTF-8. Required."""
    uid: Setting[Integer] = Field(default=None, ge=1, le=UID_MAX)
    """The user who counts as the room's creator, 1 to 2^53 - 1. If it is left out, it is made from the stack and the
    room's name, so a room that an interrupted run created is recognized as the stack's own. Another number opens the
    room again, which requires that no one is in it, or `force`; removing it later changes nothing."""
    adopt_existing: Setting[bool] = Field(default=False)
    """Whether to adopt a room with this name that is already open. Default false: an open room is an error."""
    force: Setting[bool] = Field(default=False)
    """Whether to end a room that still has members when the resource is deleted, which disconnects everyone. Default
    false: the room is left open, with a warning."""
    owner: Setting[str] = Field(default=None)
    """The resource that the room is for. The resource class adds it, because the engine does not pass the URN."""
    options: Setting[Mapping[str, Any]] = Field(default=None)
    """The Pulumi options of the resource, as in `Conversation.options`."""
    take_over: Setting[bool] = Field(default=False)
    """Whether to take an open room of another resource of this stack. Set by an event, whose name may change."""
    ends_at: Setting[EndTime] = Field(default=None)
    """When the agent of the room is to end, in the form of the agent's own end. From then on, a room that has ended is
    not a drift, and no run opens it again. ``rtcai sweep --over`` ends the rooms of an event; any other room ends when
    its last member leaves. Default: no end."""


SET_BY_EVENT: Final = ("take_over",)
"""Inputs that only an event sets; a program cannot set them."""
