"""The journal: a write-ahead log of the tasks started and closed, in one file for all processes of a user.

SQLite in WAL mode: it ships with Python, survives a kill in the middle of a write, and serves many threads and
processes at the same time. Every write is on disk (``synchronous=FULL``) before the call returns. Writes that threads
request at the same moment share one transaction, and so one wait for the disk.

Each process holds a lock on its own byte of a separate file; the lock shows whether the process still runs. A process
id cannot show this, because the operating system may have given it to another process by now.

A preview must write nothing, and the engine does not tell the plugin that it runs a preview. So operations that a
preview also calls read through `JournalSnapshot`; only operations that an update alone calls open the `Journal`.
"""

import queue
import sqlite3
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.record import KeepReason, Record, RecordState, RoomRecord
from rtcai_pulumi.journal.schema import (
    COLUMNS,
    ROOM_COLUMNS,
    Snapshot,
    find_location_warning,
    journal_error,
    open_locks,
    open_reader,
    open_snapshot,
    open_writer,
)
from rtcai_pulumi.service.errors import JournalError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM records"  # noqa: S608  no value is put in
_READS: Final = 20
"""How many times a snapshot is read again if the journal changes during the read."""
_GLANCE: Final = 0.02
"""Seconds between two of these reads."""


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
        if named := env.get("RTCAI_JOURNAL"):
            path = Path(named).expanduser()
            if not path.is_absolute():
                message = f"RTCAI_JOURNAL is a relative path ({named}), which means another file in each folder."
                raise JournalError(message, advice=f"state it from the root on, as in {Path('/var/lib/rtcai') / path}")
            return path
        state = Path(env.get("XDG_STATE_HOME") or "")
        if not state.is_absolute():
            state = Path(env.get("HOME") or Path.home()) / ".local" / "state"
    except RuntimeError:
        message = "There is no place for the journal: HOME is not set, and this user has no home folder."
        raise JournalError(message, advice="name a file in RTCAI_JOURNAL") from None
    return state / "rtcai" / "journal.db"


class JournalReader(ABC):
    """The queries of the journal."""

    process: int
    """The number of the process that reads: every process that started before it has a lower number."""

    def records(self, owner: str | None = None) -> list[Record]:
        """The records of one owner, or all, oldest first."""
        return self._found("owner = ?", owner) if owner is not None else self._found("1")

    def record(self, trace_id: str) -> Record | None:
        """The record of one create."""
        return next(iter(self._found("trace_id = ?", trace_id)), None)

    def records_of_task(self, task: str) -> list[Record]:
        """The records of one task, ``{cid}/{taskId}``; there are several if the service repeated a response."""
        named = TaskReference.parse(task)
        return self._found("task_id = ? AND cid = ?", named.task_id, named.cid)

    def records_in_room(self, cid: int, *, app_key: str) -> list[Record]:
        """The unfinished records of the tasks in a room, of all owners."""
        return self._found("cid = ? AND app_key = ? AND state != ?", cid, app_key, RecordState.CLOSED)

    def others_in_room(self, cname: str, *, app_key: str, endpoint: str, owner: str) -> list[Record]:
        """The unfinished records of a room of one account that no run of this owner closes, oldest first.

        These are the records of other owners that belong to other processes, and this owner's own records that are
        left alone.
        """
        where = (
            "cname = ? AND app_key = ? AND endpoint = ? AND process != ? AND state != ? AND (owner != ? OR kept != '')"
        )
        return self._found(where, cname, app_key, endpoint, self.process, RecordState.CLOSED, owner)

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        """The room of one account with the given number."""
        columns = ", ".join(ROOM_COLUMNS)
        query = f"SELECT {columns} FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"  # noqa: S608
        rows = self._rows(query, cid, app_key, room_endpoint)
        return RoomRecord(**dict(zip(ROOM_COLUMNS, rows[0], strict=True))) if rows else None

    def _found(self, where: str, *values: object) -> list[Record]:
        """The records that match a condition, oldest first."""
        return [_record(row) for row in self._rows(f"{self._select()} WHERE {where} ORDER BY rowid", *values)]

    def _select(self) -> str:
        return _SELECT

    @abstractmethod
    def _rows(self, query: str, *values: object) -> list[Any]:
        """The rows of a query."""


