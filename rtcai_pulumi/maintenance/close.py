"""Closes the agent that a user names, by the rules of `rtcai_pulumi.lifecycle.close`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.close import close_task, close_unrecorded_task
from rtcai_pulumi.maintenance import CommandError, NotInJournal
from rtcai_pulumi.maintenance.records import read_records, require_not_in_use, take_over
from rtcai_pulumi.maintenance.rooms import query_room_number

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


@dataclass(frozen=True, slots=True)
class NamedTask:
    """A task that a user names."""

    task: TaskReference
    cname: str
    """Its room: from the journal, or from the user if the journal does not know the task."""
    records: tuple[Record, ...]
    """Its records, newest last; empty if the journal does not know the task."""

    @property
    def is_closed(self) -> bool:
        """Whether the journal says that the task is closed."""
        return bool(self.records) and not any(record.is_unfinished for record in self.records)


def find_task(task: TaskReference, cname: str | None, run: Run) -> NamedTask:
    """Find a task that can be closed now, or that is closed already.

    Args:
        task: the task.
        cname: its room; needed only if the journal does not know the task.
        run: the service and the journal.

    Raises:
        AgentInUse: a running process works on the task.
        CommandError: the journal does not know the task, and its room is not named or is not the task's.
    """
    records = tuple(record for record in read_records(run.journal) if record.task == str(task))
    if records:
        require_not_in_use(records, run.journal)
        return NamedTask(task, records[-1].cname, records)
    if cname is None:
        raise NotInJournal(
            f"The journal does not know task {task}.",
            advice="`rtcai ls --all` lists the tasks that it knows; for another task, name its room with --cname",
        )
    _require_room(cname, task.cid, run)
    return NamedTask(task, cname, ())


def close_named_task(named: NamedTask, run: Run) -> None:
    """Close a task, and record that it is closed. A task that no longer exists counts as success.

    Raises:
        AgentInUse: another run has taken the task over since it was found.
        RtcAiError: the agent may still be in the room.
    """
    if not named.records:
        close_unrecorded_task(_new_record(named, run), run)
    for record in named.records:
        if record.is_unfinished and (taken := take_over(record, run.journal)):
            close_task(taken, run)


def _require_room(cname: str, cid: int, run: Run) -> None:
    """Refuse a room that is known not to be the task's: what the service says about a task in it would mean nothing."""
    if run.client.settings.app_secret is None:
        return  # the room API cannot be called
    advice = "if the task's room has ended, its agent has ended too; otherwise give the right room with --cname"
    current = query_room_number(cname, run)
    if current is None:
        raise CommandError(f"Nothing was closed: room {cname} does not exist.", advice=advice)
    if current != cid:
        summary = f"Nothing was closed: room {cname} has the number {current} now, not {cid}."
        raise CommandError(summary, advice=advice)


def _new_record(named: NamedTask, run: Run) -> Record:
    settings = run.client.settings
    return Record(
        trace_id=uuid4().hex,
        owner="",
        app_key=settings.app_key,
        endpoint=settings.endpoint,
        room_endpoint=settings.room_endpoint,
        cname=named.cname,
        request_id="",
        digest="",
        process=run.journal.process,
        state=RecordState.CLOSING,
        cid=named.task.cid,
        task_id=named.task.task_id,
    )
