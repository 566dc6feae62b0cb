"""The journal in a database: what only a server can do, or suffer."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import DatabaseUrl, parse_location
from rtcai_pulumi.journal.postgres import connection, deadline, link
from rtcai_pulumi.journal.postgres import registration as registration_module
from rtcai_pulumi.journal.postgres import storage as storage_module
from rtcai_pulumi.journal.postgres.storage import DatabaseStorage
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.journal.storage import Waits
from rtcai_pulumi.journal.stores import journal_exists, open_read_only
from rtcai_pulumi.service.errors import JournalError
from tests.network import free_port
from tests.postgres.proxy import COMMIT, Proxy
from tests.postgres.server import PASSWORD, Server, running_server
from tests.unit.journal.records import a_record, lines, writer


def at(url: str) -> DatabaseUrl:
    location = parse_location(url)
    assert isinstance(location, DatabaseUrl)
    return location


@pytest.fixture
def url(database_server: Server) -> DatabaseUrl:
    return at(database_server.url())


@pytest.fixture
def proxy(database_server: Server) -> Iterator[Proxy]:
    network = Proxy(database_server.port)
    yield network
    network.close()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may kill."""
    with running_server() as server:
        yield server


def storage_of(journal: Journal) -> DatabaseStorage:
    assert isinstance(journal._storage, DatabaseStorage)
    return journal._storage


# Connections that are lost


@pytest.mark.shows("safety team-journal")
def test_a_commit_that_never_arrived_is_repeated(url: DatabaseUrl, database_server: Server, proxy: Proxy) -> None:
    behind = at(database_server.url(url.schema, port=proxy.port))
    with Journal(behind) as journal:
        record = journal.add(a_record(journal))
        proxy.cut_before(COMMIT)
        assert journal.record_response(record, 7, "task") is not None
        assert [each.state for each in journal.records()] == [RecordState.OPEN]


@pytest.mark.shows("safety team-journal")
def test_a_commit_whose_answer_was_lost_is_not_repeated(
    url: DatabaseUrl, database_server: Server, proxy: Proxy
) -> None:
    """Repeated, the change would find its record already changed, and take it for the record of another process."""
    behind = at(database_server.url(url.schema, port=proxy.port))
    with Journal(behind) as journal:
        record = journal.add(a_record(journal))
        proxy.cut_after(COMMIT)
        answered = journal.record_response(record, 7, "task")
        assert answered is not None
        assert answered.task == "7/task"
        proxy.cut_after(COMMIT)
        journal.add(a_record(journal, "t-2"))
        assert len(journal.records()) == 2


def test_many_threads_lose_their_connections_and_nothing_they_wrote(
    url: DatabaseUrl, database_server: Server, proxy: Proxy
) -> None:
    behind = at(database_server.url(url.schema, port=proxy.port))
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.2):
            proxy.cut()

    def write(number: int) -> bool:
        record = journal.add(a_record(journal, f"t-{number}"))
        return journal.record_response(record, 7, f"task-{number}") is not None

    with Journal(behind) as journal, ThreadPoolExecutor(16) as threads:
        cutter = threads.submit(cut)
        written = list(threads.map(write, range(200)))
        stop.set()
        cutter.result()
        assert all(written)
        assert sorted(record.task or "" for record in journal.records()) == sorted(f"7/task-{n}" for n in range(200))


@pytest.mark.shows("safety team-journal")
def test_a_process_that_lost_its_lock_takes_it_again_before_it_sends_or_writes(
    url: DatabaseUrl, database_server: Server
) -> None:
    with Journal(url) as journal, Journal(url) as other:
        for act in (journal.require_registration, lambda: journal.add(a_record(journal))):
            end_sessions(database_server, "rtcai lock", journal)
            assert not other.is_running(journal.process)
            act()
            assert other.is_running(journal.process)


@pytest.mark.shows("safety team-journal")
def test_a_record_that_another_process_took_over_meanwhile_stays_with_it(
    url: DatabaseUrl, database_server: Server
) -> None:
    with Journal(url) as journal, Journal(url) as other:
        record = journal.add(a_record(journal))
        end_sessions(database_server, "rtcai lock", journal)
        assert other.take_over(record) is not None
        journal.require_registration()
        current = journal.record(record.trace_id)
        assert current is not None
        assert current.process == other.process
        assert journal.record_response(record, 7, "late") is None


