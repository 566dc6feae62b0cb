"""The journal's tables in a database, and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.postgres.connection import run_together
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.journal.storage import CLOSED_KEPT_DAYS, COLUMNS, ROOM_COLUMNS, Statement
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.journal.location import DatabaseUrl
    from rtcai_pulumi.journal.postgres.connection import Connection
    from rtcai_pulumi.journal.storage import Row

_TYPES: Final = {
    "trace_id": "text PRIMARY KEY",
    "process": "bigint NOT NULL",
    "cid": "bigint",
    "task_id": "text",
    "handed": "boolean NOT NULL",
    "stored": "boolean NOT NULL",
}
_ROOM_TYPES: Final = {"cid": "bigint NOT NULL"}
_MAX_PROCESS: Final = 2**31 - 1
"""Half of the key of an advisory lock has 31 bits without the sign."""
_MIGRATION_LOCK: Final = 0x7274_6361_6921
"""The key of the lock under which tables are created and changed: "rtcai!"."""


def _table(columns: tuple[str, ...], types: dict[str, str]) -> str:
    return ", ".join(f"{name} {types.get(name, 'text NOT NULL')}" for name in columns)


_MIGRATIONS: Final = (
    (
        f"CREATE SEQUENCE process_numbers AS integer MAXVALUE {_MAX_PROCESS}",
        "CREATE TABLE processes (number bigint PRIMARY KEY, token text NOT NULL, origin text NOT NULL, "
        "began_at timestamptz NOT NULL, last_write bigint NOT NULL DEFAULT 0)",
        f"CREATE TABLE records ({_table(COLUMNS, _TYPES)}, rowid bigint GENERATED ALWAYS AS IDENTITY)",
        "CREATE INDEX records_by_owner ON records (owner)",
        "CREATE INDEX records_by_task ON records (task_id)",
        "CREATE INDEX records_by_room ON records (cname)",
        f"CREATE TABLE rooms ({_table(ROOM_COLUMNS, _ROOM_TYPES)}, PRIMARY KEY (app_key, room_endpoint, cid))",
        "CREATE TABLE version (number integer NOT NULL)",
        "INSERT INTO version VALUES (0)",
    ),
)
"""The statements that lead from each version to the next."""
VERSION: Final = len(_MIGRATIONS)
"""The version of the tables that this package writes."""


def migrate(connection: Connection, url: DatabaseUrl) -> None:
    """Create the tables, or migrate them to this package's version. If they have it, no right to change them is needed.

    Raises:
        JournalError: a newer release wrote them.
        psycopg.Error: they cannot be read or changed.
    """

    def read(statement: Statement) -> list[Row]:
        return run_together(connection, [statement])[0].rows

    if read_version(read, url) == VERSION:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        version = read_version(read, url)
        if version == 0 and not read(Statement("SELECT 1 FROM pg_namespace WHERE nspname = ?", (url.schema,))):
            connection.execute(f'CREATE SCHEMA "{url.schema}"'.encode())
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement.encode())
        if version < VERSION:
            connection.execute("UPDATE version SET number = %s", [VERSION])


def read_version(read: Callable[[Statement], list[Row]], url: DatabaseUrl) -> int:
    """The version of the tables; 0 if there are none.

    Args:
        read: returns the rows of a query.
        url: the database.

    Raises:
        JournalError: a newer release wrote them.
    """
    # Not by to_regclass: in a transaction that waited for a lock, it does not see what was created meanwhile.
    is_there = "SELECT 1 FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ? AND relname = ?"
    if not read(Statement(is_there, (url.schema, "version"))):
        return 0
    version = int(read(Statement("SELECT max(number) FROM version"))[0][0] or 0)
    if version > VERSION:
        summary = f"The journal {url} has format {version}, which this release of rtcai-pulumi cannot read."
        raise JournalError(
            summary, advice="upgrade rtcai-pulumi, and keep this journal: only it shows which agents still run"
        )
    return version


def deletions_of_old_records() -> list[Statement]:
    """The statements that delete what was closed long ago, by the server's clock, and the numbers of processes that no
    record names.
    """
    limit = "to_char(now() AT TIME ZONE 'UTC' - make_interval(days => ?), 'YYYY-MM-DD')"
    days = CLOSED_KEPT_DAYS
    return [
        Statement(f"DELETE FROM records WHERE state = ? AND changed_at < {limit}", (RecordState.CLOSED, days)),  # noqa: S608  the limit above
        Statement(f"DELETE FROM rooms WHERE owner = '' AND changed_at < {limit}", (days,)),  # noqa: S608  the limit above
        Statement(
            "DELETE FROM processes WHERE began_at < now() - make_interval(days => ?) AND NOT EXISTS "
            "(SELECT FROM records WHERE records.process = processes.number)",
            (days,),
        ),
    ]
