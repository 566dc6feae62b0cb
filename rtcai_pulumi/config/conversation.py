"""A whole conversation: the create body laid flat, and the inputs that only the provider reads."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.blocks import Agent, Asr, Llm, Pipeline, Tts
from rtcai_pulumi.config.setting import BlockSetting, Setting

TASK_TYPE: Final = 7
"""``taskType`` of a real-time conversation; the same URL starts other products under other numbers."""

CNAME_MAX_BYTES: Final = 64

ReplaceStrategy = Literal["stop-first", "start-first"]


def _room_name(cname: str) -> str:
    """Refuse what nobody could type, see or send as a room's name; which letters a name may have is not documented."""
    if len(cname.encode("utf-8", "surrogatepass")) > CNAME_MAX_BYTES:
        raise PydanticCustomError("string_too_long", "longer than 64 bytes of UTF-8", {"max_length": CNAME_MAX_BYTES})
    for position, char in enumerate(cname, 1):
        ends = {1: "the beginning", len(cname): "the end"}
        if not char.isprintable() or (position in ends and char.isspace()):
            what = "blank" if char == " " else f"character U+{ord(char):04X}, which cannot be seen,"
            where = (
                "the end" if position == len(cname) else "the beginning" if position == 1 else f"position {position}"
            )
            raise PydanticCustomError("room_name", "a {what} at {where}; take it out", {"what": what, "where": where})
    return cname


def room_name_problem(cname: str) -> str | None:
    """What is wrong with a room's name that is not empty; None where nothing is."""
    try:
        _room_name(cname)
    except PydanticCustomError as error:
        return error.message()
    return None


RoomName = Annotated[str, Field(min_length=1, max_length=CNAME_MAX_BYTES), AfterValidator(_room_name)]
"""Name of a room, 1 to 64 bytes of UTF-8, without characters that cannot be seen and without blanks at its ends."""

TaskName = Annotated[str, Field(pattern=r"^[1-9][0-9]*/\S+$")]
"""A task as ``"cid/taskId"``."""


class Data(Block):
    """The blocks: ``data`` of the create body."""

    agent: BlockSetting[Agent] = Field(default=None)
    """A Yunxin agent that brings all settings (mode *agent*); no other block beside it."""
    asr: BlockSetting[Asr] = Field(default=None)
    """Speech recognition. Required in mode *parameters*."""
    llm: BlockSetting[Llm] = Field(default=None)
    """Language model. Required in mode *parameters*."""
    tts: BlockSetting[Tts] = Field(default=None)
    """Speech synthesis. Required in mode *parameters*."""
    pipeline: BlockSetting[Pipeline] = Field(default=None)
    """Interruption and greeting."""


class AgentSettings(Data):
    """What conversations in several rooms may have in common: everything but the room and the task in it."""

    request_id: Setting[str] = Field(default=None)
    """Free text for troubleshooting. Made up where it is left out; a change of it alone changes nothing."""
    replace_strategy: Setting[ReplaceStrategy] = Field(default="stop-first")
    """What a replacement in the same room does first. Default ``"stop-first"``: the room is silent for a moment, but
    two agents never talk to each other. A replacement into another room always starts the new agent first."""
    wait_for_room: Setting[float] = Field(default=0, ge=0, le=3600)
    """For how many seconds a create waits for a room that does not exist yet, 0 to 3600. Default 0: not at all."""


class Conversation(AgentSettings):
    """Everything that one `RealtimeConversation` is stated with; property names in state are the camelCase ones."""

    cname: Setting[RoomName] = Field()
    """Name of the room, 1 to 64 bytes of UTF-8. Required."""
    adopt: Setting[TaskName] = Field(default=None)
    """A task that runs already, as ``"cid/taskId"``, to be taken into care instead of starting one. Ignored once
    journal or state has ever held that task."""
    owner: Setting[str] = Field(default=None)
    """Which resource the task is for: added by the resource class, because a dynamic provider is told no URN."""
    options: Setting[Mapping[str, Any]] = Field(default=None)
    """Which of Pulumi's options the resource has, as far as the provider needs them and is not told: added by the
    resource class, by the names that `OPTION_NAMES` lists."""


HIDDEN: Final = ("owner", "options")
"""Inputs that the resource class adds; a program cannot state them."""

OPTION_NAMES: Final = {
    "retainOnDelete": "retain_on_delete",
    "deleteBeforeReplace": "delete_before_replace",
    "replaceOnChanges": "replace_on_changes",
    "deletedWith": "deleted_with",
    "import": "import_",
    "problems": "problems",
    "formerOwners": "aliases",
}
"""What `Conversation.options` may hold, each with Pulumi's name in Python."""


def options_of(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Pulumi's options among the inputs; empty where there are none."""
    options = inputs.get("options")
    return options if isinstance(options, Mapping) else {}


def former_owners(inputs: Mapping[str, Any]) -> list[str]:
    """The names that a resource had before, by Pulumi's option ``aliases``, as `Conversation.owner` has the current."""
    names = options_of(inputs).get("formerOwners")
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
    """``llm.enableAgent``: what the blocks leave out comes from the agent."""

    @classmethod
    def of(cls, blocks: Any) -> "Mode":
        """The mode that a body's ``data``, or flat inputs, ask for."""
        llm = blocks.get("llm")
        if blocks.get("agent") is not None:
            return cls.AGENT
        if isinstance(llm, dict) and llm.get("enableAgent") is True:
            return cls.AGENT_AND_PARAMETERS
        return cls.PARAMETERS
