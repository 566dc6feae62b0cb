"""What the journal knows of one create, from before its first byte is sent until its task is closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


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
