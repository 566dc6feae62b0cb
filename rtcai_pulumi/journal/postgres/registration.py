"""The number of a process, and the lock that shows the other processes that it runs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from rtcai_pulumi.journal.postgres.connection import database_error, import_driver, run_together
from rtcai_pulumi.journal.postgres.link import MAX_ATTEMPTS
from rtcai_pulumi.journal.storage import Statement
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.link import Link
    from rtcai_pulumi.journal.storage import Row

WRITE_LOCK: Final = 0
"""The number whose lock a transaction that writes holds; no process has this number."""
_OLD_SESSION_SECONDS: Final = 30.0
"""Seconds to wait for the end of an old session of this process that the server still has."""
_AGAIN_SECONDS: Final = 0.05
"""Seconds between two attempts to take the lock."""
_LOCKS: Final = (
    "FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database()) AND classid::bigint = ?"
)
_HOLDERS: Final = f"SELECT pid {_LOCKS} AND objid::bigint = ?"
_RUNNING: Final = f"SELECT DISTINCT objid::bigint {_LOCKS} AND objid::bigint != ?"


def restored_error(url: DatabaseUrl) -> JournalError:
    """The error of a run whose database was set back to an earlier state, or got other tables."""
    summary = f"The journal {url} has no record of this run any more: its database was set back to an earlier state."
    return JournalError(
        f"{summary} This happens if a backup is restored, or if a fail-over loses writes.",
        advice="compare the rooms with `rtcai ls`, then run the command again",
    )


class Registration:
    """A process's number, drawn from a sequence, and the session lock of that number on a connection of its own.

    If the connection is lost, the server releases the lock, and other processes take this one for ended. Then the lock
    is taken again. What another process has taken over meanwhile stays with it, because every record names its process.

    Args:
        link: the connection that holds the lock, and that nothing else uses.
        url: the database, for messages.
        origin: where this process runs, for the people who look at the tables.

    Raises:
        JournalError: the number cannot be drawn.
    """

    def __init__(self, link: Link, url: DatabaseUrl, origin: str) -> None:
        self._link = link
        self._url = url
        self._using = threading.Lock()
        self._class_in_view = self._read_class()
        self.lock_class = self._class_in_view - (2**32 if self._class_in_view >= 2**31 else 0)
        """The first half of the keys of all locks of this journal, as a signed number."""
        self.token = uuid4().hex
        """Distinguishes this process from one that gets its number after an older copy of the database was restored."""
        self._session = 0
        self.number = self._draw(origin)

    def holders(self, process: int) -> Statement:
        """The query for the sessions that hold the lock of a process's number: there is one as long as it runs."""
        return Statement(_HOLDERS, (self._class_in_view, process))

    def running(self, read: Callable[[Statement], list[Row]]) -> list[int]:
        """The numbers of all processes that run.

        Args:
            read: returns the rows of a query.
        """
        return [int(number) for (number,) in read(Statement(_RUNNING, (self._class_in_view, WRITE_LOCK)))]

    def restore(self) -> None:
        """Take the lock again if it was lost.

        Raises:
            JournalError: the server cannot be reached in time, another session keeps the lock, or the tables are others
                than before.
        """
        until = time.monotonic() + _OLD_SESSION_SECONDS
        with self._using:
            while not self._take_lock(self.number):
                # The server may still have the session of the lost connection, which holds the lock.
                if self._session in {session for (session,) in self._rows(self.holders(self.number))}:
                    self._rows(Statement("SELECT pg_terminate_backend(?)", (self._session,)))
                if time.monotonic() > until:
                    summary = f"Another session holds this run's lock in the journal {self._url}."
                    raise JournalError(summary, advice="run the command again")
                time.sleep(_AGAIN_SECONDS)
            if self._read_class() != self._class_in_view:
                raise restored_error(self._url)

    def close(self) -> None:
        """Close the connection: the other processes see that this one has ended."""
        self._link.close()

    def _take_lock(self, number: int) -> bool:
        """Take the lock of a number if it is free; a session may take its own lock again."""
        is_taken, session = self._rows(
            Statement("SELECT pg_try_advisory_lock(?, ?), pg_backend_pid()", (self.lock_class, number))
        )[0]
        if is_taken:
            self._session = session
        return bool(is_taken)

    def _read_class(self) -> int:
        ((oid,),) = self._rows(Statement("SELECT 'process_numbers'::regclass::oid::bigint"))
        return int(oid)

    def _draw(self, origin: str) -> int:
        """Draw a number whose lock is free: if an older copy of the database was restored, a running process may have
        the lock of a number that is drawn again.
        """
        while True:
            ((number,),) = self._rows(Statement("SELECT nextval('process_numbers')"))
            if self._take_lock(number):
                # A restored copy may have the number, but not the process.
                insert = (
                    "INSERT INTO processes (number, token, origin, began_at) VALUES (?, ?, ?, now()) "
                    "ON CONFLICT (number) DO UPDATE SET "
                    "token = excluded.token, origin = excluded.origin, began_at = now(), last_write = 0 "
                    "RETURNING number"
                )
                self._rows(Statement(insert, (number, self.token, origin)))
                return int(number)

    def _rows(self, statement: Statement) -> list[Row]:
        """The rows of a query; it is repeated if the connection was lost."""
        driver = import_driver()
        for attempt in range(MAX_ATTEMPTS):
            try:
                return run_together(self._link.get(), [statement])[0].rows
            except driver.Error as error:
                if not self._link.is_lost or attempt == MAX_ATTEMPTS - 1:
                    raise database_error(self._url, error) from None
        raise AssertionError
