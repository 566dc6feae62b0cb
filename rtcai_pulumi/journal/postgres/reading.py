"""Reads the database, for all threads of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtcai_pulumi.journal.batches import Batches
from rtcai_pulumi.journal.postgres.connection import database_error, import_driver, run_together
from rtcai_pulumi.journal.postgres.link import MAX_ATTEMPTS
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.link import Link
    from rtcai_pulumi.journal.storage import Row, Statement


class DatabaseReader:
    """Serves queries. What several threads ask at the same moment shares a round trip to the server.

    Args:
        link: the connection.
        url: the database, for messages.
    """

    def __init__(self, link: Link, url: DatabaseUrl) -> None:
        self._link = link
        self._url = url
        self._queries = Batches("rtcai-journal-read", self._serve, self._closed_error, link.close)

    def read(self, statement: Statement) -> list[Row]:
        """The rows of a query.

        Raises:
            JournalError: it could not be read.
        """
        return self._queries.run(statement)

    def close(self) -> None:
        """Close the connection."""
        self._queries.close()

    def _serve(self, batch: Sequence[Statement]) -> list[list[Row] | Exception]:
        try:
            return list(self._read_together(batch))
        except JournalError as error:
            return [error] * len(batch)
        except (import_driver().Error, ValueError, OverflowError) as error:
            if len(batch) == 1:
                return [database_error(self._url, error)]
            return [outcome for statement in batch for outcome in self._serve([statement])]

    def _read_together(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """The rows of each query; after a lost connection all are asked again.

        Raises:
            JournalError: the server cannot be reached in time.
            psycopg.Error: one of the queries failed.
        """
        for attempt in range(MAX_ATTEMPTS):
            connection = self._link.get()
            try:
                return [result.rows for result in run_together(connection, batch)]
            except import_driver().Error:
                if not self._link.is_lost or attempt == MAX_ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _closed_error(self, reason: str) -> JournalError:
        return JournalError(f"The journal {self._url} cannot be read: {reason}.", advice="run the command again")
