"""Reads the journal's file for a preview: loads it into memory, and changes nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.reader import OLDEST_FIRST, SELECT_ROOMS, ReadOnlyJournal
from rtcai_pulumi.journal.sqlite.schema import (
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

    from rtcai_pulumi.journal.storage import Row

_MAX_READS: Final = 20
"""How many times a snapshot is read again if the journal changes during the read."""
_READ_AGAIN_SECONDS: Final = 0.02
"""Seconds between two of these reads."""


class JournalSnapshot(ReadOnlyJournal):
    """The journal's file as it is at each query.

    A thread may keep using this reader after `switch_to`. It must not open the file any more: when a process closes a
    file, it releases all its locks on that file, and another process may then remove the log.

    Args:
        path: the file.
        on_unreadable: as for `ReadOnlyJournal`.
    """

    def __init__(self, path: Path, on_unreadable: Callable[[JournalError], None] | None = None) -> None:
        super().__init__(on_unreadable, threading.RLock())
        self.path = path
        self._snapshot: Snapshot | None = None
        self._signature: tuple[Any, ...] | None = None
        self._failure: JournalError | None = None

    def close(self) -> None:
        """Drop what is in memory."""
        with self._guard:
            self._drop_snapshot()

    def _read_records(self, where: str, *values: object) -> list[Row]:
        snapshot = self._current()
        if snapshot is None or snapshot.records is None:
            return []
        return self._rows(snapshot, f"{snapshot.records} WHERE {where} {OLDEST_FIRST}", *values)

    def _read_rooms(self, where: str, *values: object) -> list[Row]:
        snapshot = self._current()
        if snapshot is None or not snapshot.has_rooms:
            return []
        return self._rows(snapshot, f"{SELECT_ROOMS} WHERE {where}", *values)

    def _rows(self, snapshot: Snapshot, query: str, *values: object) -> list[Row]:
        try:
            return snapshot.database.execute(query, values).fetchall()
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
    """Values that change whenever the journal does. None: the journal does not exist."""
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
