"""Manage AI agents in RTC rooms as code: a Pulumi dynamic provider for NetEase Yunxin RTC AI.

`RealtimeConversation` is one agent in one room, `Room` is a room itself, and `EventRooms` is many rooms with one agent
each. `Agent`, `Asr`, `Llm`, `Tts` and `Pipeline` are the blocks that configure an agent.

A name is imported when it is first used. So the plugin process, which loads only the provider, never loads the modules
with which a program declares resources, and a program that declares single rooms loads no event files.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.module_loading import pause_garbage_collection

if TYPE_CHECKING:
    from rtcai_pulumi.config.blocks import Agent, AgentParam, Asr, Llm, Pipeline, RealTimeParam, Role, Tts
    from rtcai_pulumi.conversation import InvalidBody, RealtimeConversation
    from rtcai_pulumi.events.rooms import EventRooms
    from rtcai_pulumi.room import Room
    from rtcai_pulumi.service.errors import (
        AnswerLost,
        AnswerUnreadable,
        ConnectionFailed,
        DuplicateRequest,
        EndBeforeStart,
        EndPassed,
        Interrupted,
        InvalidRequest,
        JournalError,
        NotAuthenticated,
        NotPermitted,
        NotReplaced,
        OtherAccount,
        OutcomeUnknown,
        RateLimited,
        Refused,
        RoomExists,
        RoomInUse,
        RoomNotFound,
        RtcAiError,
        ServerFailed,
        SettingsError,
        TakenOver,
        TaskNotFound,
        UntrustedCertificate,
        WrongEndpoint,
    )
    from rtcai_pulumi.token import room_token

_MODULES = {
    "rtcai_pulumi.config.blocks": ("Agent", "AgentParam", "Asr", "Llm", "Pipeline", "RealTimeParam", "Role", "Tts"),
    "rtcai_pulumi.conversation": ("InvalidBody", "RealtimeConversation"),
    "rtcai_pulumi.events.rooms": ("EventRooms",),
    "rtcai_pulumi.room": ("Room",),
    "rtcai_pulumi.token": ("room_token",),
}
_ERRORS = "rtcai_pulumi.service.errors"
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Agent",
    "AgentParam",
    "AnswerLost",
    "AnswerUnreadable",
    "Asr",
    "ConnectionFailed",
    "DuplicateRequest",
    "EndBeforeStart",
    "EndPassed",
    "EventRooms",
    "Interrupted",
    "InvalidBody",
    "InvalidRequest",
    "JournalError",
    "Llm",
    "NotAuthenticated",
    "NotPermitted",
    "NotReplaced",
    "OtherAccount",
    "OutcomeUnknown",
    "Pipeline",
    "RateLimited",
    "RealTimeParam",
    "RealtimeConversation",
    "Refused",
    "Role",
    "Room",
    "RoomExists",
    "RoomInUse",
    "RoomNotFound",
    "RtcAiError",
    "ServerFailed",
    "SettingsError",
    "TakenOver",
    "TaskNotFound",
    "Tts",
    "UntrustedCertificate",
    "WrongEndpoint",
    "room_token",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    with pause_garbage_collection():
        value = globals()[name] = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
