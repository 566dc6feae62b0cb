"""The journal: a write-ahead log of the tasks started and closed, in one file for all processes of a user.

SQLite in WAL mode: it ships with Python, survives a kill in the middle of a write, and serves many threads and
processes at the same time. Every write is on disk (``synchronous=FULL``) before the call returns.

Each process holds a lock on its own byte of a separate file; the lock shows whether the process still runs. A process
id cannot show this, because the operating system may have given it to another process by now.
"""

import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.reader import SELECT_RECORDS, JournalReader, record_of_row
from rtcai_pulumi.journal.record import NOBODY, KeepReason, Record, RecordState, RoomRecord
from rtcai_pulumi.journal.schema import (
    COLUMNS,
    ROOM_COLUMNS,
    journal_error,
    open_locks,
    open_reader,
    open_writer,
)
from rtcai_pulumi.journal.writer import JournalWriter
from rtcai_pulumi.service.errors import JournalError


def journal_path(env: Mapping[str, str]) -> Path:
    """The path of the journal: ``RTCAI_JOURNAL``, or ``rtcai/journal.db`` in the user's state folder.

    The engine and `rtcai` run in different folders, so a relative path would point to two different files. For this
    reason ``RTCAI_JOURNAL`` must be absolute, and a relative ``XDG_STATE_HOME`` is ignored, as the XDG Base Directory
    Specification requires.

    Raises:
        JournalError: the path is relative; or no path can be determined, because HOME is not set and the system knows
            no home folder for this user.
    """
    try:
        if value := env.get("RTCAI_JOURNAL"):
            path = Path(value).expanduser()
            if not path.is_absolute():
                message = f"RTCAI_JOURNAL is a relative path ({value}), which would be a different file in each folder."
                raise JournalError(message, advice=f"use an absolute path, such as {Path('/var/lib/rtcai') / path}")
            return path
        state = Path(env.get("XDG_STATE_HOME") or "")
        if not state.is_absolute():
            state = Path(env.get("HOME") or Path.home()) / ".local" / "state"
    except RuntimeError:
        message = "The location of the journal is unknown: HOME is not set, and this user has no home folder."
        raise JournalError(message, advice="set RTCAI_JOURNAL to the absolute path of a file") from None
    return state / "rtcai" / "journal.db"


