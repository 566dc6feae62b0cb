"""Reads the journal: its queries, and a snapshot of it for previews.

A preview must write nothing, and the engine does not tell the plugin that it runs a preview. So operations that a
preview also calls read through `JournalSnapshot`; only operations that an update alone calls open the `Journal`.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.record import KeepReason, Record, RecordState, RoomRecord
from rtcai_pulumi.journal.schema import (
    COLUMNS,
    ROOM_COLUMNS,
    Snapshot,
    journal_error,
    log_path,
    read_snapshot,
    read_snapshot_with_locks,
)
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rtcai_pulumi.journal.journal import Journal

SELECT_RECORDS: Final = f"SELECT {', '.join(COLUMNS)} FROM records"  # noqa: S608  no value is put in
"""Selects whole records."""
_MAX_READS: Final = 20
"""How many times a snapshot is read again if the journal changes during the read."""
_READ_AGAIN_SECONDS: Final = 0.02
"""Seconds between two of these reads."""


class JournalReader(ABC):
    """The queries of the journal."""

    @property
    @abstractmethod
    def process(self) -> int:
        """The number of the process that reads: every process that started before it has a lower number."""

    def records(self, owner: str | None = None) -> list[Record]:
        """The records of one owner, or all, oldest first."""
        return self._select("owner = ?", owner) if owner is not None else self._select("1")

    def record(self, trace_id: str) -> Record | None:
        """The record of one create."""
        return next(iter(self._select("trace_id = ?", trace_id)), None)

    def records_of_task(self, task: str) -> list[Record]:
        """The records of one task, ``{cid}/{taskId}``; there are several if the service repeated a response."""
        named = TaskReference.parse(task)
        return self._select("task_id = ? AND cid = ?", named.task_id, named.cid)

    def records_in_room(self, cid: int, *, app_key: str) -> list[Record]:
        """The unfinished records of the tasks in a room, of all owners."""
        return self._select("cid = ? AND app_key = ? AND state != ?", cid, app_key, RecordState.CLOSED)

    def creates_in_room(self, cname: str, *, app_key: str) -> list[Record]:
        """The creates for a room that have no response yet, of all owners."""
        return self._select("cname = ? AND app_key = ? AND state = ?", cname, app_key, RecordState.ASKED)

    def others_in_room(self, cname: str, *, app_key: str, endpoint: str, owner: str) -> list[Record]:
        """The unfinished records of a room of one account that no run of this owner closes, oldest first.

        These are the records of other owners that belong to other processes, and this owner's own records that are
        left alone.
        """
        where = (
            "cname = ? AND app_key = ? AND endpoint = ? AND process != ? AND state != ? AND (owner != ? OR kept != '')"
        )
        return self._select(where, cname, app_key, endpoint, self.process, RecordState.CLOSED, owner)

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        """The room of one account with the given number."""
        columns = ", ".join(ROOM_COLUMNS)
        query = f"SELECT {columns} FROM rooms WHERE cid = ? AND app_key = ? AND room_endpoint = ?"  # noqa: S608
        rows = self._rows(query, cid, app_key, room_endpoint)
        return RoomRecord(**dict(zip(ROOM_COLUMNS, rows[0], strict=True))) if rows else None

    def _select(self, where: str, *values: object) -> list[Record]:
        """The records that match a condition, oldest first."""
        return self._to_records(SELECT_RECORDS, where, *values)

    def _to_records(self, select: str, where: str, *values: object) -> list[Record]:
        return [record_of_row(row) for row in self._rows(f"{select} WHERE {where} ORDER BY rowid", *values)]

    @abstractmethod
    def _rows(self, query: str, *values: object) -> list[Any]:
        """The rows of a query."""


class JournalSnapshot(JournalReader):
    """The journal as it is at each query, read without side effects: no lock, no new file, no migration of its tables.

    It works if the journal is missing (it then counts as empty) and if its disk cannot be written. A process that wants
    to write opens the `Journal` through `switch_to`.

    Args:
        path: the file.
        on_unreadable: called once if the file cannot be read; the journal then counts as empty. If None, an unreadable
            file raises an error.

    Raises:
        JournalError: by each query, if the file cannot be read and `on_unreadable` is None.
    """

    def __init__(self, path: Path, on_unreadable: Callable[[JournalError], None] | None = None) -> None:
        self.path = path
        self._on_unreadable = on_unreadable
        self._is_reported = False
        self._reading = threading.RLock()
        self._snapshot: Snapshot | None = None
        self._signature: tuple[Any, ...] | None = None
        self._failure: JournalError | None = None
        self._successor: Journal | None = None

    @property
    def process(self) -> int:
        """A number above that of every process, because this process has none as long as it only reads."""
        return sys.maxsize if self._successor is None else self._successor.process

    def switch_to(self, open_journal: Callable[[], Journal]) -> Journal:
        """Open the journal. From now on, every query reads from it.

        A thread may keep using this reader from before. It must not open the file any more: when a process
        closes a file, it releases all its locks on that file, and another process may then remove the log.

        Args:
            open_journal: opens it.

        Raises:
            JournalError: it does not open. This reader then reads as before.
        """
        with self._reading:
            self._successor = open_journal()
            self._drop_snapshot()
            return self._successor

    def close(self) -> None:
        """Drop what is in memory."""
        with self._reading:
            self._drop_snapshot()

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        """The room of one account with the given number."""
        with self._reading:
            if self._successor is not None:
                return self._successor.room(cid, app_key=app_key, room_endpoint=room_endpoint)
            try:
                snapshot = self._current()
                if snapshot is None or not snapshot.has_rooms:
                    return None
                return super().room(cid, app_key=app_key, room_endpoint=room_endpoint)
            except JournalError as error:
                self._report(error)
                return None

    def _select(self, where: str, *values: object) -> list[Record]:
        with self._reading:
            if self._successor is not None:
                return self._successor._select(where, *values)
            try:
                snapshot = self._current()
                if snapshot is None or snapshot.records is None:
                    return []
                return self._to_records(snapshot.records, where, *values)
            except JournalError as error:
                self._report(error)
                return []

    def _report(self, error: JournalError) -> None:
        """Report once that the file cannot be read.

        Raises:
            JournalError: there is no callback to report it to.
        """
        if self._on_unreadable is None:
            raise error
        is_reported, self._is_reported = self._is_reported, True
        if not is_reported:
            self._on_unreadable(error)

    def _rows(self, query: str, *values: object) -> list[Any]:
        if self._snapshot is None:
            return []
        try:
            return self._snapshot.database.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise journal_error(self.path, error) from None

    def _current(self) -> Snapshot | None:
        """The file as it is now; None if it does not exist."""
        signature = _signature_of(self.path)
        if signature != self._signature:
            self._drop_snapshot()
            if signature is not None:
                self._snapshot, self._signature = self._read_unchanged(signature)
        if self._failure is not None:
            raise self._failure
        return self._snapshot

    def _read_unchanged(self, signature: tuple[Any, ...]) -> tuple[Snapshot | None, tuple[Any, ...] | None]:
        """Read the file until it does not change during the read; None if it cannot be read, or is gone."""
        for attempt in range(_MAX_READS):
            failure = snapshot = None
            try:
                snapshot = read_snapshot(self.path)
            except JournalError as error:
                failure = error
            before, now = signature, _signature_of(self.path)
            if now is None:
                return None, None
            signature = now
            if snapshot is not None and signature == before:
                return snapshot, signature
            if snapshot is not None:
                snapshot.database.close()
            elif failure is not None and signature == before and attempt:
                self._failure = failure
                return None, signature
            time.sleep(_READ_AGAIN_SECONDS)
        # Another process writes all the time. So the files of the WAL exist already, and SQLite may read with its
        # locks.
        return read_snapshot_with_locks(self.path), signature

    def _drop_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot.database.close()
        self._snapshot = self._signature = self._failure = None


def _signature_of(path: Path) -> tuple[Any, ...] | None:
    """Values that change whenever the journal does. None: there is no journal."""
    try:
        file = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise journal_error(path, error) from None
    try:
        log = log_path(path).stat()
    except FileNotFoundError:
        return (file.st_ino, file.st_mtime_ns, file.st_size)
    return (file.st_ino, file.st_mtime_ns, file.st_size, log.st_ino, log.st_mtime_ns, log.st_size)


def record_of_row(row: tuple[Any, ...]) -> Record:
    """The record in a row of `SELECT_RECORDS`."""
    values = dict(zip(COLUMNS, row, strict=True))
    flags = {name: bool(values[name]) for name in ("handed", "stored")}
    return Record(**{**values, **flags, "state": RecordState(values["state"]), "kept": KeepReason(values["kept"])})
