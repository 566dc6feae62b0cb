"""The journal in one file, for all processes of a user.

SQLite in WAL mode: it ships with Python, survives a kill in the middle of a write, and serves many threads and
processes at the same time. Every write is on disk (``synchronous=FULL``) before the call returns.

Each process holds a lock on its own byte of a separate file; the lock shows whether the process still runs. A process
id cannot show this, because the operating system may have given it to another process by now.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from rtcai_pulumi.journal.batches import Batches
from rtcai_pulumi.journal.sqlite.schema import is_busy, journal_error, open_locks, open_reader, open_writer
from rtcai_pulumi.journal.storage import Result, Row, Statement
from rtcai_pulumi.service.errors import JournalError

_Write = Sequence[Statement]


class FileStorage:
    """A journal's file, open for writing.

    Args:
        path: the file. It is created with its folder if it is missing, readable only by its user.

    Raises:
        JournalError: the file is not a journal, is newer than this package, or is in a place without locks or WAL.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks = open_locks(path)
        try:
            self._database = open_writer(path)
            self._reader = open_reader(path)
        except JournalError:
            self._locks.close()
            raise
        self._reading = threading.Lock()
        self._writer = Batches("rtcai-journal", self._write_batch, self._closed_error, self._database.close)
        try:
            self._process = self._register()
        except JournalError:
            self.close()
            raise

    @property
    def location(self) -> Path:
        """Its path."""
        return self._path

    @property
    def process(self) -> int:
        """This process's number."""
        return self._process

    def write(self, *statements: Statement) -> list[Result]:
        """Run statements in one transaction; all of it is on disk when this returns.

        Raises:
            JournalError: nothing was written.
        """
        return self._writer.run(statements)

    def read(self, statement: Statement) -> list[Row]:
        """The rows of a query. A connection of its own reads: it does not wait until other threads' writes are on disk.

        Raises:
            JournalError: it could not be read.
        """
        try:
            with self._reading:
                return self._reader.execute(*statement).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise journal_error(self._path, error) from None

    def is_running(self, process: int) -> bool:
        """Whether the process with this number still runs: it holds the lock of its number until it ends."""
        return process == self._process or self._locks.is_held(process)

    def running_processes(self) -> list[int]:
        """The numbers of the other processes that run."""
        numbers = [int(row[0]) for row in self.read(Statement("SELECT number FROM processes"))]
        return [number for number in numbers if number != self._process and self._locks.is_held(number)]

    def skip_numbers(self, highest: int) -> None:
        """Give no later process this number, or a lower one."""
        self.write(Statement("INSERT INTO processes (number) VALUES (?) ON CONFLICT DO NOTHING", (highest,)))

    def require_registration(self) -> None:
        """The operating system keeps a lock as long as its process runs."""

    def find_damage(self) -> list[str]:
        """The damage that SQLite finds in the file; empty if the file is intact."""
        lines = [row[0] for row in self.read(Statement("PRAGMA integrity_check"))]
        return [] if lines == ["ok"] else lines

    def close(self) -> None:
        """Finish the pending writes and release this process's lock."""
        self._writer.close()
        self._reader.close()
        self._locks.close()

    def _closed_error(self, reason: str) -> JournalError:
        return JournalError(f"The journal {self._path} cannot be written: {reason}.", advice="run the command again")

    def _register(self) -> int:
        """Draw the next number and hold its lock.

        If an older copy of the file was restored, a number may be drawn a second time while a running process holds the
        lock of that number; then the next number is tried.
        """
        draw = (Statement("INSERT INTO processes DEFAULT VALUES"), Statement("SELECT last_insert_rowid()"))
        while True:
            number = int(self.write(*draw)[1].rows[0][0])
            try:
                if self._locks.hold(number):
                    return number
            except OSError as error:
                raise journal_error(self._path, error) from None

    def _write_batch(self, batch: Sequence[_Write]) -> list[list[Result] | Exception]:
        """Write what several threads request in one transaction, with one wait for the disk.

        If one of the writes fails, each is written in a transaction of its own: the others must not fail with it. If
        another process blocks the journal, each would wait as long again, so all fail.
        """
        try:
            return self._write_together(batch)
        except Exception as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")  # if this fails, it ends the thread, and every later write fails
            if len(batch) == 1 or is_busy(error):
                return [journal_error(self._path, error)] * len(batch)
            return [outcome for write in batch for outcome in self._write_batch([write])]

    def _write_together(self, batch: Sequence[_Write]) -> list[list[Result] | Exception]:
        """Write all, or nothing. Each statement of SQL takes time, so a single one has no transaction around it."""
        if [len(write) for write in batch] == [1]:
            return [[self._run(batch[0][0])]]
        self._database.execute("BEGIN IMMEDIATE")
        results: list[list[Result] | Exception] = [[self._run(statement) for statement in write] for write in batch]
        self._database.execute("COMMIT")
        return results

    def _run(self, statement: Statement) -> Result:
        cursor = self._database.execute(*statement)
        return Result(cursor.fetchall(), cursor.rowcount)
