"""Connections to the database of the journal: how they are made, what is set on them, and their errors."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.postgres.deadline import limit_answer
from rtcai_pulumi.journal.storage import Result, Statement
from rtcai_pulumi.service.errors import JournalError
from rtcai_pulumi.service.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from rtcai_pulumi.journal.location import DatabaseUrl

    Connection = psycopg.Connection[tuple[Any, ...]]

_FIRST_WITH_IDLE_TIMEOUT: Final = 140_000
OLDEST_SERVER: Final = 13
"""The oldest major version of PostgreSQL that is supported."""
CONNECT_SECONDS: Final = 10
"""Seconds that one attempt to connect may take, for each host of the URL."""
_SETTINGS: Final = {
    # A commit returns when it is on disk, whatever the server's default is.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    # A process that was stopped in the middle of a transaction must not block the journal of a team.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "15s",
    "statement_timeout": "20s",
    "client_min_messages": "warning",
    # The server notices within 25 seconds that a machine is gone.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}
_KEEPALIVES: Final = {
    # This process notices within 20 seconds that the server's machine is gone.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_MOST_PROBES: Final = 8
"""The largest number of connections that look for a pooler that does not keep sessions."""
_NO_POOLER: Final = (
    "connect to the server itself, or to a port of the pooler that keeps sessions (in PgBouncer: pool_mode = session)"
)


def connect(url: DatabaseUrl, name: str, *, is_read_only: bool = False) -> Connection:
    """Connect to the database; every statement is a transaction of its own.

    Args:
        url: the database.
        name: the name of this connection, for the people who look at the server.
        is_read_only: whether the server refuses every change on this connection.

    Raises:
        psycopg.Error: the server cannot be reached, or refuses.
        JournalError: the driver is missing, or the server does not fit.
    """
    psycopg = import_driver()
    parameters = _default_parameters(url)
    parameters |= {"autocommit": True, "fallback_application_name": name}
    connection: Connection = psycopg.connect(url.url, **parameters)
    try:
        _require_suitable_server(connection, url)
        # Before anything is set: a pooler could give this session, with its settings, to another application.
        _require_sessions(connection, url, parameters)
        settings = {
            **_SETTINGS,
            "search_path": f'"{url.schema}"',
            "default_transaction_read_only": "on" if is_read_only else "off",
        }
        if connection.info.server_version >= _FIRST_WITH_IDLE_TIMEOUT:
            settings["idle_session_timeout"] = "0"  # the lock must stay while nothing else happens
        calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
        connection.execute(f"SELECT {calls}", [part for setting in settings.items() for part in setting])
    except BaseException:
        connection.close()
        raise
    return connection


def import_driver() -> Any:
    """Return the driver's module.

    Raises:
        JournalError: it is not installed, or finds no library.
    """
    try:
        import psycopg  # noqa: PLC0415  an extra: a journal in a file does not need it
    except ImportError as error:
        summary = f"The journal is in a PostgreSQL database, but its driver cannot be imported: {error.msg}."
        advice = 'install the extra: pip install "rtcai-pulumi[postgres]", in the environment of the program'
        raise JournalError(summary, advice=advice) from None
    return psycopg


def _default_parameters(url: DatabaseUrl) -> dict[str, Any]:
    """The parameters for libpq, as far as the URL does not set them."""
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415  as above

    try:
        given: Mapping[str, Any] = conninfo_to_dict(url.url)
    except import_driver().Error:
        # The text of this error may quote a part of the password.
        advice = "check the names of its parameters, and percent-encode what is special"
        raise JournalError(f"The URL of the journal {url} is not valid.", advice=advice) from None
    # Several hosts: the primary, because a standby may be late.
    defaults = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8", "target_session_attrs": "read-write"}
    defaults |= _KEEPALIVES
    return {name: value for name, value in defaults.items() if name not in given}


def _require_suitable_server(connection: Connection, url: DatabaseUrl) -> None:
    version, encoding = connection.info.server_version, connection.info.parameter_status("server_encoding")
    if version < OLDEST_SERVER * 10_000:
        summary = f"The journal {url} is on PostgreSQL {version // 10_000}, which is too old."
        raise JournalError(summary, advice=f"use PostgreSQL {OLDEST_SERVER} or newer")
    if encoding != "UTF8":
        summary = (
            f"The journal {url} is in a database with the encoding {encoding}, which cannot store every room name."
        )
        raise JournalError(summary, advice="create a database with ENCODING 'UTF8'")


def _require_sessions(connection: Connection, url: DatabaseUrl, parameters: Mapping[str, Any]) -> None:
    """Refuse a pooler that gives a connection another session for each transaction: it would lose the locks.

    When a client connects, the server itself gives it the number of its session, and a pooler gives it another number.
    In that case, other connections open transactions, one after the other. With such a pooler, one of them gets the
    session that the first connection had, or the first connection gets another one.

    Raises:
        JournalError: there is such a pooler.
    """
    session = _session_of(connection)
    if session == connection.info.backend_pid:
        return
    driver = import_driver()
    with ExitStack() as others:
        for _ in range(_MOST_PROBES):
            other = others.enter_context(driver.connect(url.url, **parameters))
            try:
                other.execute("BEGIN")
                has_moved = _session_of(other) == session or _session_of(connection) != session
            except driver.DatabaseError as error:
                if "pooling mode" not in str(error):  # a pooler that allows no transactions says so
                    raise
                has_moved = True
            if has_moved:
                kind = "a pooler that does not keep sessions, such as PgBouncer in transaction mode"
                summary = f"The journal {url} is behind {kind}. The locks that show which runs are alive would be lost."
                raise JournalError(summary, advice=_NO_POOLER)


def _session_of(connection: Connection) -> int:
    ((number,),) = run_together(connection, [Statement("SELECT pg_backend_pid()")])[0].rows
    return int(number)


def run_together(connection: Connection, statements: Sequence[Statement]) -> list[Result]:
    """Run statements in one round trip.

    They are sent as one text, and not in the driver's pipeline: after a pipeline, the server does not count the time
    that a transaction is idle, so a process that was stopped there would block the others.

    Raises:
        psycopg.Error: one of them failed.
        ValueError, OverflowError: a value cannot be stored.
    """
    sql = "; ".join(statement.sql.replace("%", "%%").replace("?", "%s") for statement in statements)
    # A member of an enumeration is stored as its text.
    values = [str(value) if isinstance(value, str) else value for each in statements for value in each.values]
    results = []
    with limit_answer(connection), import_driver().ClientCursor(connection) as cursor:
        cursor.execute(sql.encode(), values)
        for _ in statements:
            results.append(Result(cursor.fetchall() if cursor.description else [], cursor.rowcount))
            cursor.nextset()
    return results


def database_error(url: DatabaseUrl, error: Exception) -> JournalError:
    """The error of a database that cannot be used. It has no password, whatever the driver's text quotes."""
    if isinstance(error, JournalError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    text = redact(" ".join(str(primary or error).split()) or type(error).__name__, url.secrets)
    return JournalError(
        f"The journal {url} cannot be used: {text}.".replace("..", "."), advice=_advice_for(state, text)
    )


_ACCESS: Final = "check user and password: RTCAI_JOURNAL, PGPASSWORD"
_DATABASE: Final = "create the database, or correct its name in RTCAI_JOURNAL"
_SLOTS: Final = "allow more connections (max_connections): a run needs three"
_REACH: Final = "check that the server runs and can be reached (`rtcai doctor`), then run the command again"
_RIGHTS: Final = 'grant the rights that docs/operations.md lists under "A team\'s journal"'
_BUSY: Final = "another session blocks the journal, or the server is busy (see pg_stat_activity); run the command again"
_ADVICE_BY_STATE: Final = {
    "28": _ACCESS,
    "42501": _RIGHTS,
    "42P01": _RIGHTS,
    "3D000": _DATABASE,
    "53300": _SLOTS,
    "55P03": _BUSY,
    "57014": _BUSY,
    "08": _REACH,
    "57": _REACH,
}
"""What to do about an error, by the beginning of its SQLSTATE."""
_ADVICE_BY_TEXT: Final = (
    (("authentication failed", "no password supplied", 'FATAL: role "'), _ACCESS),
    (('" does not exist',), _DATABASE),
    (("too many clients", "connection slots"), _SLOTS),
    (("certificate", "SSL was required", "does not support SSL"), "check sslmode and sslrootcert in RTCAI_JOURNAL"),
)
"""What to do about a failed connection, to whose error the driver gives no SQLSTATE, by a part of its text."""


def _advice_for(state: str, text: str) -> str:
    if state:
        found = (advice for start, advice in _ADVICE_BY_STATE.items() if state.startswith(start))
        return next(found, "run the command again; if it fails again, see docs/operations.md")
    return next((advice for parts, advice in _ADVICE_BY_TEXT if any(part in text for part in parts)), _REACH)
