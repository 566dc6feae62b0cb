"""The journal: a write-ahead log of tasks started and closed, one file for all processes of a user.

SQLite in WAL mode: it ships with Python, survives a kill in mid write, and serves many threads and processes at once.
Every write is on disk (``synchronous=FULL``) before the call returns. Writes that threads ask for at the same moment
share one transaction, and so one wait for the disk.

Whether a process still lives is told by a lock that it holds on a byte of a file of its own, never by a process id: an
id may be another process by now.

A preview must write nothing, and nothing tells the plugin that it is one. So what previews call reads by
`JournalSnapshot`; what only an update calls opens the `Journal`.
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

from rtcai_pulumi.journal.record import Kept, Record, RoomRecord, State
from rtcai_pulumi.journal.schema import (
    COLUMNS,
    ROOM_COLUMNS,
    Snapshot,
    doubt_about,
    opened_locks,
    opened_reader,
    opened_snapshot,
    opened_writer,
    unusable,
)
from rtcai_pulumi.service.errors import JournalError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM records"  # noqa: S608  no value is put in
_READS: Final = 20
"""How often a snapshot is read again where the journal has changed meanwhile."""
_GLANCE: Final = 0.02
"""Seconds between two of these."""


def journal_path(env: Mapping[str, str]) -> Path:
    """Where the journal is: ``RTCAI_JOURNAL``, else ``rtcai/journal.db`` in the user's folder for state.

    The engine and `rtcai` run in different folders, so a relative path would mean two files: ``RTCAI_JOURNAL`` must be
    absolute, and a relative ``XDG_STATE_HOME`` is ignored, as the XDG Base Directory Specification says.

    Raises:
        JournalError: the path is relative; or nothing names a place: there is no HOME, and the system knows no home of
            this user.
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
    """What can be asked of the journal."""

    process: int
    """The number of the process that asks: every process that began before it has a lower one."""

    def records(self, owner: str | None = None) -> list[Record]:
        """The records of one owner, or all, oldest first."""
        return self._found("owner = ?", owner) if owner is not None else self._found("1")

    def record(self, trace_id: str) -> Record | None:
        """The record of one create."""
        return next(iter(self._found("trace_id = ?", trace_id)), None)

    def records_of_task(self, task: str) -> list[Record]:
        """The records of one task, ``{cid}/{taskId}``; there are several where the service repeated an answer."""
        cid, _, task_id = task.partition("/")
        return self._found("task_id = ? AND cid = ?", task_id, int(cid))

    def records_in_room(self, cid: int, *, app_key: str) -> list[Record]:
        """The unfinished records of the tasks in a room, whoever they belong to."""
        return self._found("cid = ? AND app_key = ? AND state != ?", cid, app_key, State.CLOSED)

    def others_in_room(self, cname: str, *, app_key: str, endpoint: str, owner: str) -> list[Record]:
        """The unfinished records of a room of one account that no run of this owner closes, oldest first.

        Those of other owners that other processes have, and this owner's own that are left alone.
        """
        where = (
            "cname = ? AND app_key = ? AND endpoint = ? AND process != ? AND state != ? AND (owner != ? OR kept != '')"
        )
        return self._found(where, cname, app_key, endpoint, self.process, State.CLOSED, owner)

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        """The room of one account that has a number."""
        columns = ", ".join(ROOM_COLUMNS)
        query = f"SELECT {columns} FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"  # noqa: S608
        rows = self._rows(query, cid, app_key, room_endpoint)
        return RoomRecord(**dict(zip(ROOM_COLUMNS, rows[0], strict=True))) if rows else None

    def _found(self, where: str, *values: object) -> list[Record]:
        """The records that a condition is true of, oldest first."""
        return [_record(row) for row in self._rows(f"{self._select()} WHERE {where} ORDER BY rowid", *values)]

    def _select(self) -> str:
        return _SELECT

    @abstractmethod
    def _rows(self, query: str, *values: object) -> list[Any]:
        """What a query finds."""


