"""AI agents in RTC rooms, stated in code: a Pulumi dynamic provider for NetEase Yunxin RTC AI.

`RealtimeConversation` stands for one agent in one room, `Room` for a room itself, `EventRooms` for many rooms with an
agent each; `Agent`, `Asr`, `Llm`, `Tts` and `Pipeline` are the blocks that say what kind of agent.
"""

from rtcai_pulumi.config.blocks import Agent, AgentParam, Asr, Llm, Pipeline, RealTimeParam, Tts
from rtcai_pulumi.config.role import Role
from rtcai_pulumi.conversation import InvalidBody, RealtimeConversation
from rtcai_pulumi.events.rooms import EventRooms
from rtcai_pulumi.room import Room
from rtcai_pulumi.service.errors import (
    AnswerLost,
    AnswerUnreadable,
    ConnectionFailed,
    DuplicateRequest,
    InvalidRequest,
    JournalError,
    NotAuthenticated,
    NotPermitted,
    OtherAccount,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RoomExists,
    RoomNotFound,
    RtcAiError,
    ServerFailed,
    SettingsError,
    TakenOver,
    TaskNotFound,
    WrongEndpoint,
)
from rtcai_pulumi.token import room_token

__all__ = [
    "Agent",
    "AgentParam",
    "AnswerLost",
    "AnswerUnreadable",
    "Asr",
    "ConnectionFailed",
    "DuplicateRequest",
    "EventRooms",
    "InvalidBody",
    "InvalidRequest",
    "JournalError",
    "Llm",
    "NotAuthenticated",
    "NotPermitted",
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
    "RoomNotFound",
    "RtcAiError",
    "ServerFailed",
    "SettingsError",
    "TakenOver",
    "TaskNotFound",
    "Tts",
    "WrongEndpoint",
    "room_token",
]
