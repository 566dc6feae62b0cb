"""Lists agents: compares the records of the journal with the state of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.end_time import parse_end_time
from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.owner import make_owner, urn_of
from rtcai_pulumi.journal.record import KeepReason, RecordState
from rtcai_pulumi.lifecycle.end_time import describe_end, has_ended, may_stop
from rtcai_pulumi.maintenance import NotInJournal
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.stack.export import name_of, stack_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.journal.reader import JournalReader
    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.stack.source import ExportedState

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


def belongs_to_stack(record: Record, state: ExportedState) -> bool:
    """Whether a record belongs to a stack: a stack with the same name in another backend is another stack."""
    urn = urn_of(record.owner)
    return stack_of(urn) == state.export.id and record.owner == make_owner(state.backend.digest, urn)


def mark_of(record: Record, state: ExportedState | None, other_tasks: frozenset[str]) -> Mark | None:
    """Return the mark of a record; None if neither the state nor the record gives it one.

    Args:
        record: the record.
        state: the state of the selected stack.
        other_tasks: the tasks in the states of other stacks.
    """
    if state is not None and record.task in state.export.tasks:
        return Mark.IN_STATE
    if record.is_unfinished and record.is_left_alone and record.kept is not KeepReason.DISOWNED:
        return Mark(record.kept)
    if state is None or not record.is_unfinished or record.task in other_tasks:
        return None
    return Mark.UNCLAIMED if belongs_to_stack(record, state) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLine:
    """One agent, or one lost create."""

    record: Record | None
    """None if only the state knows the agent."""
    cname: str | None
    task: str | None
    urn: str
    state: str | None
    is_running: bool | None
    """Whether the process that owns the record is still running."""
    uptime: float | None
    """Seconds since the create was requested, as long as there may be an agent."""
    mark: Mark | None
    ends_at: str = ""
    """When the agent is to end: ISO 8601, UTC; empty if it has no end."""

    def has_ended(self, now: datetime) -> bool:
        """Whether the agent's time is over, and `rtcai sweep --over` stops it, or the state alone knows it."""
        return has_ended(self.ends_at, now) if self.record is None else may_stop(self.record, now)

    def describe_end(self, now: datetime) -> str:
        """Return how far away its end is; empty if it has none, or is closed."""
        return describe_end(self.ends_at, now) if self.record is None or self.record.is_unfinished else ""

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
            "endsAt": self.ends_at or None,
            "processLives": self.is_running,
            "requestId": record.request_id if record else None,
            "traceId": record.trace_id if record else None,
            "appKey": record.app_key if record else None,
            "endpoint": record.endpoint if record else None,
            "origin": (record.origin or None) if record else None,
        }


def list_agents(
    journal: Journal | None,
    state: ExportedState | None,
    other_tasks: frozenset[str],
    *,
    include_closed: bool,
    now: datetime,
) -> list[AgentLine]:
    """Return the unfinished records, if requested also the closed ones, and then the agents that only the state knows.

    Raises:
        JournalError: the journal cannot be read.
    """
    records = read_records(journal)
    is_running = cache(journal.is_running) if journal else None  # many records name the same process
    lines = [
        make_line(
            record,
            is_running=is_running is not None and is_running(record.process),
            now=now,
            mark=mark_of(record, state, other_tasks),
        )
        for record in records
        if include_closed or record.is_unfinished
    ]
    return lines + _lines_of_state(state, records)


def find_agent(name: str, journal: Journal | None, state: ExportedState | None, now: datetime) -> AgentLine:
    """Return the agent with a task or a trace id.

    Raises:
        NotInJournal: neither the journal nor the state knows it.
        JournalError: the journal cannot be read.
    """
    all_records = read_records(journal)
    records = [record for record in all_records if name in {record.task, record.trace_id}]
    if journal is not None and records:
        # If several records name the same task, use the one that may still have an agent.
        record = max(records, key=lambda record: (record.is_unfinished, record.changed_at))
        mark = mark_of(record, state, frozenset()) if state else None
        return make_line(record, is_running=journal.is_running(record.process), now=now, mark=mark)
    for line in _lines_of_state(state, all_records):
        if line.task == name:
            return line
    summary = f"Neither the journal nor the state knows {name}." if state else f"The journal does not know {name}."
    raise NotInJournal(summary, advice="`rtcai ls --all` lists all known agents")


def read_ends(reader: JournalReader) -> dict[tuple[int, str], str]:
    """Return the end of each task that has one, running or closed, by the room's number and the task's id.

    Raises:
        JournalError: the journal cannot be read.
    """
    ends: dict[tuple[int, str], str] = {}
    for record in reader.records():
        end = parse_end_time(record.ends_at)
        if end is not None and record.cid is not None and record.task_id is not None:
            key = record.cid, record.task_id
            other = parse_end_time(ends.get(key))
            # If journals were copied into one, a task may have two records. The later end counts, as for the sweep.
            ends[key] = ends[key] if other is not None and other > end else record.ends_at
    return ends


def make_line(record: Record, *, is_running: bool, now: datetime, mark: Mark | None = None) -> AgentLine:
    """Return a record as a line. A create without a response is lost if no process waits for the response."""
    is_lost = record.state is RecordState.ASKED and not is_running
    return AgentLine(
        record=record,
        cname=record.cname,
        task=record.task,
        urn=urn_of(record.owner),
        state="lost" if is_lost else str(record.state),
        is_running=is_running,
        uptime=max((now - record.start_time).total_seconds(), 0.0) if record.is_unfinished else None,
        mark=mark,
        ends_at=record.ends_at,
    )


def _lines_of_state(state: ExportedState | None, records: Iterable[Record]) -> list[AgentLine]:
    """Return the conversations that only the state knows."""
    known_tasks = {record.task for record in records}
    return [
        AgentLine(
            record=None,
            cname=agent.cname,
            task=agent.task,
            urn=agent.urn,
            state=None,
            is_running=None,
            uptime=None,
            mark=Mark.ONLY_IN_STATE,
            ends_at=agent.ends_at,
        )
        for agent in (state.export.conversations if state else ())
        if agent.task not in known_tasks
    ]


def format_duration(seconds: float) -> str:
    """Format a time span for people: ``3d 04:05:06``, ``04:05:06``."""
    days, rest = divmod(int(seconds), _DAY)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock
