"""The records of the journal: a task from before its create is sent until it is closed, and a room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from rtcai_pulumi.config.canonical import digest
from rtcai_pulumi.config.conversation import options_of
from rtcai_pulumi.service.settings import room_endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtcai_pulumi.service.settings import Settings


class State(StrEnum):
    """How far a create, and the task that it started, have come."""

    ASKED = "asked"
    """The request may be on its way, or may have been: no answer is known."""
    OPEN = "open"
    """The service answered: the task runs."""
    CLOSING = "closing"
    """A close may be on its way."""
    CLOSED = "closed"
    """The task is closed, or surely gone."""


FROM_STATE: Final = "state-"
"""How the trace id of a record begins that was made from a state: its create's own is not known."""


NOBODY: Final = ""
"""The owner of a room whose end has begun: a state that still names it, because the run was killed, is out of date."""


class Kept(StrEnum):
    """Why a task is left alone that no state has any more."""

    NO = ""
    """It is not: a later run closes it."""
    RETAINED = "retained"
    """Its resource has Pulumi's option ``retain_on_delete``."""
    REFUSED = "refused"
    """The service refuses to close it, and another machine's run has replaced it: it was reported once."""
    DISOWNED = "disowned"
    """An engine had it under a name that another agent has now: another name, or another stack, may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of the journal. It holds no secret: of the configuration only a digest."""

    trace_id: str
    """``X-custom-traceid`` of the create; names the record."""
    owner: str
    """Which resource it was for: a digest of the backend's URL, and the resource's URN."""
    app_key: str
    endpoint: str
    room_endpoint: str
    """The room API that may be asked about its room; another one's "no such room" means nothing."""
    cname: str
    request_id: str
    digest: str
    """SHA-256 of the canonical form that was asked for."""
    process: int
    """The plugin process that answers for it; see `Journal.lives`."""
    state: State = State.ASKED
    cid: int | None = None
    task_id: str | None = None
    handed: bool = False
    """Whether the task was handed to an engine, which may or may not have stored it."""
    stored: bool = False
    """Whether an engine has the task in its state for sure: its run ended in order, or it named the task later."""
    kept: Kept = Kept.NO
    began_at: str = ""
    """When the record was written, before its first request: ISO 8601, UTC."""
    changed_at: str = ""
    """When the state last changed: ISO 8601, UTC."""

    @property
    def task(self) -> str | None:
        """The task as engines know it, ``{cid}/{taskId}``; None where no answer is known."""
        return f"{self.cid}/{self.task_id}" if self.task_id is not None else None

    @property
    def is_from_state(self) -> bool:
        """Whether it was made from a state: of a task that another machine's run, or an older release, had started."""
        return self.trace_id.startswith(FROM_STATE)

    @classmethod
    def from_state(cls, resource_id: str, outputs: Mapping[str, Any], *, process: int) -> Self:
        """The record of a task that only the state knows: of an older release, or of another machine.

        Args:
            resource_id: ``{cid}/{taskId}``.
            outputs: what the state holds.
            process: the process that answers for the record.
        """
        cid, _, task_id = resource_id.partition("/")
        return cls(
            trace_id=f"{FROM_STATE}{cid}-{task_id}",
            owner=str(outputs.get("owner") or ""),
            app_key=str(outputs["appKey"]),
            endpoint=str(outputs["endpoint"]),
            room_endpoint=str(outputs.get("roomEndpoint") or room_endpoint_of(str(outputs["endpoint"]))),
            cname=str(outputs["cname"]),
            request_id=str(outputs.get("requestId") or ""),
            digest=digest(outputs),
            process=process,
            state=State.OPEN,
            cid=int(cid),
            task_id=task_id,
            handed=True,
            stored=True,
            kept=kept_of(outputs),
        )

    @classmethod
    def for_create(
        cls, inputs: Mapping[str, Any], owner: str, settings: Settings, process: int, new_id: Callable[[], str]
    ) -> Self:
        """The record of a create that is about to be sent.

        Args:
            inputs: what is asked for.
            owner: for whom.
            settings: the account that it is sent under.
            process: the process that answers for the record.
            new_id: makes a trace id, and a request id where none is stated.
        """
        return cls(
            trace_id=new_id().replace("-", ""),
            owner=owner,
            app_key=settings.app_key,
            endpoint=settings.endpoint,
            room_endpoint=settings.room_endpoint,
            cname=str(inputs["cname"]),
            request_id=str(inputs.get("requestId") or new_id()),
            digest=digest(inputs),
            process=process,
            kept=kept_of(inputs),
        )

    @property
    def start_time(self) -> datetime:
        """When the record was written."""
        return datetime.fromisoformat(self.began_at)

    @property
    def change_time(self) -> datetime:
        """When the record changed last."""
        return datetime.fromisoformat(self.changed_at)

    @property
    def left_alone(self) -> bool:
        """Whether no run closes the task on account of this record.

        A retained one is left alone only once an engine has it in its state: what a killed run has started is not.
        """
        return self.kept in {Kept.REFUSED, Kept.DISOWNED} or (self.kept is Kept.RETAINED and self.stored)

    @property
    def unfinished(self) -> bool:
        """Whether there may be an agent in the room on account of this record."""
        return self.state is not State.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecord:
    """What the journal knows of one room that a `Room` has opened or adopted."""

    app_key: str
    room_endpoint: str
    cid: int
    cname: str
    owner: str
    """Which resource it belongs to, as in `Record.owner`; empty once its end has begun."""
    changed_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAgent:
    """An agent that the stack's state has, as of its last checkpoint."""

    task: str
    """``{cid}/{taskId}``."""
    urn: str
    outputs: Mapping[str, Any]
    deleted_with: str | None = None
    """The URN of a resource with which the engine drops it, without asking the provider."""

    @property
    def cid(self) -> int:
        """The number of the room that it is in."""
        return int(self.task.partition("/")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """What the state of a stack has, as of its last checkpoint."""

    agents: Sequence[StateAgent] = ()
    rooms: Sequence[tuple[int, str]] = ()
    """The rooms by their numbers, each with the owner that its resource states."""


def kept_of(inputs: Mapping[str, Any]) -> Kept:
    """Whether a task is to be left alone where its resource is no longer declared."""
    return Kept.RETAINED if options_of(inputs).get("retainOnDelete") is True else Kept.NO
