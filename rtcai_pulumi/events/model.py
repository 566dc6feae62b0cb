"""The declaration of an event: a default agent, and its rooms, each with its own changes.

In a program, the fields have their snake_case names and accept what `RealtimeConversation` accepts. In a plain dict and
in an event file, they have camelCase names.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import AgentSettings, RoomName, TaskName
from rtcai_pulumi.config.end_time import EndTime
from rtcai_pulumi.config.setting import KnownBlockSetting, KnownSetting, Setting

KEY_PATTERN: Final = r"^[^\s:/|\u0000-\u001f\u007f]+$"
"""Part of a resource's name. Colons and slashes would break its URN, a vertical bar the table of the README."""
KEY_RULE: Final = "must be one word without the characters :, / or |, because it is part of resource names"
DEFAULT_NAME: Final = "event"
NO_ROOMS: Final = "has no rooms: `pulumi up` stops all of its agents"
_LINK_PATTERN: Final = r"^https?://([^\s{}\u0000-\u001f\u007f]|\{cname\})+$"
_LINK_RULE: Final = (
    "must be a URL that begins with http:// or https:// and has no spaces; {cname} is replaced by the room's name, "
    "other braces are not allowed"
)


def is_key(text: str) -> bool:
    """Whether a text can be part of a resource's name."""
    return re.fullmatch(KEY_PATTERN, text) is not None


def _require_word(name: str) -> str:
    if not is_key(name):
        raise PydanticCustomError("event_name", KEY_RULE)
    return name


def is_address(link: str) -> bool:
    """Whether a text can be rendered as a link."""
    return re.fullmatch(_LINK_PATTERN, link) is not None and link.isprintable()


def _require_address(link: str) -> str:
    if not is_address(link):
        raise PydanticCustomError("event_link", "{rule}", {"rule": _LINK_RULE})
    return link


Link = Annotated[str, AfterValidator(_require_address), Field(json_schema_extra={"pattern": _LINK_PATTERN})]
_Name = Annotated[str, AfterValidator(_require_word), Field(json_schema_extra={"pattern": KEY_PATTERN})]


class EventRoom(Block):
    """One room of an event."""

    cname: Setting[RoomName] = Field(default=None)
    """Name of the room, 1 to 64 bytes of UTF-8. Default: `Event.room_prefix` and the room's key."""
    agent: KnownBlockSetting[AgentSettings] = Field(default=None)
    """Changes to the event's agent in this room. Objects are merged, lists and all other values replace, and null
    removes a field of the default agent.
    """
    adopt: Setting[TaskName] = Field(default=None)
    """A task that already runs in the room, as ``"cid/taskId"``. It is adopted instead of starting a new one. Ignored
    if the journal or the state has ever contained that task.
    """
    ends_at: Setting[EndTime] = Field(default=None)
    """When the agent of this room is to end; null (Python: None) for no end. Default: `Event.ends_at`."""
    link: Setting[Link] = Field(default=None)
    """The link for joining this room. Default: `Event.link`."""


class Event(Block):
    """An event: rooms with an AI agent in each."""

    name: KnownSetting[_Name] = Field(default=None)
    """Name of the event: one word. All resource names start with it, so another name starts every agent again. Default
    ``"event"``.
    """
    room_prefix: Setting[str] = Field(default="")
    """Prefix of the rooms' names, before each room's key. Default empty."""
    create_rooms: KnownSetting[bool] = Field(default=False)
    """Whether the rooms are opened and ended together with their agents: a `Room` for each. It is then an error if a
    room of that name is already open. Default false: a room is opened by whoever joins first.
    """
    ends_at: Setting[EndTime] = Field(default=None)
    """When the event ends: a point in time in ISO 8601 with an offset. Never sent to the service: ``rtcai sweep
    --over`` stops the agents that are over and, with `create_rooms`, ends their rooms once no one is left in them. No
    later run starts them again. Default: no end.
    """
    link: Setting[Link] = Field(default=None)
    """The link for joining a room: an address with ``{cname}`` as the placeholder for the room's name. Shown in the
    stack's README.
    """
    agent: KnownBlockSetting[AgentSettings] = Field(default=None)
    """The agent of every room, except for the changes in the room."""
    rooms: KnownSetting[Mapping[str, KnownBlockSetting[EventRoom]]] = Field()
    """The rooms by key. A key is one word and becomes part of the names of the room's resources. Required."""
