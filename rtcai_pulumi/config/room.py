"""An RTC room, as one `Room` is stated."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import RoomName
from rtcai_pulumi.config.setting import Integer, Setting

UID_MAX: Final = 2**53 - 1
"""Larger numbers would be rounded on their way through the engine."""


class RoomInputs(Block):
    """Everything that one `Room` is stated with; property names in state are the camelCase ones."""

    cname: Setting[RoomName] = Field()
    """Name of the room, 1 to 64 bytes of UTF-8. Required."""
    uid: Setting[Integer] = Field(default=None, ge=1, le=UID_MAX)
    """The user who counts as the room's creator, 1 to 2^53 - 1. Made from the stack and the room's name where it is
    left out, so that a room that an interrupted run created is known as the stack's own. Another one opens the room
    anew, which takes that nobody is in it, or `force`; to leave it out later changes nothing."""
    adopt_existing: Setting[bool] = Field(default=False)
    """Whether a room of that name that is open already is taken into care. Default false: it is an error."""
    force: Setting[bool] = Field(default=False)
    """Whether a room with members is ended when the resource is deleted, which throws out everybody. Default false: it
    is left open, with a warning."""
    owner: Setting[str] = Field(default=None)
    """Which resource the room is for: added by the resource class, because a dynamic provider is told no URN."""
    options: Setting[Mapping[str, Any]] = Field(default=None)
    """Which of Pulumi's options the resource has, as in `Conversation.options`."""
    take_over: Setting[bool] = Field(default=False)
    """Whether an open room of another resource of this stack is taken: stated by an event, whose name may change."""
