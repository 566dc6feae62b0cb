"""The journal in a file: what only a file can do, or suffer."""

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.sqlite import locks
from rtcai_pulumi.journal.sqlite import schema as database
from rtcai_pulumi.journal.storage import Statement
from rtcai_pulumi.journal.stores import find_location_warning
from rtcai_pulumi.service.errors import JournalError
from tests.unit.journal.records import a_record, lines, writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal(path) as opened:
        yield opened


def test_only_its_user_may_read_it(journal: Journal, path: Path) -> None:
    journal.add(a_record(journal))
    files = list(path.parent.iterdir())
    assert len(files) >= 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_is_no_journal_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, and precious" * 100)
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(path)
    assert path.read_bytes() == b"not a database, and precious" * 100


def test_a_journal_of_a_newer_release_is_refused(path: Path) -> None:
    Journal(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(
        JournalError,
        match=r"has format 99, which this release of rtcai-pulumi cannot read\.\n  to do: upgrade rtcai-pulumi",
    ):
        Journal(path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(tmp_path / "file" / "journal.db")


def test_a_file_system_that_machines_may_share_is_a_doubt(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_location_warning(path) is None
    monkeypatch.setattr(database, "_file_system", lambda _: "nfs4")
    assert "shared file system (nfs4)" in str(find_location_warning(path))


def test_a_file_system_whose_locks_are_not_visible_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_passes", lambda _: True)
    with pytest.raises(JournalError, match="is on a file system on which locks do not work"):
        Journal(path)


def test_a_file_system_without_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks, "_lock", no_locks)
    with pytest.raises(JournalError, match="Function not implemented"):
        Journal(path)


def test_a_file_system_without_wal_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_WAL", "PRAGMA journal_mode = DELETE")
    with pytest.raises(JournalError, match="no WAL mode"):
        Journal(path)


ASKER = """
import sys
from pathlib import Path
from rtcai_pulumi.journal.sqlite.locks import Locks
asked = Locks(Path(sys.argv[1]))
print([asked.is_held(int(number)) for number in sys.argv[2:] for _ in range(2000)].count(True))
"""


def test_askers_do_not_take_each_other_for_the_dead_process(path: Path) -> None:
    """Three processes check at the same time: all see that the dead process is dead, and a living one is alive."""
    with Journal(path) as journal:
        dead, living = journal.process + 1, journal.process
        command = [sys.executable, "-c", ASKER, f"{path}-processes"]
        askers = [
            subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True)
            for number in (dead, dead, dead, living)
        ]
        assert [int(asker.communicate(timeout=60)[0]) for asker in askers] == [0, 0, 0, 2000]


def test_an_error_of_the_file_does_not_say_to_leave_the_journal(path: Path) -> None:
    """With another journal, no run would know the agents of the first one."""
    error = database.journal_error(path, sqlite3.OperationalError("database is locked"))
    assert "check free disk space, permissions and other running commands." in error.advice
    assert "see docs/operations.md before you move it" in error.advice
    assert "RTCAI_JOURNAL" not in error.advice


def test_a_file_of_somebody_else_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(path).close()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "access", lambda *_: False)
    error = database.journal_error(path, sqlite3.OperationalError("attempt to write a readonly database"))
    assert f"{path} belongs to {path.owner()}: change its owner (chown)" in str(error)


def test_the_kind_of_the_file_system_is_reported() -> None:
    assert database._file_system(Path("/proc/self")) == "proc"


def test_records_closed_long_ago_are_dropped(path: Path) -> None:
    with Journal(path) as journal:
        journal.record_response(journal.add(a_record(journal, "old")), 7, "old")
        journal.record_close("7/old")
        journal.add(a_record(journal, "running"))
    database = sqlite3.connect(path)
    database.execute("UPDATE records SET changed_at = '2020-01-01T00:00:00.000Z'")
    database.commit()
    database.close()
    with Journal(path) as journal:
        assert [record.trace_id for record in journal.records()] == ["running"]


@pytest.mark.parametrize("wrong", [{"cid": 2**63, "task_id": "a"}, {"cid": 1, "task_id": "\udcff"}])
def test_a_value_that_the_file_cannot_hold_leaves_the_journal_usable(journal: Journal, wrong: dict[str, Any]) -> None:
    record = journal.add(a_record(journal))
    with pytest.raises(JournalError, match="cannot be used"):
        journal.record_response(record, **wrong)
    assert journal.record_response(record, 1, "task") is not None