class Journal(JournalReader):
    """Records of creates; safe to share between threads.

    Args:
        path: the file. It is created with its folder if it is missing, readable only by its user.

    Raises:
        JournalError: the file is not a journal, is newer than this package, or is in a place without locks or WAL.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._locks = open_locks(path)
        try:
            database = open_writer(path)
            self._reader = open_reader(path)
        except JournalError:
            self._locks.close()
            raise
        self._reading = threading.Lock()
        self._writer = JournalWriter(path, database)
        self._process = self._register()

    @property
    def process(self) -> int:
        """This process's number in the journal; every process gets a new one."""
        return self._process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the pending writes and release this process's lock."""
        self._writer.close()
        self._reader.close()
        self._locks.close()

    def add(self, record: Record) -> Record:
        """Write a record; it is on disk when this returns."""
        now = _now()
        written = replace(record, began_at=now, changed_at=now)
        marks = ", ".join("?" * len(COLUMNS))
        # Two calls of one run may find the same task in the state.
        how = "INSERT OR IGNORE" if record.is_from_state else "INSERT"
        statement = f"{how} INTO records ({', '.join(COLUMNS)}) VALUES ({marks})"
        self._writer.run(lambda database: database.execute(statement, tuple(asdict(written).values())))
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

        def change(database: sqlite3.Connection) -> bool:
            row = database.execute("SELECT state FROM records WHERE trace_id = ?", (record.trace_id,)).fetchone()
            statement = "UPDATE records SET changed_at = ?, state = ?, process = ? WHERE trace_id = ? AND state != ?"
            values = (_now(), RecordState.CLOSING, self.process, record.trace_id, RecordState.CLOSED)
            database.execute(statement, values)
            return row is not None and row[0] == RecordState.OPEN

        return self._writer.run(change)

    def begin_close_unless_changed(self, record: Record) -> bool:
        """Write that this process is about to close a task, if its record is still as it was read.

        So a run that moves the end of the task, or closes it, and a sweep that closes it because of its end cannot both
        succeed.

        Returns:
            Whether it was written.
        """
        where = "trace_id = ? AND process = ? AND state = ? AND ends_at = ?"
        expected = (record.trace_id, record.process, record.state, record.ends_at)
        values = (RecordState.CLOSING, self.process, *expected)
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
        values = (_now(), RecordState.CLOSED, named.task_id, named.cid)
        self._writer.run(lambda database: database.execute(statement, values))

    def record_return(self, record: Record, *, kept: KeepReason, ends_at: str = "") -> None:
        """Write that a task is about to be returned to an engine.

        Args:
            record: the task's record.
            kept: whether the task is retained, as the program configures it now: the create that was answered may be
                that of an earlier run, with another program.
            ends_at: when the agent is to end, also as the program configures it now.
        """
        self._change(
            record.trace_id, "handed = 1, kept = ?, ends_at = ? WHERE trace_id = ?", (kept, ends_at, record.trace_id)
        )

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
        changes = "owner = ?, kept = ?, ends_at = ?, stored = 1"
        statement = f"UPDATE records SET {changes} WHERE task_id = ? AND cid = ? AND state != ?"  # noqa: S608
        values = (owner, kept, ends_at, named.task_id, named.cid, RecordState.CLOSED)
        self._writer.run(lambda database: database.execute(statement, values))

    def adopt(self, record: Record, *, owner: str, kept: KeepReason, ends_at: str = "") -> Record | None:
        """Write that a retained task belongs to another resource now; None if its record no longer exists."""
        return self._change(
            record.trace_id,
            "owner = ?, kept = ?, ends_at = ?, stored = 0, process = ? WHERE trace_id = ?",
            (owner, kept, ends_at, self.process, record.trace_id),
        )

    def record_stored(self) -> None:
        """Write that this process's engine, which now ends normally, has stored the tasks that were returned to it."""
        statement = "UPDATE records SET stored = 1 WHERE process = ? AND handed = 1"
        self._writer.run(lambda database: database.execute(statement, (self.process,)))

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

    def rooms(self) -> list[RoomRecord]:
        """The rooms that a resource owns."""
        columns = ", ".join(ROOM_COLUMNS)
        rows = self._rows(f"SELECT {columns} FROM rooms WHERE owner != ? ORDER BY cname, cid", NOBODY)  # noqa: S608
        return [RoomRecord(**dict(zip(ROOM_COLUMNS, row, strict=True))) for row in rows]

    def record_room(self, room: RoomRecord) -> None:
        """Write which resource owns a room."""
        marks = ", ".join("?" * len(ROOM_COLUMNS))
        statement = f"INSERT OR REPLACE INTO rooms ({', '.join(ROOM_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        values = tuple(asdict(replace(room, changed_at=_now())).values())
        self._writer.run(lambda database: database.execute(statement, values))

    def drop_room(self, cid: int, *, app_key: str, room_endpoint: str) -> None:
        """Remove a room: it no longer exists, or no resource owns it any more."""
        statement = "DELETE FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"
        self._writer.run(lambda database: database.execute(statement, (cid, app_key, room_endpoint)))

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
        values = (record.trace_id, self.process, RecordState.ASKED)
        self._writer.run(lambda database: database.execute(statement, values))

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
        values = (record.trace_id, self.process, RecordState.CLOSING)
        self._writer.run(lambda database: database.execute(statement, values))

    def drop(self, record: Record) -> None:
        """Delete a record: a user has decided that it no longer has to be tracked."""
        self._writer.run(
            lambda database: database.execute("DELETE FROM records WHERE trace_id = ?", (record.trace_id,))
        )

    def find_damage(self) -> list[str]:
        """The damage that SQLite finds in the file; empty if the file is intact."""
        lines = [row[0] for row in self._rows("PRAGMA integrity_check")]
        return [] if lines == ["ok"] else lines

    def is_running(self, process: int) -> bool:
        """Whether a process that wrote records still runs: it holds the lock of its number until it ends."""
        return process == self._process or self._locks.is_held(process)

    def _register(self) -> int:
        """Draw the next number and hold its lock.

        If an older copy of the file was restored, a number may be drawn a second time while a running process holds the
        lock of that number; then the next number is tried.
        """
        while True:
            number: int = self._writer.run(
                lambda base: base.execute("INSERT INTO processes DEFAULT VALUES").lastrowid or 0
            )
            try:
                if self._locks.hold(number):
                    return number
            except OSError as error:
                raise journal_error(self.path, error) from None

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Read on a separate connection: a read then does not wait until other threads' writes are on disk."""
        try:
            with self._reading:
                return self._reader.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise journal_error(self.path, error) from None

    def _change(self, trace_id: str, what: str, values: tuple[Any, ...]) -> Record | None:
        def change(database: sqlite3.Connection) -> Record | None:
            statement = f"UPDATE records SET changed_at = ?, {what}"  # noqa: S608  fixed words of this module
            if not database.execute(statement, (_now(), *values)).rowcount:
                return None
            return record_of_row(database.execute(f"{SELECT_RECORDS} WHERE trace_id = ?", (trace_id,)).fetchone())

        return self._writer.run(change)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