def test_an_old_session_that_the_server_still_has_does_not_keep_the_lock(url: DatabaseUrl) -> None:
    with Journal(url) as journal:
        registration = storage_of(journal)._registration
        old, registration._link._connection = registration._link._connection, None  # this side alone has lost it
        registration.restore()
        assert journal.is_running(journal.process)
        journal.add(a_record(journal))
        assert old is not None
        with pytest.raises(psycopg.OperationalError):
            old.execute("SELECT 1")


def test_a_session_of_somebody_else_is_not_ended(
    url: DatabaseUrl, database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration_module, "_OLD_SESSION_SECONDS", 0.3)
    with Journal(url) as journal, database_server.connect() as other:
        registration = storage_of(journal)._registration
        end_sessions(database_server, "rtcai lock", journal)
        other.execute("SELECT pg_advisory_lock(%s, %s)", [registration.lock_class, registration.number])
        with pytest.raises(JournalError, match="Another session holds this run's lock"):
            registration.restore()


def end_sessions(server: Server, name: str, journal: Journal) -> None:
    """End the session that holds a process's lock, as a restarted server or a broken network does."""
    storage = storage_of(journal)
    with server.connect() as admin:
        for (session,) in storage.read(storage._registration.holders(journal.process)):
            admin.execute("SELECT pg_terminate_backend(%s)", [session])
        while storage.read(storage._registration.holders(journal.process)):
            time.sleep(0.01)


@pytest.mark.shows("safety team-journal")
def test_a_process_that_is_stopped_in_the_middle_of_a_write_does_not_block_the_team(
    url: DatabaseUrl, database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection._SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    with Journal(url) as journal, Journal(url) as other:
        storage = storage_of(journal)
        stopped = storage._writing.get()
        storage._execute(stopped, [])  # its transaction is open, and it holds the lock of all writes
        other.add(a_record(other))
        assert len(journal.records()) == 1


def test_the_server_looks_for_dead_machines(url: DatabaseUrl) -> None:
    """Idle for 10 seconds, then three questions 5 seconds apart: within half a minute."""
    with Journal(url) as journal:
        session = storage_of(journal)._registration._link.get()
        idle, interval, count = (
            int(session.execute(f"SHOW tcp_keepalives_{name}".encode()).fetchone()[0])  # type: ignore[index]
            for name in ("idle", "interval", "count")
        )
        assert 0 < idle + interval * count <= 30
        assert session.execute("SHOW synchronous_commit").fetchone() == ("on",)


# A server that restarts, or does not


def test_a_server_that_restarts_is_waited_for_and_reported_once(own_server: Server) -> None:
    told: list[str] = []
    waits = Waits(time.sleep, told.append)
    with Journal(at(own_server.url()), waits) as journal:
        own_server.kill()
        restart = threading.Timer(1, own_server.start)
        restart.start()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: journal.add(a_record(journal, f"t-{number}")), range(8)))
        restart.join()
        assert len(journal.records()) == 8
    assert [line.partition(". ")[0].split(" the journal ")[0] for line in told][:1] == ["The connection to"]
    assert len(told) == 2
    assert told[1].endswith("can be reached again.")
    assert PASSWORD not in "".join(told)


def test_the_wait_has_an_end_and_the_next_calls_do_not_wait_again(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "OUTAGE_SECONDS", 1.0)
    journal = Journal(at(own_server.url()))
    own_server.kill()
    began = time.monotonic()
    with pytest.raises(JournalError, match="cannot be used: connection failed"):
        journal.add(a_record(journal))
    waited = time.monotonic() - began
    assert waited >= 1
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(JournalError):
            journal.records()
    assert time.monotonic() - began < waited
    own_server.start()
    journal.add(a_record(journal))
    journal.close()


