"""A whole conversation: the create body as flat inputs, and the inputs that only the provider reads."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.blocks import Agent, Asr, Llm, Pipeline, Tts
from rtcai_pulumi.config.end_time import EndTime
from rtcai_pulumi.config.setting import BlockSetting, Setting
from rtcai_pulumi.config.task import TASK_PATTERN

TASK_TYPE: Final = 7
"""``taskType`` of a real-time conversation; with other numbers the same URL starts other products."""

CNAME_MAX_BYTES: Final = 64

ReplaceStrategy = Literal["stop-first", "start-first"]


def _check_room_name(cname: str) -> str:
    """Reject names that no one could type, see or send; which characters a room's name may have is not documented."""
    if len(cname.encode("utf-8", "surrogatepass")) > CNAME_MAX_BYTES:
        raise PydanticCustomError(
            "string_too_long", "must be 1 to 64 bytes of UTF-8; shorten it", {"max_length": CNAME_MAX_BYTES}
        )
    for position, char in enumerate(cname, 1):
        ends = {1: "the beginning", len(cname): "the end"}
        if not char.isprintable() or (position in ends and char.isspace()):
            what = "a space" if char == " " else f"an invisible character (U+{ord(char):04X})"
            where = (
                "the end" if position == len(cname) else "the beginning" if position == 1 else f"position {position}"
            )
            raise PydanticCustomError(
                "room_name", "contains {what} at {where}; remove it", {"what": what, "where": where}
            )
    return cname


def room_name_problem(cname: str) -> str | None:
    """What is wrong with a room's name that is not empty; None if it is valid."""
    try:
        _check_room_name(cname)
    except PydanticCustomError as error:
        return error.message()
    return None


RoomName = Annotated[str, Field(min_length=1, max_length=CNAME_MAX_BYTES), AfterValidator(_check_room_name)]
"""Name of a room, 1 to 64 bytes of UTF-8, without invisible characters, and without spaces at its start or end."""

TaskName = Annotated[str, Field(pattern=TASK_PATTERN)]
"""A task as ``"cid/taskId"``."""


class Data(Block):
    """The blocks: ``data`` of the create body."""

    agent: BlockSetting[Agent] = Field(default=None)
    """A Yunxin agent that provides all settings (mode *agent*); no other block is allowed with it."""
    asr: BlockSetting[Asr] = Field(default=None)
    """Speech recognition. Required in mode *parameters*."""
    llm: BlockSetting[Llm] = Field(default=None)
    """Language model. Required in mode *parameters*."""
    tts: BlockSetting[Tts] = Field(default=None)
    """Speech synthesis. Required in mode *parameters*."""
    pipeline: BlockSetting[Pipeline] = Field(default=None)
    """Interruption and greeting."""


class AgentSettings(Data):
    """The settings that conversations in several rooms may share: everything except the room and the task in it."""

    request_id: Setting[str] = Field(default=None)
    """Free text for troubleshooting. Generated if it is left out; if only this field changes, nothing is done."""
    replace_strategy: Setting[ReplaceStrategy] = Field(default="stop-first")
    """What a replacement in the same room does first. Default ``"stop-first"``: the room has no agent for a moment, but
    two agents never talk to each other. A replacement into another room always starts the new agent first."""
    wait_for_room: Setting[float] = Field(default=0, ge=0, le=3600)
    """How many seconds a create waits for a room that does not exist yet, 0 to 3600. Default 0: it does not wait."""


class Conversation(AgentSettings):
    """All inputs of one `RealtimeConversation`; the property names in state are the camelCase ones."""

    cname: Setting[RoomName] = Field()
    """Name of the room, 1 to 64 bytes of UTF-8. Required."""
    adopt: Setting[TaskName] = Field(default=None)
    """A running task, as ``"cid/taskId"``, to adopt instead of starting a new one. Ignored once the journal or the
    state has ever had that task."""
    ends_at: Setting[EndTime] = Field(default=None)
    """When the agent is to end: ISO 8601 with an offset, as in ``2026-10-13T18:00:00+08:00``, or in a program a
    ``datetime`` with a time zone. Never sent to the service: ``rtcai sweep --over`` stops the agent, and no later run
    starts it again. Default: no end."""
    owner: Setting[str] = Field(default=None)
    """The resource that the task is for. The resource class adds it, because the engine does not pass the URN."""
    options: Setting[Mapping[str, Any]] = Field(default=None)
    """The Pulumi options of the resource that the provider needs and does not get from the engine. The resource class
    adds them."""


HIDDEN: Final = ("owner", "options")
"""Inputs that the resource class adds; a program cannot set them."""


def options_of(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The Pulumi options among the inputs; empty if there are none.

    Possible keys: ``retainOnDelete``, ``deleteBeforeReplace``, ``replaceOnChanges``, ``deletedWith`` and ``import`` for
    the options of these names; ``errorHook``, if there is a hook ``on_error``; ``formerOwners`` for ``aliases``;
    ``roommates``, if the input ``adopt`` is set; and ``problems``, a list of the options that are not supported.
    """
    options = inputs.get("options")
    return options if isinstance(options, Mapping) else {}


def former_owners(inputs: Mapping[str, Any]) -> list[str]:
    """The former owners of a resource, from Pulumi's option ``aliases``, in the form of `Conversation.owner`."""
    names = options_of(inputs).get("formerOwners")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def roommates(inputs: Mapping[str, Any]) -> list[str]:
    """The names of the program's other conversations that may be in the same room; known where ``adopt`` is given."""
    names = options_of(inputs).get("roommates")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def starts_first(inputs: Mapping[str, Any]) -> bool:
    """Whether a replacement in the same room starts the new agent before it stops the old one."""
    strategy = inputs.get("replaceStrategy")
    if strategy is None:
        return options_of(inputs).get("deleteBeforeReplace") is False
    return bool(strategy == "start-first")


BLOCK_NAMES: Final = tuple(Data.wire_names())


class Mode(StrEnum):
    """The three ways to call the service (API page, "请求体示例")."""

    PARAMETERS = "parameters"
    """Every setting from ``asr``, ``llm``, ``tts`` and ``pipeline``."""
    AGENT = "agent"
    """Every setting from the Yunxin agent named in ``agent``."""
    AGENT_AND_PARAMETERS = "agent+parameters"
    """``llm.enableAgent``: settings that the blocks leave out come from the agent."""

    @classmethod
    def of(cls, blocks: Any) -> "Mode":
        """The mode of a body's ``data``, or of flat inputs."""
        llm = blocks.get("llm")
        if blocks.get("agent") is not None:
            return cls.AGENT
        if isinstance(llm, dict) and llm.get("enableAgent") is True:
            return cls.AGENT_AND_PARAMETERS
        return cls.PARAMETERS