class JournalSnapshot(JournalReader):
    """The journal as it is at each question, read without a trace: no lock, no file, no new version of its tables.

    It works where the journal is missing (then it is empty) and where nothing can be written. It must be closed before
    the same process opens the `Journal`: by closing a file, a process gives up all its locks on it.

    Args:
        path: the file.
        unreadable: told once where the file cannot be read; then it counts as empty. None: that is an error.

    Raises:
        JournalError: by each question, where the file cannot be read and nobody is to be told.
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
        """Give up the file."""
        with self._reading:
            self._forget()

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        """The room of one account that has a number."""
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
        """Tell of a file that cannot be read, once.

        Raises:
            JournalError: there is nobody to tell.
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
        # A writer is at work all the time: so its files are there, and SQLite may read with its locks.
        try:
            with closing(opened_reader(self.path)) as database:
                return database.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise unusable(self.path, error) from None

    def _current(self) -> Snapshot | None:
        """The connection to the file as it is now; None where there is none."""
        with self._reading:
            seen = _signature(self.path)
            if self._snapshot is None or seen != self._seen:
                self._forget()
                self._seen = seen
                if seen is not None:
                    self._snapshot = opened_snapshot(self.path, has_log=bool(seen[-1]))
            return self._snapshot

    def _forget(self) -> None:
        if self._snapshot is not None:
            self._snapshot.database.close()
        self._snapshot = None


def _signature(path: Path) -> tuple[Any, ...] | None:
    """What changes whenever the journal does; its last part is the size of the write-ahead log. None: no journal."""
    try:
        file = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unusable(path, error) from None
    try:
        log = path.with_name(f"{path.name}-wal").stat()
    except FileNotFoundError:
        return (file.st_ino, file.st_mtime_ns, file.st_size, 0)
    return (file.st_ino, file.st_mtime_ns, file.st_size, log.st_ino, log.st_mtime_ns, log.st_size)


