"""Opens the journal, reads the records that a command works on, and decides whether it may work on them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.journal.storage import QUIET_WAITS, Waits
from rtcai_pulumi.journal.stores import journal_exists
from rtcai_pulumi.maintenance import AgentInUse, CommandError, NotInJournal
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtcai_pulumi.journal.location import Location

_GRANT_ACCESS: Final = (
    "give this user write access to the file and its folder, or name another journal with --journal or RTCAI_JOURNAL"
)


@contextmanager
def open_journal(location: Location, waits: Waits = QUIET_WAITS) -> Iterator[Journal | None]:
    """Open the journal; yields None if it does not exist yet.

    Args:
        location: its place.
        waits: how to wait for a database that is restarting.

    Raises:
        JournalError: the journal cannot be used.
    """
    if not journal_exists(location):
        yield None
        return
    if isinstance(location, Path) and not os.access(location, os.W_OK):
        # Reading a database in WAL mode needs write access: for SQLite's own files next to it, and for this process's
        # lock.
        raise JournalError(f"The journal {location} cannot be used: no permission to write.", advice=_GRANT_ACCESS)
    with Journal(location, waits) as journal:
        yield journal


def read_records(journal: Journal | None) -> list[Record]:
    """Return all records, oldest first; none if the journal does not exist yet.

    Raises:
        JournalError: the journal cannot be read, or contains records that no release has written.
    """
    if journal is None:
        return []
    try:
        records = journal.records()
        for record in records:
            record.start_time, record.change_time  # noqa: B018  each raises an error if it is not a time
    except (TypeError, ValueError) as error:
        advice = "repair it, or name another one"
        raise JournalError(f"The journal {journal.location} cannot be used: {error}.", advice=advice) from None
    return records


def find_task_records(task: str, journal: Journal) -> list[Record]:
    """Return the records of a task that no running process works on, newest last.

    Raises:
        NotInJournal: the journal has none.
        AgentInUse: a running process works on the task.
    """
    records = [record for record in read_records(journal) if record.task == task]
    if not records:
        advice = "`rtcai ls --all` lists the tasks that it knows"
        raise NotInJournal(f"The journal does not know task {task}.", advice=advice)
    require_not_in_use(records, journal)
    return records


def find_lost_create(trace_id: str, journal: Journal) -> Record:
    """Return the record of a lost create.

    Raises:
        NotInJournal: the journal has no create with this trace id.
        AgentInUse: a running process waits for its response.
        CommandError: the request got a response, or was never sent.
    """
    record = journal.record(trace_id)
    if record is None:
        advice = "`rtcai ls` lists the trace ids of lost creates"
        raise NotInJournal(f"The journal does not know a create with the trace id {trace_id}.", advice=advice)
    if record.state is not RecordState.ASKED:
        raise CommandError(*_describe_not_lost(record))
    require_not_in_use([record], journal)
    return record


def _describe_not_lost(record: Record) -> tuple[str, str]:
    """Return why a create is not lost, and what to do about its task."""
    if record.task is None:
        return "This request was never sent; there is nothing to forget.", ""
    if not record.is_unfinished:
        return f"This request got a response: it started task {record.task}, which is closed.", ""
    return (
        f"This request got a response: it started task {record.task}.",
        "`rtcai close` stops the task; `rtcai release` stops managing it",
    )


def is_lost(record: Record, journal: Journal) -> bool:
    """Whether a create is lost: its request got no response, and no process waits for one any more."""
    return record.state is RecordState.ASKED and not journal.is_running(record.process)


def require_not_in_use(records: Iterable[Record], journal: Journal) -> None:
    """Raise an error if a running process works on one of the records.

    Raises:
        AgentInUse: a running process works on it.
    """
    if any(record.is_unfinished and journal.is_running(record.process) for record in records):
        advice = "wait until it has finished, or interrupt it first"
        raise AgentInUse("Another run is in progress and works on this agent.", advice=advice)


def take_over(record: Record, journal: Journal) -> Record | None:
    """Take over a record that was read earlier, to close its task.

    Returns:
        The record, which this process now owns; None if the task has been closed since.

    Raises:
        AgentInUse: another run has taken the record over, or has changed it since.
    """
    current = journal.record(record.trace_id)
    if current is None or not current.is_unfinished:
        return None
    if current == record and not journal.is_running(record.process) and (taken := journal.take_over(record)):
        return taken
    raise AgentInUse(
        "Another run has just started to work on this agent; nothing was sent.", advice="run the command again"
    )
