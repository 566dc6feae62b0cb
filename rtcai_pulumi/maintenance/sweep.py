"""Sweeps one stack: decides what to do about each unfinished record, and closes its task."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.lifecycle.close import close_task
from rtcai_pulumi.maintenance import AgentInUse, CommandError
from rtcai_pulumi.maintenance.agents import Mark, belongs_to_stack, make_line, mark_of
from rtcai_pulumi.maintenance.parallel import AT_ONCE, work_in_parallel
from rtcai_pulumi.maintenance.pending import create_to_json, find_unknown_creates
from rtcai_pulumi.maintenance.records import read_records, take_over
from rtcai_pulumi.maintenance.rooms import end_room, query_room_number
from rtcai_pulumi.service.errors import RtcAiError
from rtcai_pulumi.stack.export import name_of, stack_of, tasks_of
from rtcai_pulumi.stack.source import state_of, why_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.lifecycle.context import Run
    from rtcai_pulumi.stack.export import PendingCreate
    from rtcai_pulumi.stack.source import ExportedState, StateSource


class SweepOutcome(StrEnum):
    """What is planned for a record, or was done."""

    TO_CLOSE = "to close"
    """Its task is in no state: it would be closed."""
    CLOSED = "closed"
    FAILED = "failed"
    """The close failed; the agent may still be in the room."""
    LIVES = "process lives"
    """Skipped: the run that owns the record is still running."""
    NEWER = "newer than the export"
    """Skipped: it changed after the export was made, so the export does not show whether the state has it."""
    LOST = "lost"
    """Skipped: the request to start the agent got no response, so its task is unknown."""
    TO_END_ROOM = "to end its room"
    """A lost create whose room would be ended."""
    ROOM_ENDED = "room ended"
    """A lost create whose room was ended, or was already gone."""


_TO_DO: Final = frozenset({SweepOutcome.TO_CLOSE, SweepOutcome.TO_END_ROOM})


@dataclass(frozen=True, slots=True)
class SweepItem:
    """A record and its outcome."""

    record: Record
    outcome: SweepOutcome
    error: str | None = None

    @property
    def to_do(self) -> bool:
        """Whether there is anything to do for the record."""
        return self.outcome in _TO_DO

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the record for ``--json``, as in `rtcai ls`, with the outcome and the error."""
        line = make_line(self.record, is_running=self.outcome is SweepOutcome.LIVES, now=now)
        fields = {name: value for name, value in line.as_json().items() if name != "mark"}
        return {**fields, "outcome": self.outcome, "error": self.error}

    def __str__(self) -> str:
        record = self.record
        task = f"task {record.task}" if record.task else f"request {record.request_id}, trace {record.trace_id}"
        return f"room {record.cname}, {task} ({name_of(urn_of(record.owner))}, since {record.changed_at})"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep would do for one stack, and what it leaves alone."""

    state: ExportedState
    items: list[SweepItem]
    """The records of the stack that are missing from its state."""
    unknown_creates: list[PendingCreate]
    """Creates that the state has and the journal does not know. They cannot be closed, but an agent may be running."""
    elsewhere: int
    """How many unfinished records belong to a stack of the same name in another backend."""
    neighbours: list[str]
    """A sentence for each other agent in the rooms that would be ended: it would end with its room."""

    @property
    def to_do(self) -> int:
        """For how many records there is something to do."""
        return sum(item.to_do for item in self.items)

    def as_json(self, items: Iterable[SweepItem], now: datetime) -> dict[str, Any]:
        """Return the plan for ``--json``, with the outcome of each item."""
        export, backend = self.state.export, self.state.backend
        return {
            "stack": export.id.stack,
            "project": export.id.project,
            "backend": {"source": backend.source, "url": backend.url, "digest": backend.digest},
            "pendingOperations": list(export.pending_operations),
            "agents": [item.as_json(now) for item in items],
            "unknownCreates": [create_to_json(create) for create in self.unknown_creates],
            "inAnotherBackend": self.elsewhere,
        }


def plan_sweep(
    journal: Journal | None,
    source: StateSource,
    env: Mapping[str, str],
    began: datetime,
    *,
    other_exports: Iterable[str],
    end_room: bool,
) -> SweepPlan:
    """Plan what to do about the records of a stack that are missing from its state.

    Args:
        journal: the journal; None if there is none yet.
        source: the options that select the stack.
        env: the environment.
        began: when the sweep began.
        other_exports: files with the exports of other stacks, whose tasks are left alone.
        end_room: whether to end the rooms of lost creates.

    Raises:
        JournalError: the journal cannot be read.
        UnreadableExport: a state cannot be read.
    """
    # Read before the state: a run that ends while the state is read may have stored something that this state lacks.
    running = _find_running(journal)
    state = state_of(source, env, began)
    other_tasks = tasks_of(other_exports)
    records = read_records(journal)

    def is_running(process: int) -> bool:
        return process in running or (journal is not None and journal.is_running(process))

    items = [
        SweepItem(record, _plan_outcome(record, state, is_running=is_running(record.process), end_room=end_room))
        for record in records
        if mark_of(record, state, other_tasks) is Mark.UNCLAIMED
    ]
    return SweepPlan(
        state,
        items,
        unknown_creates=find_unknown_creates(state, records),
        elsewhere=_count_elsewhere(records, state),
        neighbours=_find_neighbours(items, records, state),
    )


def require_unlocked(plan: SweepPlan, source: StateSource, env: Mapping[str, str]) -> None:
    """Raise an error if the stack is locked: the run that holds the lock may still change the state.

    Raises:
        CommandError: the stack is locked.
    """
    if holder := why_locked(plan.state, source, env):
        advice = "wait until it is unlocked; if the run was killed, `pulumi cancel` unlocks the stack"
        raise CommandError(f"The stack is locked: {holder}. Nothing was closed.", advice)


def _find_running(journal: Journal | None) -> frozenset[int]:
    """Return the running processes that have unfinished records."""
    return frozenset(
        record.process
        for record in read_records(journal)
        if journal is not None and record.is_unfinished and journal.is_running(record.process)
    )


def _plan_outcome(record: Record, state: ExportedState, *, is_running: bool, end_room: bool) -> SweepOutcome:
    if is_running:
        return SweepOutcome.LIVES
    if record.state is RecordState.ASKED:
        return SweepOutcome.TO_END_ROOM if end_room else SweepOutcome.LOST
    return SweepOutcome.NEWER if record.change_time > state.export.made_at else SweepOutcome.TO_CLOSE


def _count_elsewhere(records: Iterable[Record], state: ExportedState) -> int:
    return sum(
        record.is_unfinished
        and stack_of(urn_of(record.owner)) == state.export.id
        and not belongs_to_stack(record, state)
        for record in records
    )


def _find_neighbours(items: Iterable[SweepItem], records: Iterable[Record], state: ExportedState) -> list[str]:
    rooms = {item.record.cname for item in items if item.outcome is SweepOutcome.TO_END_ROOM}
    in_journal = {record.task: record.cname for record in records if record.is_unfinished and record.task}
    in_state = {agent.task: agent.cname for agent in state.export.conversations}
    return sorted(
        f"task {task} would end, because its room {cname} would be ended"
        for task, cname in {**in_journal, **in_state}.items()
        if cname in rooms
    )


def carry_out(
    items: Iterable[SweepItem], run: Run, report: Callable[[str], None], *, at_once: int = AT_ONCE
) -> Iterator[SweepItem]:
    """Carry out a plan, with several records at the same time. A failure affects only its own record.

    Yields:
        Each record as soon as it is done, so in no particular order. It is safe to run the remaining records again.
    """
    to_do = (item for item in items if item.to_do)
    message = "interrupted: nothing further is closed; waiting for the requests in progress"
    yield from work_in_parallel(to_do, lambda item: _carry_out_one(item, run), lambda: report(message), at_once=at_once)


def _carry_out_one(item: SweepItem, run: Run) -> SweepItem:
    record = item.record
    try:
        require_account(record, run.client.settings)
        taken = take_over(record, run.journal)
        if taken is None:  # another run has closed it since it was listed
            return SweepItem(run.journal.record(record.trace_id) or record, SweepOutcome.CLOSED)
        if item.outcome is SweepOutcome.TO_END_ROOM:
            _end_room(taken, run)
        else:
            close_task(taken, run)
    except AgentInUse:
        return SweepItem(record, SweepOutcome.LIVES)
    except RtcAiError as error:
        return SweepItem(record, SweepOutcome.FAILED, error.describe(names_config=False))
    done = SweepOutcome.ROOM_ENDED if item.outcome is SweepOutcome.TO_END_ROOM else SweepOutcome.CLOSED
    return SweepItem(run.journal.record(record.trace_id) or record, done)


def _end_room(record: Record, run: Run) -> None:
    """End the room of a lost create; a room that no longer exists counts as success."""
    require_account(record, run.client.settings, room_api=True)
    # It is unknown which cid the lost create was for: a room of this name that was opened again since is ended, too.
    cid = query_room_number(record.cname, run)
    if cid is not None:
        end_room(cid, record.cname, run)
    run.journal.forget(record)
