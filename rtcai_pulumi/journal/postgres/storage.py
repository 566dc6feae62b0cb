"""The journal in a PostgreSQL database, open for writing.

A process has three connections: one holds the lock that shows that it runs, one writes, and one reads. All transactions
that write hold the same lock, so those of all processes run one after the other, as in a file.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.batches import Batches
from rtcai_pulumi.journal.origin import describe_origin
from rtcai_pulumi.journal.postgres.connection import (
    connect,
    database_error,
    import_driver,
    run_together,
)
from rtcai_pulumi.journal.postgres.link import MAX_ATTEMPTS, Outage
from rtcai_pulumi.journal.postgres.reading import DatabaseReader
from rtcai_pulumi.journal.postgres.registration import WRITE_LOCK, Registration, restored_error
from rtcai_pulumi.journal.postgres.schema import deletions_of_old_records, migrate
from rtcai_pulumi.journal.storage import Result, Row, Statement
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.connection import Connection
    from rtcai_pulumi.journal.storage import Waits

    _Write = Sequence[Statement]

_KEEP_SECONDS: Final = 5.0
"""Seconds between two looks at the lock."""
_TIMED_OUT: Final = frozenset({"55P03", "57014"})
"""The SQLSTATE of a write that waited too long: each write of its batch would wait as long again."""


class DatabaseStorage:
    """A journal's database, open for writing.

    Args:
        url: the database. The tables are created if they are missing.
        waits: how to wait for a server that restarts.

    Raises:
        JournalError: the server cannot be reached or does not fit, is behind a pooler that does not keep sessions, or
            its tables are newer than this package.
    """

    def __init__(self, url: DatabaseUrl, waits: Waits) -> None:
        self._url = url
        self._outage = Outage(url, waits)
        connections: list[Connection] = []
        try:
            connections.append(connect(url, "rtcai lock"))
            connections.append(connect(url, "rtcai write"))
            lock, write = connections
            migrate(write, url)
            self._registration = Registration(self._outage.link("rtcai lock", lock), url, describe_origin(os.environ))
        except (import_driver().Error, JournalError) as error:
            for connection in connections:
                connection.close()
            raise database_error(url, error) from None
        self._writing = self._outage.link("rtcai write", write)
        self._reader = DatabaseReader(self._outage.link("rtcai read"), url)
        self._count = self._committed = 0
        self._writer = Batches("rtcai-journal", self._write_batch, self._closed_error, self._writing.close)
        self._keeper = threading.Thread(target=self._keep_registration, name="rtcai-journal-keeper", daemon=True)
        self._keeper.start()
        try:
            self.write(*deletions_of_old_records())
        except JournalError:
            self.close()
            raise

    @property
    def location(self) -> DatabaseUrl:
        """Its URL."""
        return self._url

    @property
    def process(self) -> int:
        """This process's number."""
        return self._registration.number

    def write(self, *statements: Statement) -> list[Result]:
        """Run statements in one transaction; all of it is on the server's disk when this returns.

        Raises:
            JournalError: it is not known to be written. If the connection was lost, it may have been.
        """
        return self._writer.run(statements)

    def read(self, statement: Statement) -> list[Row]:
        """The rows of a query.

        Raises:
            JournalError: it could not be read.
        """
        return self._reader.read(statement)

    def is_running(self, process: int) -> bool:
        """Whether the process with this number still runs: its session holds the lock of its number."""
        return process == self.process or bool(self.read(self._registration.holders(process)))

    def running_processes(self) -> list[int]:
        """The numbers of the other processes that run."""
        return [number for number in self._registration.running(self.read) if number != self.process]

    def skip_numbers(self, highest: int) -> None:
        """Give no later process this number, or a lower one."""
        raise_sequence = "SELECT setval('process_numbers', greatest(?, (SELECT last_value FROM process_numbers)))"
        self.write(Statement(raise_sequence, (highest,)))

    def require_registration(self) -> None:
        """Make sure that the lock of this process's number is held; if its connection was lost, take it again.

        Raises:
            JournalError: this cannot be made sure.
        """
        if not self.read(self._registration.holders(self.process)):
            self._registration.restore()

    def find_damage(self) -> list[str]:
        """The server checks its files itself."""
        return []

    def close(self) -> None:
        """Finish the pending writes and release this process's lock."""
        self._outage.ended.set()
        self._writer.close()
        self._reader.close()
        self._keeper.join()
        self._registration.close()

    def _keep_registration(self) -> None:
        """Take a lost lock again soon, also while this process waits for the service and uses no journal."""
        while not self._outage.ended.wait(_KEEP_SECONDS):
            with suppress(JournalError):  # the next call that needs the journal reports it
                self._registration.restore()

    def _closed_error(self, reason: str) -> JournalError:
        return JournalError(f"The journal {self._url} cannot be written: {reason}.", advice="run the command again")

    def _write_batch(self, batch: Sequence[_Write]) -> list[list[Result] | Exception]:
        """Write what several threads request in one transaction. If one of these writes fails, each gets its own."""
        try:
            return list(self._write_together(batch))
        except JournalError as error:
            return [error] * len(batch)
        except (import_driver().Error, ValueError, OverflowError) as error:
            if len(batch) == 1 or getattr(error, "sqlstate", None) in _TIMED_OUT:
                return [database_error(self._url, error)] * len(batch)
            return [outcome for write in batch for outcome in self._write_batch([write])]

    def _write_together(self, batch: Sequence[_Write]) -> list[list[Result]]:
        """Write in one transaction, and again if the connection is lost before it is known to be committed.

        The results are read before the commit. If the connection is lost during the commit, the number of the last
        write, which is a part of the transaction, shows whether it took place.

        Raises:
            JournalError: the server cannot be reached in time, or no longer knows this process.
            psycopg.Error, ValueError, OverflowError: one of the writes failed; nothing was written.
        """
        self._count += 1
        results: list[list[Result]] | None = None
        for attempt in range(MAX_ATTEMPTS):
            connection = self._writing.get()
            try:
                if results is None or self._last_write(connection) != self._count:
                    results = self._execute(connection, batch)
                    if results is None:
                        run_together(connection, [Statement("ROLLBACK")])
                        self._registration.restore()
                        continue
                    run_together(connection, [Statement("COMMIT")])
            except BaseException as error:
                if self._writing.is_lost and isinstance(error, import_driver().Error) and attempt < MAX_ATTEMPTS - 1:
                    continue
                self._end_transaction(connection)
                raise
            self._committed = self._count
            return results
        summary = f"The connection to the journal {self._url} is lost repeatedly."
        raise JournalError(summary, advice="check the network and the server, then run the command again")

    def _end_transaction(self, connection: Connection) -> None:
        """Undo what a failed write has begun: its transaction holds the lock of all writes."""
        try:
            run_together(connection, [Statement("ROLLBACK")])
        except import_driver().Error:
            connection.close()

    def _execute(self, connection: Connection, batch: Sequence[_Write]) -> list[list[Result]] | None:
        """Begin a transaction and run the statements in it; None if the other processes take this one for ended."""
        registration = self._registration
        update = "UPDATE processes SET last_write = ? WHERE number = ? AND token = ? AND last_write = ?"
        statements = [statement for write in batch for statement in write]
        _, _, holders, *results, count = run_together(
            connection,
            [
                Statement("BEGIN"),
                Statement("SELECT pg_advisory_xact_lock(?, ?)", (registration.lock_class, WRITE_LOCK)),
                registration.holders(registration.number),
                *statements,
                Statement(update, (self._count, registration.number, registration.token, self._committed)),
            ],
        )
        if count.changed != 1:
            raise restored_error(self._url)
        if not holders.rows:
            return None
        remaining = iter(results)
        return [[next(remaining) for _ in write] for write in batch]

    def _last_write(self, connection: Connection) -> int:
        """The number of the last write of this process that is committed.

        It is read under the lock of all writes: the server may still be committing for the lost connection.
        """
        registration = self._registration
        _, _, last, _ = run_together(
            connection,
            [
                Statement("BEGIN"),
                Statement("SELECT pg_advisory_xact_lock(?, ?)", (registration.lock_class, WRITE_LOCK)),
                Statement(
                    "SELECT last_write FROM processes WHERE number = ? AND token = ?",
                    (registration.number, registration.token),
                ),
                Statement("COMMIT"),
            ],
        )
        return int(last.rows[0][0]) if last.rows else -1