class JournalSnapshot(JournalReader):
    """The journal as it is at each query, read without side effects: no lock, no new file, no migration of its tables.

    It works if the journal is missing (it then counts as empty) and if the disk cannot be written. Close it before the
    same process opens the `Journal`: when a process closes a file, it releases all its locks on that file.

    Args:
        path: the file.
        unreadable: called once if the file cannot be read; the journal then counts as empty. If None, an unreadable
            file raises an error.

    Raises:
        JournalError: by each query, if the file cannot be read and `unreadable` is None.
    """

    process = sys.maxsize

    def __init__(self, path: Path, unreadable: Callable[[JournalError], None] | None = None) -> None:
        self.path = path
        self._unreadable = unreadable
        self._told = False
        self._reading = threading.RLock()
        self._snapshot: Snapshot | None = None
        self._seen: tuple[Any, ...] | None = None

    def close(self) -> None:
        """Close the file."""
        with self._reading:
            self._forget()

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        """The room of one account with the given number."""
        try:
            snapshot = self._current()
            if snapshot is None or not snapshot.has_rooms:
                return None
            return super().room(cid, app_key=app_key, room_endpoint=room_endpoint)
        except JournalError as error:
            self._tell(error)
            return None

    def _found(self, where: str, *values: object) -> list[Record]:
        try:
            snapshot = self._current()
            if snapshot is None or snapshot.records is None:
                return []
            query = f"{snapshot.records} WHERE {where} ORDER BY rowid"
            return [_record(row) for row in self._rows(query, *values)]
        except JournalError as error:
            self._tell(error)
            return []

    def _tell(self, error: JournalError) -> None:
        """Report once that the file cannot be read.

        Raises:
            JournalError: there is no callback to report it to.
        """
        if self._unreadable is None:
            raise error
        with self._reading:
            told, self._told = self._told, True
        if not told:
            self._unreadable(error)

    def _rows(self, query: str, *values: object) -> list[Any]:
        for _ in range(_READS):
            with self._reading:
                snapshot, seen = self._current(), self._seen
                if snapshot is None:
                    return []
                try:
                    rows = snapshot.database.execute(query, values).fetchall()
                except (sqlite3.Error, OverflowError, UnicodeError) as error:
                    failure: Exception | None = error
                else:
                    failure = None
                if failure is None and seen == _signature(self.path):
                    return rows
                self._forget()
            time.sleep(_GLANCE)
        # Another process writes all the time. So the files of the WAL exist already, and SQLite may read with its
        # locks.
        try:
            with closing(open_reader(self.path)) as database:
                return database.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise journal_error(self.path, error) from None

    def _current(self) -> Snapshot | None:
        """The connection to the file as it is now; None if there is no file."""
        with self._reading:
            seen = _signature(self.path)
            if self._snapshot is None or seen != self._seen:
                self._forget()
                self._seen = seen
                if seen is not None:
                    self._snapshot = open_snapshot(self.path, has_log=bool(seen[-1]))
            return self._snapshot

    def _forget(self) -> None:
        if self._snapshot is not None:
            self._snapshot.database.close()
        self._snapshot = None


def _signature(path: Path) -> tuple[Any, ...] | None:
    """Values that change whenever the journal does; the last is the size of the write-ahead log. None: no journal."""
    try:
        file = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise journal_error(path, error) from None
    try:
        log = path.with_name(f"{path.name}-wal").stat()
    except FileNotFoundError:
        return (file.st_ino, file.st_mtime_ns, file.st_size, 0)
    return (file.st_ino, file.st_mtime_ns, file.st_size, log.st_ino, log.st_mtime_ns, log.st_size)


