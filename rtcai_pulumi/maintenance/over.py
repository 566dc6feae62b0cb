"""Stops the agents whose time is over, and ends the rooms that an event has opened for them.

This reads only the journal: it needs neither a stack's state nor the Pulumi CLI. It may run at any time, also during
another run or another sweep: `lifecycle.close.close_task_unless_changed` and `_end_room` say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import NOBODY, Record, RecordState, RoomRecord
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.lifecycle.close import close_task_unless_changed
from rtcai_pulumi.lifecycle.end_time import describe_end, has_ended, may_stop
from rtcai_pulumi.lifecycle.room_end import is_empty, record_end
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.maintenance.agents import make_line
from rtcai_pulumi.maintenance.parallel import work_in_parallel
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.service.errors import RoomNotFound, RtcAiError
from rtcai_pulumi.service.retry import HARMLESS, QUERY
from rtcai_pulumi.stack.export import name_of, stack_of
from rtcai_pulumi.stack.owner import owner_of_event_room, owner_prefix, prefix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.lifecycle.context import Run


_INTERRUPTED: Final = "interrupted: nothing further is stopped; waiting for the requests in progress"


class OverOutcome(StrEnum):
    """What is planned for an agent that is over, or was done."""

    TO_STOP = "to stop"
    STOPPED = "stopped"
    FAILED = "failed"
    """It could not be stopped, and may still be in its room."""
    IN_USE = "in use"
    """Left alone: a running process works on it, or has just changed it."""
    LOST = "lost"
    """The request to start it got no response, so its task is unknown and cannot be stopped."""


class RoomOutcome(StrEnum):
    """What is planned for the room of an agent that is over, or was done."""

    TO_END = "to end"
    """It would be ended if no one is in it."""
    ENDED = "ended"
    LEFT_OPEN = "left open"
    """Somebody may be in it, or a running process uses it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OverItem:
    """An agent that is over, and its outcome."""

    record: Record
    outcome: OverOutcome
    error: str | None = None

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the agent for ``--json``, as in `rtcai ls`, with the outcome and the error."""
        line = make_line(self.record, is_running=self.outcome is OverOutcome.IN_USE, now=now)
        fields = {name: value for name, value in line.as_json().items() if name != "mark"}
        return {**fields, "outcome": self.outcome, "error": self.error}

    def describe(self, now: datetime) -> str:
        """Return the agent as a line for people."""
        record = self.record
        task = f"task {record.task}" if record.task else f"request {record.request_id}, trace {record.trace_id}"
        stack = stack_of(urn_of(record.owner))
        where = f"{name_of(urn_of(record.owner))} in {stack}" if stack else "no stack"
        return f"room {record.cname}, {task} ({where}, {describe_end(record.ends_at, now)})"


@dataclass(frozen=True, slots=True)
class RoomItem:
    """A room that an event has opened and whose agent is over, and its outcome."""

    room: RoomRecord
    outcome: RoomOutcome
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the room for ``--json``."""
        urn = urn_of(self.room.owner)
        stack = stack_of(urn)
        return {
            "cname": self.room.cname,
            "cid": str(self.room.cid),
            "resource": name_of(urn),
            "stack": stack.stack if stack else None,
            "project": stack.project if stack else None,
            "outcome": self.outcome,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"room {self.room.cname} (cid {self.room.cid}){reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The agents to look at: those of one stack, or all in the journal."""

    stack: str | None = None
    """The stack by its name, ``NAME`` or ``PROJECT/NAME``; None selects all stacks."""
    project: str | None = None
    backend: str | None = None
    """URL of the stack's backend."""
    folder: Path | None = None
    """The folder to which a relative URL refers."""

    def select(self, records: Iterable[Record]) -> list[Record]:
        """Return the records of the selected stack.

        Raises:
            CommandError: several stacks have this name; a scheduled command must not stop the agents of all of them.
        """
        selected = [record for record in records if self._matches(record)]
        stacks = {(prefix_of(record.owner), str(stack_of(urn_of(record.owner)))) for record in selected}
        if self.stack is not None and len(stacks) > 1:
            names = ", ".join(sorted(f"{name} in the backend with the digest {prefix}" for prefix, name in stacks))
            advice = "name the project with --project-name and the backend with --backend, or use --all"
            raise CommandError(f"Several stacks are called {self.stack}: {names}.", advice)
        return selected

    def _matches(self, record: Record) -> bool:
        if self.stack is None:
            return True
        stack = stack_of(urn_of(record.owner))
        if stack is None or self.stack not in {stack.stack, str(stack)} or self.project not in {None, stack.project}:
            return False
        return self.backend is None or prefix_of(record.owner) == owner_prefix({}, self.backend, self.folder)


@dataclass(frozen=True, slots=True)
class OverPlan:
    """The agents that are over, and the rooms of events among them."""

    items: list[OverItem]
    rooms: list[RoomItem]
    is_stack_known: bool = True
    """Whether the journal has any record of the selected stack."""


def plan_over(journal: Journal, selection: Selection, now: datetime, grace: timedelta) -> OverPlan:
    """Find the agents that are over, and the rooms of events whose agents are over; nothing is sent.

    Args:
        journal: the journal.
        selection: which stacks to look at.
        now: the time.
        grace: how long an agent may run after its end.

    Raises:
        CommandError: the selection is ambiguous.
        JournalError: the journal cannot be read.
    """
    all_records = read_records(journal)
    records = selection.select(all_records)
    # If the journals of two machines were copied into one, a task may have two records, and one alone has a later end.
    not_over = {each.task for each in all_records if each.is_unfinished and not may_stop(each, now, grace)} - {None}
    items = [
        OverItem(record, _plan_outcome(record, journal))
        for record in records
        if may_stop(record, now, grace) and record.task not in not_over
    ]
    busy = {item.record.owner for item in items if item.outcome is not OverOutcome.TO_STOP}
    owners = {owner: record for record in records if (owner := owner_of_event_room(record.owner))}
    rooms = [
        RoomItem(room, RoomOutcome.TO_END)
        for room in journal.rooms()
        if room.owner != NOBODY
        and (last := owners.get(room.owner)) is not None
        and last.cid == room.cid
        and last.owner not in busy
        and has_ended(last.ends_at, now - grace)
    ]
    return OverPlan(items, rooms, is_stack_known=selection.stack is None or bool(records))


def _plan_outcome(record: Record, journal: Journal) -> OverOutcome:
    if any(
        other.is_unfinished and journal.is_running(other.process)
        for other in (journal.records_of_task(record.task) if record.task else [record])
    ):
        return OverOutcome.IN_USE
    return OverOutcome.LOST if record.state is RecordState.ASKED else OverOutcome.TO_STOP


def stop_agents(items: Iterable[OverItem], run: Run, report: Callable[[str], None]) -> Iterator[OverItem]:
    """Stop the agents that are to be stopped, several at the same time. A failure affects only its own agent.

    Yields:
        Each agent as soon as it is done, so in no particular order.
    """
    to_stop = [item for item in items if item.outcome is OverOutcome.TO_STOP]
    yield from work_in_parallel(to_stop, lambda item: _stop(item, run), lambda: report(_INTERRUPTED))


def end_rooms(rooms: Iterable[RoomItem], run: Run, report: Callable[[str], None]) -> Iterator[RoomItem]:
    """End the rooms in which no one is left, several at the same time.

    Yields:
        Each room as soon as it is done; a room that has ended by itself is recorded, and not yielded.
    """
    ended = work_in_parallel(rooms, lambda item: _end_if_empty(item, run), lambda: report(_INTERRUPTED))
    yield from filter(None, ended)


def _stop(item: OverItem, run: Run) -> OverItem:
    record = item.record
    try:
        is_closed = close_task_unless_changed(record, run)
    except RtcAiError as error:
        return OverItem(record, OverOutcome.FAILED, error.describe(names_config=False))
    current = run.journal.record(record.trace_id) or record
    return OverItem(current, OverOutcome.STOPPED if is_closed or not current.is_unfinished else OverOutcome.IN_USE)


def _end_if_empty(item: RoomItem, run: Run) -> RoomItem | None:
    try:
        return _end_room(item.room, run)
    except RtcAiError as error:
        return RoomItem(item.room, RoomOutcome.FAILED, error.describe(names_config=False))


def _end_room(room: RoomRecord, run: Run) -> RoomItem | None:
    """End a room if no one is in it; None if it has ended already.

    First the journal says that the room is about to end, and then the records of agents in it are read. A create writes
    its record before it sends its request, and reads afterwards whether its room is about to end. So either this finds
    the record and leaves the room open, or the create stops its agent again (`create._require_room_stays`).
    """
    journal = run.journal
    require_account(room, run.client.settings, room_api=True)
    try:
        found = run.retrier.run(lambda: run.client.query_room(room.cname), QUERY)
    except RoomNotFound:
        found = None
    if found is None or found.cid != room.cid:
        record_end(room.cid, room.cname, run)
        return None
    if not is_empty(found, _agents_in(room, journal)):
        members = "unknown" if found.members is None else str(found.members)
        return RoomItem(room, RoomOutcome.LEFT_OPEN, f"somebody may be in it (number of members: {members})")
    record_end(room.cid, room.cname, run)
    try:
        if _agents_in(room, journal):
            journal.record_room(room)
            return RoomItem(room, RoomOutcome.LEFT_OPEN, "a run has just started an agent in it")
        run.retrier.run(lambda: run.client.end_room(room.cid, cname=room.cname), HARMLESS)
    except RoomNotFound:
        return None
    except RtcAiError:
        journal.record_room(room)  # it may still be open: the next sweep tries again
        raise
    return RoomItem(room, RoomOutcome.ENDED)


def _agents_in(room: RoomRecord, journal: Journal) -> list[Record]:
    """The agents in a room that the journal knows, and creates that may start one in it."""
    # In this order: a create that gets its response in between is found by the first query.
    creates = journal.creates_in_room(room.cname, app_key=room.app_key)
    return [*creates, *journal.records_in_room(room.cid, app_key=room.app_key)]


def over_to_json(
    items: Iterable[OverItem], rooms: Iterable[RoomItem], now: datetime, grace: timedelta
) -> Mapping[str, Any]:
    """Return the result of a sweep for ``--json``."""
    return {
        "now": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "grace": grace.total_seconds(),
        "agents": [item.as_json(now) for item in items],
        "rooms": [room.as_json() for room in rooms],
    }