def test_to_ask_for_what_the_file_cannot_hold_is_an_error(journal: Journal) -> None:
    with pytest.raises(JournalError, match="cannot be used"):
        journal.records_of_task(f"{2**63}/task")
    with pytest.raises(JournalError, match="cannot be used"):
        journal.records("\udcff")


def test_reading_waits_for_no_other_process_that_writes(journal: Journal, path: Path) -> None:
    journal.add(a_record(journal))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM records")
        assert journal.record("t-1") is not None
        assert len(journal.records()) == 1
        other.execute("COMMIT")
    assert journal.record("t-1") is None


def test_a_full_disk_is_named_and_takes_nothing_of_what_is_there(journal: Journal) -> None:
    journal.add(a_record(journal))
    journal._storage.write(Statement("PRAGMA max_page_count = 1"))  # allow no more pages
    more = (a_record(journal, f"more-{number}", owner="o" * 500) for number in range(100))
    with pytest.raises(JournalError, match="cannot be used: database or disk is full"):
        list(map(journal.add, more))
    assert journal.record("t-1") is not None


def test_a_number_whose_lock_is_held_is_not_drawn_though_an_older_file_was_put_back(path: Path) -> None:
    """To wait for that lock would mean to wait silently until that process ends."""
    Journal(path).close()
    older = path.read_bytes()
    process = writer(path, 1)
    try:
        lines(process, 1)
        for part in path.parent.glob(f"{path.name}*"):
            if part.name != f"{path.name}-processes":
                part.unlink()
        path.write_bytes(older)
        with Journal(path) as journal:
            assert journal.process == 3  # number two belongs to the process that is alive
    finally:
        process.kill()
        process.communicate()


class Scripted:
    """A connection to the journal's file, of which some statements fail."""

    def __init__(self, database: sqlite3.Connection, *failing: str) -> None:
        self._database, self._failing = database, failing
        self.statements: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self.statements.append(sql.split(maxsplit=1)[0])
        if sql in self._failing:
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        return self._database.execute(sql, *values)


def scripted(journal: Journal, *failing: str) -> tuple[Any, Scripted]:
    storage: Any = journal._storage
    database = storage._database = Scripted(storage._database, *failing)
    return storage, database


def draw(number: int) -> Statement:
    return Statement("INSERT INTO processes (number) VALUES (?)", (number,))


def drawn(storage: Any) -> set[int]:
    return {row[0] for row in storage.read(Statement("SELECT number FROM processes WHERE number >= 1000"))}


def test_while_another_process_blocks_the_file_all_that_wait_fail_after_one_wait(journal: Journal, path: Path) -> None:
    storage, database = scripted(journal)
    database.execute("PRAGMA busy_timeout = 200")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = storage._write_batch([[draw(1000)], [draw(2000)]])
        assert ["database is locked" in str(outcome) for outcome in outcomes] == [True, True]
        assert database.statements.count("BEGIN") == 1
        other.execute("ROLLBACK")
    assert journal.add(a_record(journal)) == journal.record("t-1")


def test_a_write_that_fails_does_not_fail_the_others_of_its_batch(journal: Journal) -> None:
    storage: Any = journal._storage
    outcomes = storage._write_batch([[draw(1000)], [draw(1000)], [draw(2000), draw(3000)], [draw(4000), draw(2000)]])
    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False, True]
    assert drawn(storage) == {1000, 2000, 3000}


def test_a_commit_that_fails_leaves_nothing_written_and_the_journal_usable(journal: Journal) -> None:
    storage, database = scripted(journal, "COMMIT")
    outcomes = storage._write_batch([[draw(1000), draw(2000)]])
    assert ["disk I/O error" in str(outcome) for outcome in outcomes] == [True]
    assert not database.in_transaction
    assert drawn(storage) == set()
    assert journal.add(a_record(journal)) == journal.record("t-1")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_a_rollback_that_fails_every_later_write_fails(journal: Journal) -> None:
    """A later write would otherwise be a part of the transaction that nobody commits."""
    storage, _ = scripted(journal, "COMMIT", "ROLLBACK")
    with pytest.raises(JournalError):
        storage.write(draw(1000), draw(2000))
    with pytest.raises(JournalError, match="an earlier write failed"):
        journal.add(a_record(journal))
