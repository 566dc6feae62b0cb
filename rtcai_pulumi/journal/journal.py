"""The journal: a write-ahead log of the tasks started and closed, for all processes that use one storage.

Every change is stored before the call returns: a killed process leaves whole records. The storage also knows which
processes still run.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.origin import describe_origin
from rtcai_pulumi.journal.reader import OLDEST_FIRST, SELECT_RECORDS, SELECT_ROOMS, JournalReader, record_of_row
from rtcai_pulumi.journal.record import KeepReason, Record, RecordState, RoomRecord
from rtcai_pulumi.journal.storage import COLUMNS, QUIET_WAITS, ROOM_COLUMNS, Result, Row, Statement, Waits
from rtcai_pulumi.journal.stores import open_storage

if TYPE_CHECKING:
    from types import TracebackType

    from rtcai_pulumi.journal.location import Location

_ROOM_KEY: Final = ("app_key", "room_endpoint", "cid")
_MARKS: Final = ", ".join("?" * len(COLUMNS))
_ADD: Final = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({_MARKS})"  # noqa: S608  names of this package
_COPY: Final = f"{_ADD} ON CONFLICT (trace_id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS if name != "trace_id"
)
_RECORD_ROOM: Final = (
    f"INSERT INTO rooms ({', '.join(ROOM_COLUMNS)}) VALUES ({', '.join('?' * len(ROOM_COLUMNS))}) "  # noqa: S608  as above
    f"ON CONFLICT ({', '.join(_ROOM_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in ROOM_COLUMNS if name not in _ROOM_KEY)
)
# `dataclasses.asdict` would copy every value, which takes longer than to store them.
_COLUMN_VALUES: Final = attrgetter(*COLUMNS)
_ROOM_COLUMN_VALUES: Final = attrgetter(*ROOM_COLUMNS)


class Journal(JournalReader):
    """Records of creates; safe to share between threads.

    Args:
        location: the file, or the database. A file is created with its folder if it is missing, readable only by its
            user; in a database, the tables are created if they are missing.
        waits: how to wait for a database that is restarting.

    Raises:
        JournalError: it is not a journal, is newer than this package, cannot be reached, or is in a place that cannot
            hold one.
    """

    def __init__(self, location: Location, waits: Waits = QUIET_WAITS) -> None:
        self._storage = open_storage(location, waits)
        self._origin = describe_origin(os.environ)

    @property
    def location(self) -> Location:
        """Where it is."""
        return self._storage.location

    @property
    def process(self) -> int:
        """This process's number in the journal; every process gets a new one."""
        return self._storage.process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the pending writes; the other processes then see that this one has ended."""
        self._storage.close()

    def add(self, record: Record) -> Record:
        """Write a record; it is on disk when this returns."""
        now = _now()
        written = replace(record, began_at=now, changed_at=now, origin=record.origin or self._origin)
        # Two calls of one run may find the same task in the state.
        statement = f"{_ADD} ON CONFLICT DO NOTHING" if record.is_from_state else _ADD
        self._write(statement, *_COLUMN_VALUES(written))
        return written

    def record_response(self, record: Record, cid: int, task_id: str) -> Record | None:
        """Write the response to a create, if this process still owns the record.

        Returns:
            The record with its task; None if another process has taken it over.
        """
        return self._change(
            record.trace_id,
            "state = ?, cid = ?, task_id = ? WHERE trace_id = ? AND process = ? AND state = ?",
            (RecordState.OPEN, cid, task_id, record.trace_id, self.process, RecordState.ASKED),
        )

    def begin_close(self, record: Record) -> bool:
        """Write that this process is about to close a task, unless the task is closed already.

        Returns:
            Whether no process had started to close it.
        """
        before, _ = self._storage.write(
            Statement("SELECT state FROM records WHERE trace_id = ?", (record.trace_id,)),
            Statement(
                "UPDATE records SET changed_at = ?, state = ?, process = ? WHERE trace_id = ? AND state != ?",
                (_now(), RecordState.CLOSING, self.process, record.trace_id, RecordState.CLOSED),
            ),
        )
        return before.rows == [(RecordState.OPEN,)]

    def begin_close_unless_changed(self, record: Record) -> bool:
        """Write that this process is about to close a task, if its record is still as it was read.

        So a run that moves the end of the task, or closes it, and a sweep that closes it because of its end cannot both
        succeed. If the journals of two machines were copied into one, the task may have two records: no other one may
        have another end.

        Returns:
            Whether it was written.
        """
        where = (
            "trace_id = ? AND process = ? AND state = ? AND ends_at = ? AND NOT EXISTS (SELECT 1 FROM records AS other "
            "WHERE other.task_id = ? AND other.cid = ? AND other.state != ? AND other.ends_at > ?)"
        )
        expected = (record.trace_id, record.process, record.state, record.ends_at)
        others = (record.task_id, record.cid, RecordState.CLOSED, record.ends_at)
        values = (RecordState.CLOSING, self.process, *expected, *others)
        return self._change(record.trace_id, f"state = ?, process = ? WHERE {where}", values) is not None

    def cancel_close(self, record: Record) -> None:
        """Write that the close was definitely refused, if this process still owns the record."""
        self._change(
            record.trace_id,
            "state = ? WHERE trace_id = ? AND process = ? AND state = ?",
            (RecordState.OPEN, record.trace_id, self.process, RecordState.CLOSING),
        )

    def record_close(self, task: str) -> None:
        """Write that a task, ``{cid}/{taskId}``, is closed: in all its records, whichever process owns them."""
        named = TaskReference.parse(task)
        statement = "UPDATE records SET changed_at = ?, state = ? WHERE task_id = ? AND cid = ?"
        self._write(statement, _now(), RecordState.CLOSED, named.task_id, named.cid)

    def record_return(self, record: Record, *, kept: KeepReason, ends_at: str = "") -> None:
        """Write that a task is about to be returned to an engine.

        Args:
            record: the task's record.
            kept: whether the task is retained, as the program configures it now: the create that was answered may be
                that of an earlier run, with another program.
            ends_at: when the agent is to end, also as the program configures it now.
        """
        statement = "UPDATE records SET changed_at = ?, handed = ?, kept = ?, ends_at = ? WHERE trace_id = ?"
        self._write(statement, _now(), True, kept, ends_at, record.trace_id)

    def claim(self, task: str, *, owner: str, kept: KeepReason, ends_at: str = "") -> None:
        """Write that the engine has a task, ``{cid}/{taskId}``, in its state: the task's owner, whether to retain it,
        and its end.

        Args:
            task: the task.
            owner: the task's current owner.
            kept: whether the task is retained.
            ends_at: when the agent is to end; empty if it has no end.
        """
        named = TaskReference.parse(task)
        changes = "changed_at = ?, owner = ?, kept = ?, ends_at = ?, stored = ?"
        statement = f"UPDATE records SET {changes} WHERE task_id = ? AND cid = ? AND state != ?"  # noqa: S608  the line above
        self._write(statement, _now(), owner, kept, ends_at, True, named.task_id, named.cid, RecordState.CLOSED)

    def adopt(self, record: Record, *, owner: str, kept: KeepReason, ends_at: str = "") -> Record | None:
        """Write that a retained task belongs to another resource now; None if its record no longer exists."""
        return self._change(
            record.trace_id,
            "owner = ?, kept = ?, ends_at = ?, stored = ?, process = ? WHERE trace_id = ?",
            (owner, kept, ends_at, False, self.process, record.trace_id),
        )

    def record_stored(self) -> None:
        """Write that this process's engine, which now ends normally, has stored the tasks that were returned to it."""
        statement = "UPDATE records SET stored = ? WHERE process = ? AND handed = ?"
        self._write(statement, True, self.process, True)

    def record_refusal(self, record: Record) -> None:
        """Write that the service refuses to close a task that another machine's run has replaced."""
        self._change(
            record.trace_id,
            "state = ?, kept = ? WHERE trace_id = ?",
            (RecordState.OPEN, KeepReason.REFUSED, record.trace_id),
        )

    def disown(self, record: Record) -> None:
        """Write that the task may belong to another name, unless that name has just claimed it."""
        self._change(
            record.trace_id,
            "kept = ? WHERE trace_id = ? AND owner = ?",
            (KeepReason.DISOWNED, record.trace_id, record.owner),
        )

    def record_room(self, room: RoomRecord) -> None:
        """Write which resource owns a room."""
        self._write(_RECORD_ROOM, *_ROOM_COLUMN_VALUES(replace(room, changed_at=_now())))

    def drop_room(self, cid: int, *, app_key: str, room_endpoint: str) -> None:
        """Remove a room: it no longer exists, or no resource owns it any more."""
        statement = "DELETE FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"
        self._write(statement, cid, app_key, room_endpoint)

    def take_over(self, record: Record) -> Record | None:
        """Take over another process's record; None if a third process took it over first."""
        return self._change(
            record.trace_id,
            "process = ? WHERE trace_id = ? AND process = ?",
            (self.process, record.trace_id, record.process),
        )

    def forget(self, record: Record) -> None:
        """Delete a record whose request was definitely not accepted, if this process still owns the record."""
        statement = "DELETE FROM records WHERE trace_id = ? AND process = ? AND state = ?"
        self._write(statement, record.trace_id, self.process, RecordState.ASKED)

    def record_unsent(self, record: Record) -> None:
        """Write that a request was never sent, if this process still owns the record: it is closed without a task.

        The record stays, because the state still shows the create as pending and `rtcai pending` looks for it.
        """
        self._change(
            record.trace_id,
            "state = ? WHERE trace_id = ? AND process = ? AND state = ?",
            (RecordState.CLOSED, record.trace_id, self.process, RecordState.ASKED),
        )

    def undo_close(self, record: Record) -> None:
        """Undo `begin_close` for a task that another process holds; does nothing if a later process closes it now."""
        statement = "DELETE FROM records WHERE trace_id = ? AND process = ? AND state = ?"
        self._write(statement, record.trace_id, self.process, RecordState.CLOSING)

    def drop(self, record: Record) -> None:
        """Delete a record: a user has decided that it no longer has to be tracked."""
        self._write("DELETE FROM records WHERE trace_id = ?", record.trace_id)

    def copy_from(self, source: JournalReader) -> tuple[list[Record], list[RoomRecord]]:
        """Add what another journal has, with its times and the numbers of its processes.

        A record that both have stays as it is, unless the other journal changed it later.

        Returns:
            What was added or changed.
        """
        known = {record.trace_id: record for record in self.records()}
        rooms = {(room.app_key, room.room_endpoint, room.cid): room for room in self.rooms()}
        new_records = [
            record
            for record in source.records()
            if record.trace_id not in known or record.changed_at > known[record.trace_id].changed_at
        ]
        new_rooms = [
            room
            for room in source.rooms()
            if (key := (room.app_key, room.room_endpoint, room.cid)) not in rooms
            or room.changed_at > rooms[key].changed_at
        ]
        if new_records:
            # A later process must count as later than those of the records, and never as one of them.
            self._storage.skip_numbers(max(record.process for record in new_records))
        statements = [
            *(Statement(_COPY, _COLUMN_VALUES(record)) for record in new_records),
            *(Statement(_RECORD_ROOM, _ROOM_COLUMN_VALUES(room)) for room in new_rooms),
        ]
        if statements:
            self._storage.write(*statements)
        return new_records, new_rooms

    def running_processes(self) -> list[int]:
        """The numbers of the other processes that use this journal now."""
        return self._storage.running_processes()

    def find_damage(self) -> list[str]:
        """The damage that the storage finds in itself; empty if there is none."""
        return self._storage.find_damage()

    def is_running(self, process: int) -> bool:
        """Whether a process that wrote records still runs, however it may have ended."""
        return self._storage.is_running(process)

    def require_registration(self) -> None:
        """Make sure that the other processes see that this one runs: if not, they take over its records.

        Raises:
            JournalError: this cannot be made sure; no request may be sent.
        """
        self._storage.require_registration()

    def _select_records(self, where: str, *values: object) -> list[Row]:
        return self._storage.read(Statement(f"{SELECT_RECORDS} WHERE {where} {OLDEST_FIRST}", values))

    def _select_rooms(self, where: str, *values: object) -> list[Row]:
        return self._storage.read(Statement(f"{SELECT_ROOMS} WHERE {where}", values))

    def _write(self, statement: str, *values: object) -> Result:
        return self._storage.write(Statement(statement, values))[0]

    def _change(self, trace_id: str, what: str, values: tuple[Any, ...]) -> Record | None:
        """Change a record; None if the condition did not hold."""
        update, current = self._storage.write(
            Statement(f"UPDATE records SET changed_at = ?, {what}", (_now(), *values)),  # noqa: S608  fixed words
            Statement(f"{SELECT_RECORDS} WHERE trace_id = ?", (trace_id,)),
        )
        return record_of_row(current.rows[0]) if update.changed else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
