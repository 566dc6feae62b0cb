"""Tries out the database of the journal, for `rtcai doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.postgres.connection import (
    connect,
    database_error,
    import_driver,
    run_together,
)
from rtcai_pulumi.journal.postgres.storage import DatabaseStorage
from rtcai_pulumi.journal.postgres.view import has_tables
from rtcai_pulumi.journal.storage import QUIET_WAITS, Statement
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.connection import Connection

CLOCK_SECONDS: Final = 60
"""Seconds by which the clocks may differ: the times in the records of several machines must be comparable."""
_QUERIES: Final = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found out about a database."""

    version: str
    is_encrypted: bool
    milliseconds: float
    """The median time of a query."""
    skew: float
    """Seconds by which this machine's clock is ahead of the server's."""


def probe(url: DatabaseUrl) -> Probe:
    """Open the journal for writing, as a run does, and measure. If the journal does not exist yet, nothing is created.

    Raises:
        JournalError: the database cannot be reached, refuses, or does not fit.
    """
    if has_tables(url):
        DatabaseStorage(url, QUIET_WAITS).close()
    try:
        with connect(url, "rtcai doctor") as connection:
            _require_tables_or_rights(connection, url)
            times = []
            for _ in range(_QUERIES):
                began = time.perf_counter()
                row = connection.execute("SELECT clock_timestamp()").fetchone()
                times.append(time.perf_counter() - began)
            ahead = (datetime.now(UTC) - row[0]).total_seconds() if row else 0.0
            version = connection.info.parameter_status("server_version") or "?"
            is_encrypted = bool(connection.pgconn.ssl_in_use)
    except import_driver().Error as error:
        raise database_error(url, error) from None
    return Probe(version.split()[0], is_encrypted, median(times) * 1000, ahead)


def _require_tables_or_rights(connection: Connection, url: DatabaseUrl) -> None:
    """Raise JournalError if the tables do not exist and cannot be created."""
    question = (
        "SELECT to_regclass(?) IS NOT NULL OR CASE WHEN to_regnamespace(?) IS NULL "
        "THEN has_database_privilege(current_database(), 'CREATE') ELSE has_schema_privilege(?, 'CREATE') END"
    )
    schema = f'"{url.schema}"'
    answer = run_together(connection, [Statement(question, (f"{schema}.version", schema, url.schema))])
    if answer[0].rows != [(True,)]:
        summary = f"The journal {url} does not exist, and this user may not create its tables."
        raise JournalError(summary, advice="grant the rights that docs/operations.md lists")