class Journal(JournalReader):
    """Records of creates; safe to share between threads.

    Args:
        path: the file; made with its folder where it is missing, readable by its user alone.

    Raises:
        JournalError: the file is no journal, is newer than this package, or lies where locks or WAL do not work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._work: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._locks = opened_locks(path)
        try:
            writer = opened_writer(path)
            self._reader = opened_reader(path)
        except JournalError:
            self._locks.close()
            raise
        self._reading = threading.Lock()
        self._admitting = threading.Lock()
        self._ended = False
        self._writer = threading.Thread(target=self._write, args=(writer,), name="rtcai-journal", daemon=True)
        self._writer.start()
        self.process = self._register()
        """This process's number in the journal, new for every process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is being written, and give up this process's lock."""
        with self._admitting:
            self._ended = True
            self._work.put(None)
        self._writer.join()
        self._reader.close()
        self._locks.close()

    def add(self, record: Record) -> Record:
        """Write a record; on disk when this returns."""
        now = _now()
        written = replace(record, began_at=now, changed_at=now)
        marks = ", ".join("?" * len(COLUMNS))
        # Two calls of one run may find the same task in the state.
        how = "INSERT OR IGNORE" if record.is_from_state else "INSERT"
        statement = f"{how} INTO records ({', '.join(COLUMNS)}) VALUES ({marks})"
        self._do(lambda database: database.execute(statement, tuple(asdict(written).values())))
        return written

    def answered(self, record: Record, cid: int, task_id: str) -> Record | None:
        """Write the answer of a create, if this process still answers for the record.

        Returns:
            The record with its task; None where another process has taken it over.
        """
        return self._change(
            record.trace_id,
            "state = ?, cid = ?, task_id = ? WHERE trace_id = ? AND process = ? AND state = ?",
            (State.OPEN, cid, task_id, record.trace_id, self.process, State.ASKED),
        )

    def closing(self, record: Record) -> bool:
        """Write that this process is about to close a task, unless it is closed already.

        Returns:
            Whether nobody had begun to close it.
        """

        def change(database: sqlite3.Connection) -> bool:
            found = database.execute("SELECT state FROM records WHERE trace_id = ?", (record.trace_id,)).fetchone()
            statement = "UPDATE records SET changed_at = ?, state = ?, process = ? WHERE trace_id = ? AND state != ?"
            values = (_now(), State.CLOSING, self.process, record.trace_id, State.CLOSED)
            database.execute(statement, values)
            return found is not None and found[0] == State.OPEN

        return self._do(change)

    def not_closing(self, record: Record) -> None:
        """Write that the close was definitely refused, if this process still answers for it."""
        self._change(
            record.trace_id,
            "state = ? WHERE trace_id = ? AND process = ? AND state = ?",
            (State.OPEN, record.trace_id, self.process, State.CLOSING),
        )

    def closed(self, task: str) -> None:
        """Write that a task, ``{cid}/{taskId}``, is closed: in all its records, whoever answers for them."""
        cid, _, task_id = task.partition("/")
        statement = "UPDATE records SET changed_at = ?, state = ? WHERE task_id = ? AND cid = ?"
        self._do(lambda database: database.execute(statement, (_now(), State.CLOSED, task_id, int(cid))))

    def hand_over(self, record: Record, *, kept: Kept) -> None:
        """Write that an engine is about to be given the task.

        Args:
            record: of the task.
            kept: whether it is retained, as the program states it now: the create that is answered may be an earlier
                run's, of another program.
        """
        self._change(record.trace_id, "handed = 1, kept = ? WHERE trace_id = ?", (kept, record.trace_id))

    def claim(self, task: str, *, owner: str, kept: Kept) -> None:
        """Write what an engine has just shown of a task, ``{cid}/{taskId}``: that it has it, for whom, and for good.

        Args:
            task: the task.
            owner: whom it belongs to now.
            kept: whether it is retained.
        """
        cid, _, task_id = task.partition("/")
        statement = "UPDATE records SET owner = ?, kept = ?, stored = 1 WHERE task_id = ? AND cid = ? AND state != ?"
        values = (owner, kept, task_id, int(cid), State.CLOSED)
        self._do(lambda database: database.execute(statement, values))

    def adopt(self, record: Record, *, owner: str, kept: Kept) -> Record | None:
        """Write that a retained task is another resource's now; None where its record is gone."""
        return self._change(
            record.trace_id,
            "owner = ?, kept = ?, stored = 0, process = ? WHERE trace_id = ?",
            (owner, kept, self.process, record.trace_id),
        )

    def stored(self) -> None:
        """Write that this process's engine, which ends in order now, has in its state what it was given."""
        statement = "UPDATE records SET stored = 1 WHERE process = ? AND handed = 1"
        self._do(lambda database: database.execute(statement, (self.process,)))

    def refused(self, record: Record) -> None:
        """Write that the service refuses to close a task which another machine's run has replaced."""
        self._change(
            record.trace_id, "state = ?, kept = ? WHERE trace_id = ?", (State.OPEN, Kept.REFUSED, record.trace_id)
        )

    def disown(self, record: Record) -> None:
        """Write that another name may have a task, unless that name has just said so itself."""
        self._change(
            record.trace_id,
            "kept = ? WHERE trace_id = ? AND owner = ?",
            (Kept.DISOWNED, record.trace_id, record.owner),
        )

    def hold_room(self, room: RoomRecord) -> None:
        """Write whom a room belongs to."""
        marks = ", ".join("?" * len(ROOM_COLUMNS))
        statement = f"INSERT OR REPLACE INTO rooms ({', '.join(ROOM_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        values = tuple(asdict(replace(room, changed_at=_now())).values())
        self._do(lambda database: database.execute(statement, values))

    def drop_room(self, cid: int, *, app_key: str, room_endpoint: str) -> None:
        """Take a room out: it is gone, or nobody's any more."""
        statement = "DELETE FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"
        self._do(lambda database: database.execute(statement, (cid, app_key, room_endpoint)))

    def take_over(self, record: Record) -> Record | None:
        """Answer for another process's record from now on; None where someone else was faster."""
        return self._change(
            record.trace_id,
            "process = ? WHERE trace_id = ? AND process = ?",
            (self.process, record.trace_id, record.process),
        )

    def forget(self, record: Record) -> None:
        """Drop a record whose request was surely not accepted, if this process still answers for it."""
        statement = "DELETE FROM records WHERE trace_id = ? AND process = ? AND state = ?"
        values = (record.trace_id, self.process, State.ASKED)
        self._do(lambda database: database.execute(statement, values))

    def not_sent(self, record: Record) -> None:
        """Write that a request was never sent, if this process still answers for it: it is over, without a task.

        It is kept, because the state still shows the create as one that was under way: `rtcai pending` looks for it.
        """
        self._change(
            record.trace_id,
            "state = ? WHERE trace_id = ? AND process = ? AND state = ?",
            (State.CLOSED, record.trace_id, self.process, State.ASKED),
        )

    def leave(self, record: Record) -> None:
        """Take back that this process closes a task which another one has; nothing where a later one closes it now."""
        statement = "DELETE FROM records WHERE trace_id = ? AND process = ? AND state = ?"
        values = (record.trace_id, self.process, State.CLOSING)
        self._do(lambda database: database.execute(statement, values))

    def drop(self, record: Record) -> None:
        """Take a record out: somebody has decided that it is nobody's care any more."""
        self._do(lambda database: database.execute("DELETE FROM records WHERE trace_id = ?", (record.trace_id,)))

    def damage(self) -> list[str]:
        """What SQLite finds wrong in the file; empty where it is sound."""
        found = [row[0] for row in self._rows("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def lives(self, process: int) -> bool:
        """Whether a process that wrote records still runs: it holds the lock of its number until it ends."""
        return process == self.process or self._locks.is_held(process)

    @property
    def doubt(self) -> str | None:
        """Why the file should lie elsewhere although it works; None where nothing speaks against its place."""
        return doubt_about(self.path)

    def _register(self) -> int:
        """Draw the next number, and hold its lock.

        Where an older file was put back in the place of this one, a process that lives may hold the lock of a number
        that is drawn once more.
        """
        while True:
            number: int = self._do(lambda base: base.execute("INSERT INTO processes DEFAULT VALUES").lastrowid or 0)
            try:
                if self._locks.hold(number):
                    return number
            except OSError as error:
                raise unusable(self.path, error) from None

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Read on a connection of its own: what is read does not wait until the disk has what others write."""
        try:
            with self._reading:
                return self._reader.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise unusable(self.path, error) from None

    def _change(self, trace_id: str, what: str, values: tuple[Any, ...]) -> Record | None:
        def change(database: sqlite3.Connection) -> Record | None:
            statement = f"UPDATE records SET changed_at = ?, {what}"  # noqa: S608  fixed words of this module
            if not database.execute(statement, (_now(), *values)).rowcount:
                return None
            return _record(database.execute(f"{_SELECT} WHERE trace_id = ?", (trace_id,)).fetchone())

        return self._do(change)

    def _do(self, work: Work[T]) -> T:
        """Have the writer's thread do something, and wait until it is on disk.

        Raises:
            JournalError: it could not be written; or the journal is closed, or its writer has failed.
        """
        done: Future[T] = Future()
        with self._admitting:
            if self._ended:
                raise unusable(self.path, RuntimeError("nothing can be written any more"))
            self._work.put((work, done))
        return done.result()

    def _write(self, database: sqlite3.Connection) -> None:
        """Do what threads ask for: all that waits at one moment in one transaction.

        However this ends, nobody waits for it any more.
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
                    done.set_exception(unusable(self.path, RuntimeError("its writer has ended")))
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
                done.set_exception(unusable(self.path, outcome))
            else:
                done.set_result(outcome)


def _by_itself(work: Work[T], database: sqlite3.Connection) -> T | Exception:
    """Do one thread's work so that its failure undoes nothing of the others' in the same transaction.

    Any failure: a value that SQLite cannot hold is an error of its own kind, and the thread that waits must hear of it.
    """
    database.execute("SAVEPOINT work")
    outcome: T | Exception
    try:
        outcome = work(database)
    except Exception as error:
        if not database.in_transaction:
            raise  # SQLite has taken back the whole transaction, as where the disk is full: nobody's work was done
        database.execute("ROLLBACK TO work")
        outcome = error
    database.execute("RELEASE work")
    return outcome


def _record(row: tuple[Any, ...]) -> Record:
    values = dict(zip(COLUMNS, row, strict=True))
    flags = {name: bool(values[name]) for name in ("handed", "stored")}
    return Record(**{**values, **flags, "state": State(values["state"]), "kept": Kept(values["kept"])})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