class Journal(JournalReader):
    """Records of creates; safe to share between threads.

    Args:
        path: the file. It is created with its folder if it is missing, readable only by its user.

    Raises:
        JournalError: the file is not a journal, is newer than this package, or is in a place without locks or WAL.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._work: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._locks = open_locks(path)
        try:
            writer = open_writer(path)
            self._reader = open_reader(path)
        except JournalError:
            self._locks.close()
            raise
        self._reading = threading.Lock()
        self._admitting = threading.Lock()
        self._ended = False
        self._writer = threading.Thread(target=self._write, args=(writer,), name="rtcai-journal", daemon=True)
        self._writer.start()
        self.process = self._register()
        """This process's number in the journal; every process gets a new one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the pending writes and release this process's lock."""
        with self._admitting:
            self._ended = True
            self._work.put(None)
        self._writer.join()
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
        self._do(lambda database: database.execute(statement, tuple(asdict(written).values())))
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
            found = database.execute("SELECT state FROM records WHERE trace_id = ?", (record.trace_id,)).fetchone()
            statement = "UPDATE records SET changed_at = ?, state = ?, process = ? WHERE trace_id = ? AND state != ?"
            values = (_now(), RecordState.CLOSING, self.process, record.trace_id, RecordState.CLOSED)
            database.execute(statement, values)
            return found is not None and found[0] == RecordState.OPEN

        return self._do(change)

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
        self._do(lambda database: database.execute(statement, values))

    def record_return(self, record: Record, *, kept: KeepReason) -> None:
        """Write that a task is about to be returned to an engine.

        Args:
            record: the task's record.
            kept: whether the task is retained, as the program configures it now: the create that was answered may be
                that of an earlier run, with another program.
        """
        self._change(record.trace_id, "handed = 1, kept = ? WHERE trace_id = ?", (kept, record.trace_id))

    def claim(self, task: str, *, owner: str, kept: KeepReason) -> None:
        """Write that the engine has a task, ``{cid}/{taskId}``, in its state: the task's owner, and whether to retain
        it.

        Args:
            task: the task.
            owner: the task's current owner.
            kept: whether the task is retained.
        """
        named = TaskReference.parse(task)
        statement = "UPDATE records SET owner = ?, kept = ?, stored = 1 WHERE task_id = ? AND cid = ? AND state != ?"
        values = (owner, kept, named.task_id, named.cid, RecordState.CLOSED)
        self._do(lambda database: database.execute(statement, values))

    def adopt(self, record: Record, *, owner: str, kept: KeepReason) -> Record | None:
        """Write that a retained task belongs to another resource now; None if its record no longer exists."""
        return self._change(
            record.trace_id,
            "owner = ?, kept = ?, stored = 0, process = ? WHERE trace_id = ?",
            (owner, kept, self.process, record.trace_id),
        )

    def record_stored(self) -> None:
        """Write that this process's engine, which now ends normally, has stored the tasks that were returned to it."""
        statement = "UPDATE records SET stored = 1 WHERE process = ? AND handed = 1"
        self._do(lambda database: database.execute(statement, (self.process,)))

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
        marks = ", ".join("?" * len(ROOM_COLUMNS))
        statement = f"INSERT OR REPLACE INTO rooms ({', '.join(ROOM_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        values = tuple(asdict(replace(room, changed_at=_now())).values())
        self._do(lambda database: database.execute(statement, values))

    def drop_room(self, cid: int, *, app_key: str, room_endpoint: str) -> None:
        """Remove a room: it no longer exists, or no resource owns it any more."""
        statement = "DELETE FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"
        self._do(lambda database: database.execute(statement, (cid, app_key, room_endpoint)))

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
        self._do(lambda database: database.execute(statement, values))

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
        self._do(lambda database: database.execute(statement, values))

    def drop(self, record: Record) -> None:
        """Delete a record: a user has decided that it no longer has to be tracked."""
        self._do(lambda database: database.execute("DELETE FROM records WHERE trace_id = ?", (record.trace_id,)))

    def find_damage(self) -> list[str]:
        """The damage that SQLite finds in the file; empty if the file is intact."""
        found = [row[0] for row in self._rows("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def is_running(self, process: int) -> bool:
        """Whether a process that wrote records still runs: it holds the lock of its number until it ends."""
        return process == self.process or self._locks.is_held(process)

    @property
    def location_warning(self) -> str | None:
        """Why the file should be in another place although it works; None if there is no reason."""
        return find_location_warning(self.path)

    def _register(self) -> int:
        """Draw the next number and hold its lock.

        If an older copy of the file was restored, a number may be drawn a second time while a running process holds the
        lock of that number; then the next number is tried.
        """
        while True:
            number: int = self._do(lambda base: base.execute("INSERT INTO processes DEFAULT VALUES").lastrowid or 0)
            try:
                if self._locks.hold(number):
                    return number
            except OSError as error:
                raise journal_error(self.path, error) from None

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Read on a separate connection, so that a read does not wait until other threads' writes are on disk."""
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
            return _record(database.execute(f"{_SELECT} WHERE trace_id = ?", (trace_id,)).fetchone())

        return self._do(change)

    def _do(self, work: Work[T]) -> T:
        """Run a function on the writer's thread, and wait until the result is on disk.

        Raises:
            JournalError: it could not be written, the journal is closed, or its writer has failed.
        """
        done: Future[T] = Future()
        with self._admitting:
            if self._ended:
                raise journal_error(self.path, RuntimeError("nothing can be written any more"))
            self._work.put((work, done))
        return done.result()

    def _write(self, database: sqlite3.Connection) -> None:
        """Run the functions that threads submit; all that wait at the same moment share one transaction.

        However this method ends, every waiting thread gets a result or an error.
        """
        asked: list[tuple[Work[Any], Future[Any]]] = []
        ended = False
        try:
            while not ended:
                batch = [self._work.get()]
                while not self._work.empty():
                    batch.append(self._work.get())
                ended = None in batch
                asked = [item for item in batch if item is not None]
                if asked:
                    self._write_batch(database, asked)
        finally:
            with self._admitting:
                self._ended = True
            while not self._work.empty():
                asked += filter(None, [self._work.get()])
            for _, done in asked:
                if not done.done():
                    done.set_exception(journal_error(self.path, RuntimeError("its writer has ended")))
            database.close()

    def _write_batch(self, database: sqlite3.Connection, batch: list[tuple[Work[Any], Future[Any]]]) -> None:
        outcomes: list[Any] = []
        try:
            database.execute("BEGIN IMMEDIATE")
            outcomes = [_by_itself(work, database) for work, _ in batch]
            database.execute("COMMIT")
        except sqlite3.Error as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            outcomes = [error] * len(batch)
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                done.set_exception(journal_error(self.path, outcome))
            else:
                done.set_result(outcome)


def _by_itself(work: Work[T], database: sqlite3.Connection) -> T | Exception:
    """Run one thread's function; if it fails, the other functions of the same transaction are not undone.

    Every exception is returned: a value that SQLite cannot store has its own kind of error, and the waiting thread must
    receive it.
    """
    database.execute("SAVEPOINT work")
    outcome: T | Exception
    try:
        outcome = work(database)
    except Exception as error:
        if not database.in_transaction:
            raise  # SQLite has rolled back the whole transaction, for example because the disk is full
        database.execute("ROLLBACK TO work")
        outcome = error
    database.execute("RELEASE work")
    return outcome


def _record(row: tuple[Any, ...]) -> Record:
    values = dict(zip(COLUMNS, row, strict=True))
    flags = {name: bool(values[name]) for name in ("handed", "stored")}
    return Record(**{**values, **flags, "state": RecordState(values["state"]), "kept": KeepReason(values["kept"])})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
