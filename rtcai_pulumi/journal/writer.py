"""Writes to the journal's file, for all threads of a process."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from rtcai_pulumi.journal.schema import journal_error
from rtcai_pulumi.service.errors import JournalError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
_Request = tuple[Work[Any], Future[Any]]


class JournalWriter:
    """One thread that writes. What several threads request at the same moment shares a transaction and a disk wait.

    Args:
        path: the file, for messages.
        database: the connection; the writer closes it.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path = path
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._accepting = threading.Lock()
        self._is_closed = self._is_closing = False
        self._thread = threading.Thread(target=self._serve, args=(database,), name="rtcai-journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the pending writes."""
        with self._accepting:
            self._is_closed = self._is_closing = True
            self._requests.put(None)
        self._thread.join()

    def run(self, work: Work[T]) -> T:
        """Run a function in a transaction, and wait until its result is on disk.

        Raises:
            JournalError: it could not be written, or the writer has ended.
        """
        done: Future[T] = Future()
        with self._accepting:
            if self._is_closed:
                raise self._closed_error()
            self._requests.put((work, done))
        return done.result()

    def _closed_error(self) -> JournalError:
        """The error of a write after `close`, or after this thread has failed."""
        why = "this process is shutting down" if self._is_closing else "an earlier write failed"
        return JournalError(f"The journal {self._path} cannot be written: {why}.", advice="run the command again")

    def _serve(self, database: sqlite3.Connection) -> None:
        """Run the functions that threads submit; all that wait at the same moment share one transaction.

        However this method ends, every waiting thread gets a result or an error.
        """
        requests: list[_Request] = []
        is_last = False
        try:
            while not is_last:
                batch = [self._requests.get()]
                while not self._requests.empty():
                    batch.append(self._requests.get())
                is_last = None in batch
                requests = [item for item in batch if item is not None]
                if requests:
                    self._write_batch(database, requests)
        finally:
            with self._accepting:
                self._is_closed = True
            while not self._requests.empty():
                requests += filter(None, [self._requests.get()])
            for _, done in requests:
                if not done.done():
                    done.set_exception(self._closed_error())
            database.close()

    def _write_batch(self, database: sqlite3.Connection, batch: list[_Request]) -> None:
        outcomes: list[Any] = []
        try:
            database.execute("BEGIN IMMEDIATE")
            outcomes = [_run_separately(work, database) for work, _ in batch]
            database.execute("COMMIT")
        except sqlite3.Error as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            outcomes = [error] * len(batch)
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                done.set_exception(journal_error(self._path, outcome))
            else:
                done.set_result(outcome)


def _run_separately(work: Work[T], database: sqlite3.Connection) -> T | Exception:
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
