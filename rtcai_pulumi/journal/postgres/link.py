"""A connection that is made again after it was lost, with a limit on the wait."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.postgres.connection import connect, database_error, import_driver
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.connection import Connection
    from rtcai_pulumi.journal.storage import Waits

OUTAGE_SECONDS: Final = 60.0
"""Seconds that a process waits for a server that restarts or fails over."""
MAX_ATTEMPTS: Final = 10
"""How many times something is tried on a new connection, if each connection is lost immediately."""
_AGAIN_SECONDS: Final = 0.5
"""Seconds between two attempts to connect."""


class Outage:
    """How all connections of a process wait for a server that cannot be reached.

    The wait is reported once. If it was in vain, later calls try only once: a run of many rooms must end soon.

    Args:
        url: the database.
        waits: how to wait.
    """

    def __init__(self, url: DatabaseUrl, waits: Waits) -> None:
        self.url = url
        self._waits = waits
        self._lock = threading.Lock()
        self._is_reported = self._is_in_vain = False
        self.ended = threading.Event()
        """Set once the journal is closed: every wait ends."""

    def link(self, name: str, connection: Connection | None = None) -> Link:
        """A connection that is opened again with this wait.

        Args:
            name: its name, for the people who look at the server.
            connection: the first connection.
        """
        return Link(lambda: self.connect(name), connection)

    def connect(self, name: str) -> Connection:
        """Connect, and try again for a limited time.

        Raises:
            JournalError: the server cannot be reached in time, or the run was interrupted.
        """
        until = time.monotonic() + OUTAGE_SECONDS
        while True:
            try:
                connection = connect(self.url, name)
            except import_driver().OperationalError as error:
                failure = database_error(self.url, error)
            else:
                self._end()
                return connection
            if self._is_in_vain or self.ended.is_set() or time.monotonic() >= until:
                self._is_in_vain = True
                raise failure
            self._report()
            if self._waits.sleep(_AGAIN_SECONDS):
                summary = f"The run was interrupted while it waited for the journal {self.url}."
                raise JournalError(summary, advice="run the command again")

    def _report(self) -> None:
        with self._lock:
            is_reported, self._is_reported = self._is_reported, True
        if not is_reported:
            self._waits.report(
                f"The connection to the journal {self.url} was lost. Waiting for its server, at most "
                f"{OUTAGE_SECONDS:.0f} s. No request is sent in the meantime."
            )

    def _end(self) -> None:
        with self._lock:
            was_reported, self._is_reported, self._is_in_vain = self._is_reported, False, False
        if was_reported:
            self._waits.report(f"The journal {self.url} can be reached again.")


class Link:
    """One connection; it is opened again when it is needed after a loss. Only one thread may use it at a time.

    Args:
        open_connection: opens it.
        connection: the first connection; if None, it is opened when it is needed.
    """

    def __init__(self, open_connection: Callable[[], Connection], connection: Connection | None = None) -> None:
        self._open = open_connection
        self._connection = connection

    @property
    def is_lost(self) -> bool:
        """Whether no connection can be used."""
        return self._connection is None or bool(self._connection.closed)

    def get(self) -> Connection:
        """The connection.

        Raises:
            JournalError: it was lost, and cannot be opened again.
        """
        if self._connection is None or self.is_lost:
            self._connection = self._open()
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
