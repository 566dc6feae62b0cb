"""The records of the journal: of a task, from before its create is sent until it is closed, and of a room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.config.conversation import options_of
from rtcai_pulumi.config.end_time import ends_at_of
from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.service.settings import room_endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.service.settings import Settings


class RecordState(StrEnum):
    """The progress of a create and of the task that it started."""

    ASKED = "asked"
    """The request may be on its way, or may have been sent before: the response is not known."""
    OPEN = "open"
    """The service responded: the task runs."""
    CLOSING = "closing"
    """A close may be on its way."""
    CLOSED = "closed"
    """The task is closed, or definitely gone."""


FROM_STATE: Final = "state-"
"""The prefix of the trace id of a record that was made from a state: the trace id of its create is not known."""


NOBODY: Final = ""
"""The owner of a room that is about to end: a state that still names it is out of date, because the run was killed."""


class KeepReason(StrEnum):
    """Why a task that no state has any more is left alone."""

    NO = ""
    """No reason: a later run closes it."""
    RETAINED = "retained"
    """Its resource has Pulumi's option ``retain_on_delete``."""
    REFUSED = "refused"
    """The service refuses to close it, and another machine's run has replaced it. This was reported once."""
    DISOWNED = "disowned"
    """An engine had it under a name that now has another agent. It may belong to another name or another stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the journal. It holds no secret: only a digest of the configuration."""

    trace_id: str
    """``X-custom-traceid`` of the create; identifies the record."""
    owner: str
    """The resource that it was created for: a digest of the backend's URL, and the resource's URN."""
    app_key: str
    endpoint: str
    room_endpoint: str
    """The room API to ask about its room; "no such room" from another room API means nothing."""
    cname: str
    request_id: str
    digest: str
    """SHA-256 of the canonical form of the configuration."""
    process: int
    """The plugin process that owns the record; see `Journal.is_running`."""
    state: RecordState = RecordState.ASKED
    cid: int | None = None
    task_id: str | None = None
    handed: bool = False
    """Whether the task was returned to an engine, which may or may not have stored it."""
    stored: bool = False
    """Whether an engine definitely has the task in its state: its run ended normally, or it named the task later."""
    kept: KeepReason = KeepReason.NO
    began_at: str = ""
    """When the record was written, before its first request: ISO 8601, UTC."""
    changed_at: str = ""
    """When the state last changed: ISO 8601, UTC."""
    ends_at: str = ""
    """When the agent is to end: ISO 8601, UTC; empty if no end is set."""
    origin: str = ""
    """Where its run was: the user and the host, and the CI job if the environment names one."""

    @property
    def task(self) -> str | None:
        """The task as engines know it, ``{cid}/{taskId}``; None if the response is not known."""
        if self.cid is None or self.task_id is None:
            return None
        return str(TaskReference(self.cid, self.task_id))

    @property
    def is_from_state(self) -> bool:
        """Whether it was made from a state, for a task that an older release or another machine's run had started."""
        return self.trace_id.startswith(FROM_STATE)

    @classmethod
    def from_state(cls, resource_id: str, outputs: Mapping[str, Any], *, process: int) -> Self:
        """The record of a task that only the state knows, from an older release or another machine.

        Args:
            resource_id: ``{cid}/{taskId}``.
            outputs: the outputs in the state.
            process: the process that owns the record.
        """
        task = TaskReference.parse(resource_id)
        return cls(
            trace_id=f"{FROM_STATE}{task.cid}-{task.task_id}",
            owner=str(outputs.get("owner") or ""),
            app_key=str(outputs["appKey"]),
            endpoint=str(outputs["endpoint"]),
            room_endpoint=str(outputs.get("roomEndpoint") or room_endpoint_of(str(outputs["endpoint"]))),
            cname=str(outputs["cname"]),
            request_id=str(outputs.get("requestId") or ""),
            digest=DesiredAgent(outputs).digest,
            process=process,
            state=RecordState.OPEN,
            cid=task.cid,
            task_id=task.task_id,
            handed=True,
            stored=True,
            kept=keep_reason_of(outputs),
            ends_at=ends_at_of(outputs),
        )

    @classmethod
    def for_create(cls, agent: DesiredAgent, settings: Settings, process: int, new_id: Callable[[], str]) -> Self:
        """The record of a create that is about to be sent.

        Args:
            agent: the agent, with the resource that it is for.
            settings: the account that the create is sent with.
            process: the process that owns the record.
            new_id: makes a trace id, and a request id if the inputs have none.
        """
        return cls(
            trace_id=new_id().replace("-", ""),
            owner=agent.owner,
            app_key=settings.app_key,
            endpoint=settings.endpoint,
            room_endpoint=settings.room_endpoint,
            cname=agent.cname,
            request_id=str(agent.inputs.get("requestId") or new_id()),
            digest=agent.digest,
            process=process,
            kept=keep_reason_of(agent.inputs),
            ends_at=agent.ends_at,
        )

    @property
    def start_time(self) -> datetime:
        """When the record was written."""
        return datetime.fromisoformat(self.began_at)

    @property
    def change_time(self) -> datetime:
        """When the record last changed."""
        return datetime.fromisoformat(self.changed_at)

    @property
    def is_left_alone(self) -> bool:
        """Whether no run closes the task because of this record.

        A retained task is left alone only after an engine has it in its state; a task that a killed run started is not.
        """
        return self.kept in {KeepReason.REFUSED, KeepReason.DISOWNED} or (
            self.kept is KeepReason.RETAINED and self.stored
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether this record means that an agent may be in the room."""
        return self.state is not RecordState.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecord:
    """The journal's data about one room that a `Room` has opened or adopted."""

    app_key: str
    room_endpoint: str
    cid: int
    cname: str
    owner: str
    """The resource that it belongs to, as in `Record.owner`; empty as soon as the room is about to end."""
    changed_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAgent:
    """An agent in the stack's state, as of the last checkpoint."""

    task: str
    """``{cid}/{taskId}``."""
    urn: str
    outputs: Mapping[str, Any]
    deleted_with: str | None = None
    """The URN of a resource; when it is deleted, the engine drops this agent without calling the provider."""

    @property
    def cid(self) -> int:
        """The number of the agent's room."""
        return TaskReference.parse(self.task).cid


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """The contents of a stack's state, as of the last checkpoint."""

    agents: Sequence[StateAgent] = ()
    rooms: Sequence[tuple[int, str]] = ()
    """The rooms by number, each with the owner that its resource names."""


def keep_reason_of(inputs: Mapping[str, Any]) -> KeepReason:
    """Whether a task keeps running when its resource is removed from the program."""
    return KeepReason.RETAINED if options_of(inputs).get("retainOnDelete") is True else KeepReason.NO
