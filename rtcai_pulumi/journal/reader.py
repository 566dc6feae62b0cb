"""Reads the journal: its queries, for a journal that is open for writing and for one that a preview reads.

A preview must write nothing, and the engine does not tell the plugin that it runs a preview. So operations that a
preview also calls read through a `ReadOnlyJournal`; only operations that an update alone calls open the `Journal`.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.record import KeepReason, Record, RecordState, RoomRecord
from rtcai_pulumi.journal.storage import COLUMNS, ROOM_COLUMNS
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.journal.storage import Row

SELECT_RECORDS: Final = f"SELECT {', '.join(COLUMNS)} FROM records"  # noqa: S608  no value is put in
"""Selects whole records."""
SELECT_ROOMS: Final = f"SELECT {', '.join(ROOM_COLUMNS)} FROM rooms"  # noqa: S608  as above
"""Selects whole records of rooms."""
OLDEST_FIRST: Final = "ORDER BY rowid"
"""Sorts records by the order in which they were written."""


class JournalReader(ABC):
    """The queries of the journal."""

    @property
    @abstractmethod
    def process(self) -> int:
        """The number of the process that reads: every process that started before it has a lower number."""

    def records(self, owner: str | None = None) -> list[Record]:
        """The records of one owner, or all, oldest first."""
        return self._select("owner = ?", owner) if owner is not None else self._select("1 = 1")

    def records_with_end(self) -> list[Record]:
        """The records of the agents that have an end, oldest first."""
        return self._select("ends_at != ''")

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
        rows = self._select_rooms("cid = ? AND app_key = ? AND room_endpoint = ?", cid, app_key, room_endpoint)
        return RoomRecord(**dict(zip(ROOM_COLUMNS, rows[0], strict=True))) if rows else None

    def rooms(self) -> list[RoomRecord]:
        """All rooms."""
        return [RoomRecord(**dict(zip(ROOM_COLUMNS, row, strict=True))) for row in self._select_rooms("1 = 1")]

    def _select(self, where: str, *values: object) -> list[Record]:
        """The records that match a condition, oldest first."""
        return [record_of_row(row) for row in self._select_records(where, *values)]

    @abstractmethod
    def _select_records(self, where: str, *values: object) -> list[Row]:
        """The rows of the records that match a condition, oldest first."""

    @abstractmethod
    def _select_rooms(self, where: str, *values: object) -> list[Row]:
        """The rows of the rooms that match a condition."""


class ReadOnlyJournal(JournalReader):
    """The journal as it is at each query, read without side effects: no lock, nothing new, no migration of its tables.

    It works if the journal is missing (it then counts as empty) and if nothing can be written. A process that wants to
    write opens the `Journal` through `switch_to`.

    Args:
        on_unreadable: called once if the journal cannot be read; it then counts as empty. If None, a journal that
            cannot be read raises an error.
        guard: held during each query and during `switch_to`, if queries must not run at the same time.
    """

    def __init__(
        self,
        on_unreadable: Callable[[JournalError], None] | None = None,
        guard: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._on_unreadable = on_unreadable
        self._is_reported = False
        self._guard = guard or nullcontext()
        self._successor: Journal | None = None

    @property
    def process(self) -> int:
        """A number above that of every process, because this process has none as long as it only reads."""
        return sys.maxsize if self._successor is None else self._successor.process

    def switch_to(self, open_journal: Callable[[], Journal]) -> Journal:
        """Open the journal. From now on, every query reads from it.

        Args:
            open_journal: opens it.

        Raises:
            JournalError: it does not open. This reader then reads as before.
        """
        with self._guard:
            self._successor = open_journal()
            self.close()
            return self._successor

    @abstractmethod
    def close(self) -> None:
        """Release what is open."""

    def _select_records(self, where: str, *values: object) -> list[Row]:
        return self._read(lambda reader: reader._select_records, self._read_records, where, *values)

    def _select_rooms(self, where: str, *values: object) -> list[Row]:
        return self._read(lambda reader: reader._select_rooms, self._read_rooms, where, *values)

    @abstractmethod
    def _read_records(self, where: str, *values: object) -> list[Row]:
        """As `_select_records`, without the `Journal`. Raises JournalError."""

    @abstractmethod
    def _read_rooms(self, where: str, *values: object) -> list[Row]:
        """As `_select_rooms`, without the `Journal`. Raises JournalError."""

    def _read(
        self,
        select: Callable[[JournalReader], Callable[..., list[Row]]],
        read: Callable[..., list[Row]],
        where: str,
        *values: object,
    ) -> list[Row]:
        """Read from the `Journal` if it is open, else without it."""
        with self._guard:
            while self._successor is None:
                try:
                    return read(where, *values)
                except JournalError as error:
                    if self._successor is None:  # else the journal was opened meanwhile, and this reader closed
                        self._report(error)
                        return []
            return select(self._successor)(where, *values)

    def _report(self, error: JournalError) -> None:
        """Report once that the journal cannot be read.

        Raises:
            JournalError: it cannot be reported, because no callback was given.
        """
        if self._on_unreadable is None:
            raise error
        is_reported, self._is_reported = self._is_reported, True
        if not is_reported:
            self._on_unreadable(error)


def record_of_row(row: tuple[Any, ...]) -> Record:
    """The record in a row of `SELECT_RECORDS`."""
    values = dict(zip(COLUMNS, row, strict=True))
    for name, convert in _CONVERSIONS:
        values[name] = convert(values[name])
    return Record(**values)


_CONVERSIONS: Final = (("state", RecordState), ("kept", KeepReason), ("handed", bool), ("stored", bool))
"""The columns that a storage does not return in the form of the record's fields."""
