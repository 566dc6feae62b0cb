"""An event as it is stated: a default agent, and the rooms that it is to be in, each with its own changes.

In a program the fields have their snake_case names and may hold what `RealtimeConversation` takes; as a plain dict,
and in an event file, they have camelCase names.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import AgentSettings, RoomName, TaskName
from rtcai_pulumi.config.setting import BlockSetting, Setting

KEY_PATTERN: Final = r"^[^\s:/|\u0000-\u001f\u007f]+$"
"""A part of a resource's name. Colons and slashes would break its URN, a bar the table of the README."""
KEY_RULE: Final = "must be one word without : / and |, because resources are named by it"
_LINK_PATTERN: Final = r"^https?://([^\s{}\u0000-\u001f\u007f]|\{cname\})+$"
_LINK_RULE: Final = (
    "must be an address that begins with http:// or https://, without blanks; {cname} stands for the room's name, and "
    "other braces have no meaning"
)


def is_key(text: str) -> bool:
    """Whether a text can be a part of a resource's name."""
    return re.fullmatch(KEY_PATTERN, text) is not None


def _one_word(name: str) -> str:
    if not is_key(name):
        raise PydanticCustomError("event_name", KEY_RULE)
    return name


def is_address(link: str) -> bool:
    """Whether a text can be shown as a link."""
    return re.fullmatch(_LINK_PATTERN, link) is not None and link.isprintable()


def _address(link: str) -> str:
    if not is_address(link):
        raise PydanticCustomError("event_link", "{rule}", {"rule": _LINK_RULE})
    return link


Link = Annotated[str, AfterValidator(_address), Field(json_schema_extra={"pattern": _LINK_PATTERN})]
_Name = Annotated[str, AfterValidator(_one_word), Field(json_schema_extra={"pattern": KEY_PATTERN})]


class EventRoom(Block):
    """One room of an event."""

    cname: Setting[RoomName] = Field(default=None)
    """Name of the room, 1 to 64 bytes of UTF-8. Default: `Event.room_prefix` and the room's key."""
    agent: BlockSetting[AgentSettings] = Field(default=None)
    """What is different from the event's agent in this room. Objects are merged, lists and all other values replace,
    and null takes away what the default states."""
    adopt: Setting[TaskName] = Field(default=None)
    """A task that runs in the room already, as ``"cid/taskId"``, to be taken into care instead of starting one. Ignored
    once journal or state has ever held that task."""
    link: Setting[Link] = Field(default=None)
    """Where people join this room. Default: `Event.link`."""


class Event(Block):
    """An event: rooms with an AI agent in each."""

    name: Setting[_Name] = Field(default=None)
    """Name of the event: one word. All resources are named by it, so that another name starts every agent anew.
    Default ``"event"``."""
    room_prefix: Setting[str] = Field(default="")
    """What the names of the rooms begin with, before each room's key. Default empty."""
    create_rooms: Setting[bool] = Field(default=False)
    """Whether the rooms are opened, and ended, with their agents: a `Room` for each. A room of that name that is open
    already is an error then. Default false: a room is opened by whoever comes first."""
    link: Setting[Link] = Field(default=None)
    """Where people join a room: an address with ``{cname}`` in the place of the room's name. Shown in the stack's
    README."""
    agent: BlockSetting[AgentSettings] = Field(default=None)
    """The agent that every room has, save what the room states differently."""
    rooms: Setting[Mapping[str, BlockSetting[EventRoom]]] = Field()
    """The rooms, each by a key of its own: one word, which is a part of the names of its resources. Required."""
