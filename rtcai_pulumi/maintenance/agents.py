"""Lists agents: the journal's records compared with the state of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.owner import make_owner, urn_of
from rtcai_pulumi.journal.record import KeepReason, RecordState
from rtcai_pulumi.stack.export import name_of, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.stack.backend import Backend
    from rtcai_pulumi.stack.export import StackExport

_DAY: Final = 86_400


class Mark(StrEnum):
    """What the journal and the state together say about an agent."""

    IN_STATE = "in state"
    """The stack's state has it."""
    UNCLAIMED = "unclaimed"
    """It was started for that stack and is missing from its state: `rtcai sweep` closes it."""
    RETAINED = "retained"
    """Its resource has Pulumi's option retain_on_delete: no run and no `rtcai sweep` closes it."""
    REFUSED = "refused"
    """The service refuses to close it, and a run on another machine has replaced it: the close is not tried again."""
    ONLY_IN_STATE = "only in state"
    """The journal does not know it: it was started on another machine, or long ago."""


def belongs_to_stack(record: Record, export: StackExport, backend: Backend) -> bool:
    """Whether a record belongs to a stack in this backend: a stack with the same name in another backend is another
    stack.
    """
    urn = urn_of(record.owner)
    return stack_of(urn) == export.id and record.owner == make_owner(backend.digest, urn)


def mark_of(record: Record, export: StackExport | None, backend: Backend | None, others: frozenset[str]) -> Mark | None:
    """Return the mark of a record; None if neither the state nor the record gives it one."""
    if export is not None and record.task in export.tasks:
        return Mark.IN_STATE
    if record.is_unfinished and record.is_left_alone and record.kept is not KeepReason.DISOWNED:
        return Mark(record.kept)
    if export is None or backend is None:
        return None
    claimed = record.task in others or not record.is_unfinished
    return Mark.UNCLAIMED if not claimed and belongs_to_stack(record, export, backend) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLine:
    """One agent, or one create that was never answered."""

    record: Record | None
    """None if only the state knows the agent."""
    cname: str | None
    task: str | None
    urn: str
    state: str | None
    lives: bool | None
    """Whether the process that owns the record is still running."""
    uptime: float | None
    """Seconds since the create was requested, as long as there may be an agent."""
    mark: Mark | None

    def as_json(self) -> dict[str, Any]:
        """Return the line for ``--json``."""
        task = TaskReference.parse_if_valid(self.task or "")
        record, stack = self.record, stack_of(self.urn)
        return {
            "cname": self.cname,
            "cid": str(task.cid) if task else None,
            "taskId": task.task_id if task else None,
            "state": self.state,
            "mark": self.mark,
            "urn": self.urn,
            "resource": name_of(self.urn),
            "stack": stack.stack if stack else None,
            "project": stack.project if stack else None,
            "owner": record.owner if record else None,
            "began": record.began_at if record else None,
            "since": record.changed_at if record else None,
            "uptime": self.uptime,
            "processLives": self.lives,
            "requestId": record.request_id if record else None,
            "traceId": record.trace_id if record else None,
            "appKey": record.app_key if record else None,
            "endpoint": record.endpoint if record else None,
        }


def line_of(record: Record, *, lives: bool, now: datetime, mark: Mark | None = None) -> AgentLine:
    """Return a record as a line. A create without an answer is lost when no process waits for the answer any more."""
    lost = record.state is RecordState.ASKED and not lives
    return AgentLine(
        record=record,
        cname=record.cname,
        task=record.task,
        urn=urn_of(record.owner),
        state="lost" if lost else str(record.state),
        lives=lives,
        uptime=max((now - record.start_time).total_seconds(), 0.0) if record.is_unfinished else None,
        mark=mark,
    )


def lines_of_records(
    records: Iterable[Record],
    *,
    lives: Callable[[int], bool],
    now: datetime,
    closed: bool,
    mark: Callable[[Record], Mark | None],
) -> list[AgentLine]:
    """Return the unfinished records and, if requested, the closed ones."""
    return [
        line_of(record, lives=lives(record.process), now=now, mark=mark(record))
        for record in records
        if closed or record.is_unfinished
    ]


def lines_of_state(export: StackExport, records: Iterable[Record]) -> list[AgentLine]:
    """Return the conversations that only the state knows."""
    known = {record.task for record in records}
    return [
        AgentLine(
            record=None,
            cname=stored.cname,
            task=stored.task,
            urn=stored.urn,
            state=None,
            lives=None,
            uptime=None,
            mark=Mark.ONLY_IN_STATE,
        )
        for stored in export.conversations
        if stored.task not in known
    ]


def duration(seconds: float) -> str:
    """Format a time span for people: ``3d 04:05:06``, ``04:05:06``."""
    days, rest = divmod(int(seconds), _DAY)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock
