"""Reads the database for a preview: changes nothing on the server, and holds no lock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.postgres.connection import connect, database_error, import_driver
from rtcai_pulumi.journal.postgres.link import Link
from rtcai_pulumi.journal.postgres.reading import DatabaseReader
from rtcai_pulumi.journal.postgres.schema import read_version
from rtcai_pulumi.journal.reader import OLDEST_FIRST, SELECT_RECORDS, SELECT_ROOMS, ReadOnlyJournal
from rtcai_pulumi.journal.storage import Statement
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.connection import Connection
    from rtcai_pulumi.journal.storage import Row

_FAILED_SECONDS: Final = 30.0
"""Seconds after which a server that could not be reached is tried again: a preview of many rooms must not wait each
time."""


class DatabaseView(ReadOnlyJournal):
    """The journal in a database, as it is at each query.

    Args:
        url: the database.
        on_unreadable: as for `ReadOnlyJournal`.
    """

    def __init__(self, url: DatabaseUrl, on_unreadable: Callable[[JournalError], None] | None = None) -> None:
        super().__init__(on_unreadable)
        self._url = url
        self._opening = threading.Lock()
        self._reader: DatabaseReader | None = None
        self._is_closed = self._has_tables = False
        self._failure: tuple[float, JournalError] | None = None

    def close(self) -> None:
        """Close the connection."""
        with self._opening:
            reader, self._reader, self._is_closed = self._reader, None, True
        if reader is not None:
            reader.close()

    def _read_records(self, where: str, *values: object) -> list[Row]:
        return self._rows(f"{SELECT_RECORDS} WHERE {where} {OLDEST_FIRST}", *values)

    def _read_rooms(self, where: str, *values: object) -> list[Row]:
        return self._rows(f"{SELECT_ROOMS} WHERE {where}", *values)

    def _rows(self, query: str, *values: object) -> list[Row]:
        reader = self._open()
        if not self._has_tables:
            self._has_tables = read_version(reader.read, self._url) > 0
        return reader.read(Statement(query, values)) if self._has_tables else []

    def _open(self) -> DatabaseReader:
        with self._opening:
            if self._is_closed:
                raise JournalError(f"The reader of the journal {self._url} is closed.")
            if self._reader is None:
                self._reader = DatabaseReader(Link(self._connect), self._url)
            return self._reader

    def _connect(self) -> Connection:
        """Connect once; a failure is repeated for a while without another attempt."""
        if self._failure is not None and time.monotonic() - self._failure[0] < _FAILED_SECONDS:
            raise self._failure[1].with_traceback(None)  # else each raise would add to the last traceback
        try:
            return connect_to_read(self._url)
        except JournalError as error:
            self._failure = (time.monotonic(), error)
            raise


def has_tables(url: DatabaseUrl) -> bool:
    """Whether a database has a journal.

    Raises:
        JournalError: it cannot be read, or a newer release wrote it.
    """
    reader = DatabaseReader(Link(lambda: connect_to_read(url)), url)
    try:
        return read_version(reader.read, url) > 0
    finally:
        reader.close()


def connect_to_read(url: DatabaseUrl) -> Connection:
    """Connect to a database that must not change.

    Raises:
        JournalError: this is not possible.
    """
    try:
        return connect(url, "rtcai preview", is_read_only=True)
    except import_driver().Error as error:
        raise database_error(url, error) from None