@pytest.mark.shows("safety team-journal")
def test_a_server_that_stops_answering_counts_as_lost(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel still answers, so no keepalive helps."""
    monkeypatch.setattr(deadline, "ANSWER_SECONDS", 1.0)
    with Journal(at(own_server.url())) as journal:
        journal.add(a_record(journal))
        resume = threading.Timer(3, own_server.signal_all, [signal.SIGCONT])
        own_server.signal_all(signal.SIGSTOP)
        resume.start()
        journal.require_registration()
        journal.add(a_record(journal, "t-2"))
        resume.join()
        assert len(journal.records()) == 2


def test_a_write_that_waits_too_long_fails_once_for_all_that_wait(
    url: DatabaseUrl, database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection._SETTINGS, "lock_timeout", "500ms")
    with Journal(url) as journal, database_server.connect() as other, ThreadPoolExecutor(16) as threads:
        lock_class = storage_of(journal)._registration.lock_class
        other.execute("SELECT pg_advisory_lock(%s, 0)", [lock_class])
        began = time.monotonic()
        adds = [threads.submit(journal.add, a_record(journal, f"t-{number}")) for number in range(16)]
        assert all("another session blocks the journal" in str(add.exception(60)) for add in adds)
        assert time.monotonic() - began < 4
        other.execute("SELECT pg_advisory_unlock(%s, 0)", [lock_class])
        journal.add(a_record(journal))


def test_a_lost_lock_is_taken_again_while_the_process_waits_for_something_else(
    url: DatabaseUrl, database_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "_KEEP_SECONDS", 0.1)
    with Journal(url) as journal, Journal(url) as other:
        end_sessions(database_server, "rtcai lock", journal)
        until = time.monotonic() + 10
        while not other.is_running(journal.process) and time.monotonic() < until:
            time.sleep(0.05)
        assert other.is_running(journal.process)


def test_closing_ends_the_wait_for_a_server_that_is_gone(own_server: Server) -> None:
    is_waiting = threading.Event()
    journal = Journal(at(own_server.url()), Waits(time.sleep, lambda _: is_waiting.set()))
    own_server.kill()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(journal.add, a_record(journal))
        assert is_waiting.wait(30)
        began = time.monotonic()
        journal.close()
        assert time.monotonic() - began < 5
        assert isinstance(waiting.exception(), JournalError)


def test_an_interrupted_run_waits_no_longer(own_server: Server) -> None:
    interrupted = threading.Event()
    journal = Journal(at(own_server.url()), Waits(interrupted.wait, lambda _: None))
    own_server.kill()
    threading.Timer(0.5, interrupted.set).start()
    with pytest.raises(JournalError, match="was interrupted while it waited"):
        journal.add(a_record(journal))
    journal.close()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM processes",
        "UPDATE processes SET last_write = last_write - 1",  # a fail-over has lost the last write
        "UPDATE processes SET token = 'another'",  # another process has drawn the same number
    ],
)
def test_a_database_that_went_back_to_an_earlier_state_is_an_error(
    url: DatabaseUrl, database_server: Server, change: str
) -> None:
    with Journal(url) as journal, Journal(url) as other:
        journal.add(a_record(journal))
        with database_server.connect() as admin:
            admin.execute(f"SET search_path = {url.schema}".encode())
            admin.execute(f"{change} WHERE number = {journal.process}".encode())
        for _ in range(2):
            with pytest.raises(JournalError, match="has no record of this run any more: its database was set back"):
                journal.add(a_record(journal, "t-2"))
        other.add(a_record(other, "t-3"))  # nothing of the failed writes is left, nor the lock of all writes
        assert [record.trace_id for record in other.records()] == ["t-1", "t-3"]


def test_tables_that_were_created_again_are_not_those_of_a_run_from_before(
    url: DatabaseUrl, database_server: Server
) -> None:
    with Journal(url) as journal:
        with database_server.connect() as admin:
            admin.execute(f"DROP SCHEMA {url.schema} CASCADE".encode())
        with Journal(url) as other:
            other.add(a_record(other))
            with pytest.raises(JournalError):
                journal.add(a_record(journal, "t-2"))
            assert [record.trace_id for record in other.records()] == ["t-1"]


def test_a_number_whose_lock_is_held_is_not_drawn_though_an_older_copy_was_put_back(
    url: DatabaseUrl, database_server: Server
) -> None:
    with Journal(url) as journal:
        with database_server.connect() as admin:
            admin.execute(f"SELECT setval('{url.schema}.process_numbers', 1, false)".encode())
        with Journal(url) as other:
            assert other.process == journal.process + 1


# What is refused when the journal is opened


@pytest.fixture
def pooler(database_server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """PgBouncer before the server, in the mode of the parameter; yields the URL through it."""
    with database_server.pooler(request.param) as port:
        yield database_server.url(port=port)


@pytest.mark.parametrize("pooler", ["transaction", "statement", "transaction, in turns"], indirect=True)
def test_a_pooler_that_keeps_no_sessions_is_refused(pooler: str) -> None:
    with pytest.raises(JournalError) as raised:
        Journal(at(pooler))
    assert "pooler" in str(raised.value)
    assert "pool_mode = session" in str(raised.value)


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_a_pooler_that_keeps_no_sessions_is_refused_before_anything_is_set(pooler: str) -> None:
    """Otherwise another application would get a session that can only read, and that looks for its tables elsewhere."""
    errors: list[JournalError] = []
    open_read_only(at(pooler), errors.append).records()
    with pytest.raises(JournalError, match="pooler"):
        Journal(at(pooler))
    assert ["pooler" in str(error) for error in errors] == [True]
    with psycopg.connect(pooler.partition("?")[0], autocommit=True) as application:
        settings = [
            application.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("default_transaction_read_only", "search_path", "statement_timeout")
        ]
    assert settings == [("off",), ('"$user", public',), ("0",)]


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
def test_a_pooler_that_keeps_sessions_works(pooler: str) -> None:
    with Journal(at(pooler)) as journal, Journal(at(pooler)) as other:
        journal.add(a_record(journal))
        assert other.is_running(journal.process)
        assert len(other.records()) == 1


def test_a_wrong_password_is_an_error_without_it(database_server: Server) -> None:
    wrong = database_server.url().replace(PASSWORD, "wrong-horse-battery")
    with pytest.raises(JournalError, match="password authentication failed") as raised:
        Journal(at(wrong))
    assert "wrong-horse" not in str(raised.value)
    assert "check user and password" in str(raised.value)


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        ('connection to server at "127.0.0.1", port 5328 failed: Connection refused', "check that the server runs"),
        ('connection to server at "db57014", port 42501 failed: timeout expired', "check that the server runs"),
        ('connection to server at "db" failed: FATAL:  role "rtcai28" does not exist', "check user and password"),
        ('connection to server at "db" failed: FATAL:  database "team28" does not exist', "create the database"),
    ],
)
def test_digits_of_a_port_or_a_name_do_not_decide_the_advice(failure: str, advice: str) -> None:
    """The digits of some SQLSTATEs are in these texts; the driver gives a failed connection no SQLSTATE."""
    url = at("postgresql://rtcai28@db:5328/team28")
    assert f"to do: {advice}" in str(connection.database_error(url, psycopg.OperationalError(failure)))


def test_a_refused_connection_gets_the_advice_to_check_the_server() -> None:
    with pytest.raises(JournalError, match="to do: check that the server runs and can be reached"):
        Journal(at(f"postgresql://rtcai:{PASSWORD}@127.0.0.1:{free_port()}/postgres"))


def test_an_unknown_database_gets_its_own_advice(database_server: Server) -> None:
    with pytest.raises(JournalError, match="does not exist") as raised:
        Journal(at(database_server.url().replace("/postgres?", "/other?")))
    assert "create the database, or correct its name" in str(raised.value)


def test_a_parameter_that_libpq_does_not_know_is_an_error_without_the_password(database_server: Server) -> None:
    with pytest.raises(JournalError, match="is not valid") as raised:
        Journal(at(database_server.url(sslmoode="require")))
    assert PASSWORD not in str(raised.value)


def test_the_tls_options_of_the_url_count(database_server: Server) -> None:
    """The server of the tests has no certificate, so a connection that requires one is refused."""
    with pytest.raises(JournalError, match="SSL") as raised:
        Journal(at(database_server.url(sslmode="require")))
    assert "check sslmode and sslrootcert" in str(raised.value)


def test_a_server_with_a_certificate_is_verified(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    root = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(root))
    with running_server() as server:
        server.use_certificate(certificate)
        trusted = server.url(sslmode="verify-ca", sslrootcert=str(root))
        with Journal(at(trusted)) as journal:
            session = storage_of(journal)._registration._link.get()
            assert session.pgconn.ssl_in_use
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        with pytest.raises(JournalError, match="certificate verify failed"):
            Journal(at(server.url(sslmode="verify-ca", sslrootcert=str(other))))


def test_a_missing_driver_is_named(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JournalError, match=r"its driver cannot be imported") as raised:
        Journal(url)
    assert 'pip install "rtcai-pulumi[postgres]"' in str(raised.value)


def test_a_journal_of_a_newer_release_is_refused(url: DatabaseUrl, database_server: Server) -> None:
    Journal(url).close()
    with database_server.connect() as admin:
        admin.execute(f"UPDATE {url.schema}.version SET number = 99".encode())
    for use in (lambda: Journal(url), open_read_only(url).records, lambda: journal_exists(url)):
        with pytest.raises(JournalError, match="has format 99, which this release of rtcai-pulumi cannot read"):
            use()


def test_an_encoding_that_cannot_hold_every_name_is_refused(database_server: Server) -> None:
    with database_server.connect() as admin:
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(JournalError, match="encoding LATIN1"):
        Journal(at(database_server.url().replace("/postgres?", "/latin?")))


def test_a_user_needs_only_the_rights_of_the_documentation(database_server: Server) -> None:
    """The statements are those of docs/operations.md."""
    schema = database_server.schema()
    Journal(at(database_server.url(schema))).close()
    rights = Path(__file__).parents[2].joinpath("docs", "operations.md").read_text(encoding="utf-8")
    statements = rights.partition("<!-- rights of a run -->")[2].partition("```sql\n")[2].partition("```")[0]
    assert "GRANT" in statements
    with database_server.connect() as admin:
        user = f"user_{schema}"[:60]
        admin.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'".encode())
        for statement in statements.replace("agents", user).replace("rtcai", schema).split(";"):
            if statement.strip():
                admin.execute(statement.encode())
    limited = database_server.url(schema).replace("rtcai:", f"{user}:")
    with Journal(at(limited)) as journal, Journal(at(limited)) as other:
        record = journal.add(a_record(journal))
        assert journal.record_response(record, 7, "task") is not None
        assert other.is_running(journal.process)
        assert open_read_only(at(limited)).records() == journal.records()
    with pytest.raises(JournalError, match="permission denied"):
        Journal(at(limited.replace(f"schema={schema}", f"schema={database_server.schema()}")))


def test_a_preview_of_many_rooms_waits_only_once_for_a_server_that_is_gone(own_server: Server) -> None:
    reader_errors: list[JournalError] = []
    reader = open_read_only(at(own_server.url()), reader_errors.append)
    own_server.kill()
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda number: reader.record(f"t-{number}"), range(200))) == [None] * 200
    assert len(reader_errors) == 1


def test_what_a_process_wrote_before_it_was_killed_is_there_and_its_lock_is_not(url: DatabaseUrl) -> None:
    process = writer(url, 20)
    traces = lines(process, 20)
    with Journal(url) as journal:
        number = int(traces[0].partition("-")[0])
        assert journal.is_running(number)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        until = time.monotonic() + 10
        while journal.is_running(number) and time.monotonic() < until:
            time.sleep(0.01)
        assert not journal.is_running(number)
        assert [record.trace_id for record in journal.records()] == traces


def test_records_closed_long_ago_are_dropped(url: DatabaseUrl, database_server: Server) -> None:
    with Journal(url) as journal:
        journal.record_response(journal.add(a_record(journal, "old")), 7, "old")
        journal.record_close("7/old")
        journal.add(a_record(journal, "running"))
    with database_server.connect() as admin:
        admin.execute(f"UPDATE {url.schema}.records SET changed_at = '2020-01-01T00:00:00.000Z'".encode())
        admin.execute(f"UPDATE {url.schema}.processes SET began_at = '2020-01-01'".encode())
    Journal(url).close()
    with Journal(url) as journal:
        assert [record.trace_id for record in journal.records()] == ["running"]
    with database_server.connect() as admin:
        numbers = admin.execute(f"SELECT number FROM {url.schema}.processes ORDER BY number".encode()).fetchall()
    assert numbers == [(1,), (2,), (3,)], "the first has a record; the others are new"


def test_many_processes_create_the_tables_at_the_same_time(database_server: Server) -> None:
    url = at(database_server.url())
    others = [writer(url, 10) for _ in range(6)]
    for other in others:
        lines(other, 10)
        other.communicate("")
        assert other.returncode == 0
    with Journal(url) as journal:
        assert len({record.process for record in journal.records()}) == 6
