"""Sweeps one stack: decides what to do about each unfinished record, and closes its task."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.close import close_task
from rtcai_pulumi.lifecycle.context import require_account, require_room_api
from rtcai_pulumi.maintenance import AgentInUse
from rtcai_pulumi.maintenance.agents import Mark, belongs_to_stack, line_of, mark_of
from rtcai_pulumi.maintenance.records import take_over
from rtcai_pulumi.maintenance.rooms import end_room, query_number
from rtcai_pulumi.service.errors import RtcAiError
from rtcai_pulumi.stack.export import name_of, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from rtcai_pulumi.lifecycle.context import Run
    from rtcai_pulumi.stack.backend import Backend
    from rtcai_pulumi.stack.export import StackExport


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
    """Skipped: its create was never answered, so there is no known task to close."""
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
        line = line_of(self.record, lives=self.outcome is SweepOutcome.LIVES, now=now)
        shown = {name: value for name, value in line.as_json().items() if name != "mark"}
        return {**shown, "outcome": self.outcome, "error": self.error}

    def __str__(self) -> str:
        record = self.record
        task = f"task {record.task}" if record.task else f"request {record.request_id}, trace {record.trace_id}"
        return f"room {record.cname}, {task} ({name_of(urn_of(record.owner))}, since {record.changed_at})"


def plan(
    records: Iterable[Record],
    export: StackExport,
    backend: Backend,
    *,
    others: frozenset[str],
    lives: Callable[[int], bool],
    end_room: bool = False,
) -> list[SweepItem]:
    """Plan what to do about the records of the exported stack that are missing from its state.

    Args:
        records: the records of the journal.
        export: the stack's state.
        backend: the backend that stores it.
        others: tasks in the states of other stacks.
        lives: returns whether a process is still running.
        end_room: whether to end the rooms of lost creates.
    """
    unclaimed = (record for record in records if mark_of(record, export, backend, others) is Mark.UNCLAIMED)
    return [
        SweepItem(record, _outcome(record, export, alive=lives(record.process), end_room=end_room))
        for record in unclaimed
    ]


def _outcome(record: Record, export: StackExport, *, alive: bool, end_room: bool) -> SweepOutcome:
    if alive:
        return SweepOutcome.LIVES
    if record.state is RecordState.ASKED:
        return SweepOutcome.TO_END_ROOM if end_room else SweepOutcome.LOST
    return SweepOutcome.NEWER if record.change_time > export.made_at else SweepOutcome.TO_CLOSE


def count_elsewhere(records: Iterable[Record], export: StackExport, backend: Backend) -> int:
    """Return how many unfinished records belong to a stack of the same name in another backend."""
    return sum(
        record.is_unfinished
        and stack_of(urn_of(record.owner)) == export.id
        and not belongs_to_stack(record, export, backend)
        for record in records
    )


def find_neighbours(swept: Iterable[SweepItem], records: Iterable[Record], export: StackExport) -> list[str]:
    """Return the other agents in the rooms to be ended: they would be ended with the rooms."""
    rooms = {each.record.cname for each in swept if each.outcome is SweepOutcome.TO_END_ROOM}
    known = {record.task: record.cname for record in records if record.is_unfinished and record.task}
    stored = {each.task: each.cname for each in export.conversations}
    return sorted(f"task {task} in room {cname}" for task, cname in {**known, **stored}.items() if cname in rooms)


def carry_out(
    planned: Iterable[SweepItem], run: Run, tell: Callable[[str], None], *, at_once: int = 8
) -> Iterator[SweepItem]:
    """Carry out the plan, with several records at the same time. A failure affects only its own record.

    Yields:
        Each record as soon as it is done, so in no particular order. It is safe to run the remaining records again.
    """
    with ThreadPoolExecutor(at_once) as pool:
        waiting = {pool.submit(_carry_out_one, each, run) for each in planned if each.to_do}
        try:
            for done in as_completed(waiting):
                yield done.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            tell("interrupted: nothing further is closed; what is under way is waited for")
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _carry_out_one(swept: SweepItem, run: Run) -> SweepItem:
    record = swept.record
    try:
        require_account(record, run.client.settings)
        taken = take_over(record, run.journal)
        if taken is None:  # another run has closed it since it was listed
            return SweepItem(run.journal.record(record.trace_id) or record, SweepOutcome.CLOSED)
        if swept.outcome is SweepOutcome.TO_END_ROOM:
            _end_room(taken, run)
        else:
            close_task(taken, run)
    except AgentInUse:
        return SweepItem(run.journal.record(record.trace_id) or record, SweepOutcome.LIVES)
    except RtcAiError as error:
        return SweepItem(record, SweepOutcome.FAILED, str(error))
    done = SweepOutcome.ROOM_ENDED if swept.outcome is SweepOutcome.TO_END_ROOM else SweepOutcome.CLOSED
    return SweepItem(run.journal.record(record.trace_id) or record, done)


def _end_room(record: Record, run: Run) -> None:
    """End the room of a lost create; a room that no longer exists counts as success."""
    require_room_api(record, run.client.settings)
    # It is unknown which cid the lost create was for: a room of this name that was opened again since is ended, too.
    cid = query_number(record.cname, run)
    if cid is not None:
        end_room(cid, record.cname, run)
    run.journal.forget(record)
