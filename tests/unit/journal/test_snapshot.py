"""A snapshot reads the journal and disturbs neither its files nor the locks of the process that reads."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.sqlite.snapshot import JournalSnapshot
from rtcai_pulumi.service.errors import JournalError
from tests.unit.journal.records import a_record

OPEN_AND_CLOSE = (
    "import sys, pathlib; from rtcai_pulumi.journal.journal import Journal; Journal(pathlib.Path(sys.argv[1])).close()"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def log_of(path: Path) -> Path:
    """The write-ahead log of a journal."""
    return path.with_name(f"{path.name}-wal")


def add(journal: Journal, trace_id: str) -> None:
    """Write a record."""
    journal.add(a_record(journal, trace_id))


def traces(reader: JournalSnapshot | Journal) -> list[str]:
    return [record.trace_id for record in reader.records()]


def test_a_snapshot_has_what_is_written_and_each_later_write(path: Path) -> None:
    snapshot = JournalSnapshot(path)
    assert traces(snapshot) == []
    with Journal(path) as journal:
        add(journal, "first")
        assert traces(snapshot) == ["first"]
        add(journal, "second")
        assert traces(snapshot) == ["first", "second"]
    assert traces(snapshot) == ["first", "second"]
    snapshot.close()


def test_a_snapshot_leaves_the_log_to_a_process_that_is_writing_its_first_transaction(path: Path) -> None:
    Journal(path).close()
    assert not log_of(path).exists()
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        # With the smallest cache, pages reach the log before the transaction is committed.
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("CREATE TABLE big (content)")
        writer.executemany("INSERT INTO big VALUES (?)", [("x" * 4000,)] * 50)
        assert log_of(path).stat().st_size
        before = log_of(path).stat().st_ino
        snapshot = JournalSnapshot(path)
        assert traces(snapshot) == []
        snapshot.close()
        assert log_of(path).stat().st_ino == before
        writer.execute("COMMIT")
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM big").fetchone() == (50,)


def test_a_snapshot_creates_no_file_and_leaves_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = path.parent / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with Journal(path) as journal:
        add(journal, "first")
        before = sorted(file.name for file in path.parent.iterdir())
        with closing(JournalSnapshot(path)) as snapshot:
            assert traces(snapshot) == ["first"]
        assert sorted(file.name for file in path.parent.iterdir()) == before
        assert list(folder.iterdir()) == []


def test_a_reader_from_before_the_journal_was_opened_reads_the_journal(path: Path) -> None:
    Journal(path).close()
    snapshot = JournalSnapshot(path)
    assert traces(snapshot) == []
    with snapshot.switch_to(lambda: Journal(path)) as journal:
        add(journal, "first")
        assert traces(snapshot) == ["first"]
        assert snapshot.process == journal.process
        snapshot.close()
        assert traces(snapshot) == ["first"]
        # Another process is not the last one that has the file open: it leaves the log, and the locks hold.
        before = log_of(path).stat().st_ino
        subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, str(path)], check=True, timeout=60)
        assert log_of(path).stat().st_ino == before
        add(journal, "second")
        copy = path.with_name("copy")
        for suffix in ("", "-wal"):
            os.link(f"{path}{suffix}", f"{copy}{suffix}")
        with closing(JournalSnapshot(copy)) as copied:
            assert traces(copied) == ["first", "second"]


def test_a_journal_that_does_not_open_leaves_the_snapshot(path: Path) -> None:
    def fail() -> Journal:
        raise JournalError("no")

    snapshot = JournalSnapshot(path)
    with pytest.raises(JournalError):
        snapshot.switch_to(fail)
    with Journal(path) as journal, closing(snapshot):
        add(journal, "first")
        assert traces(snapshot) == ["first"]


def test_a_second_journal_in_a_process_keeps_the_locks_of_the_first_on_the_file(path: Path) -> None:
    with Journal(path) as journal:
        with closing(sqlite3.connect(path)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute("PRAGMA user_version = 99")
            with pytest.raises(JournalError, match="format 99"):
                Journal(path)
            database.execute(f"PRAGMA user_version = {version}")
        before = log_of(path).stat().st_ino
        subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, str(path)], check=True, timeout=60)
        assert log_of(path).stat().st_ino == before
        add(journal, "first")


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        (3, ["ends_at", "origin"]),
        (2, ["ends_at", "origin", "stored", "kept"]),
        (1, ["ends_at", "origin", "stored", "kept", "began_at"]),
    ],
)
def test_a_journal_of_an_older_release_is_read_and_then_migrated(path: Path, version: int, missing: list[str]) -> None:
    with Journal(path) as journal:
        add(journal, "first")
        written = replace(journal.records()[0], origin="")
    with closing(sqlite3.connect(path)) as database:
        for column in missing:
            database.execute(f"ALTER TABLE records DROP COLUMN {column}")
        if version < 3:
            database.execute("DROP TABLE rooms")
        database.execute(f"PRAGMA user_version = {version}")
    with closing(JournalSnapshot(path)) as snapshot:
        assert snapshot.records() == [written]
        assert snapshot.room(1, app_key="a", room_endpoint="e") is None
    with Journal(path) as journal:
        assert journal.records() == [written]
        assert journal.room(1, app_key="a", room_endpoint="e") is None


def test_a_file_that_cannot_be_read_is_tried_again_only_when_it_has_changed(path: Path) -> None:
    path.write_text("not a journal")
    snapshot = JournalSnapshot(path)
    errors = []
    for _ in range(2):
        with pytest.raises(JournalError) as raised:
            traces(snapshot)
        errors.append(raised.value)
    assert errors[0] is errors[1]
    path.unlink()
    assert traces(snapshot) == []


@pytest.mark.parametrize("has_log", [False, True])
def test_a_snapshot_needs_no_temporary_folder(path: Path, monkeypatch: pytest.MonkeyPatch, *, has_log: bool) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(path.parent / "missing"))
    journal = Journal(path)
    add(journal, "first")
    if not has_log:
        journal.close()
    assert log_of(path).exists() == has_log
    with closing(JournalSnapshot(path)) as snapshot:
        assert traces(snapshot) == ["first"]
    if has_log:
        journal.close()


def test_a_file_that_disappears_counts_as_missing_and_is_not_created(path: Path) -> None:
    Journal(path).close()
    snapshot = JournalSnapshot(path)
    assert traces(snapshot) == []
    path.unlink()
    assert traces(snapshot) == []
    assert not path.exists()


def test_the_target_of_a_link_is_readable_by_its_user_alone(path: Path) -> None:
    target = path.with_name("volume.db")
    path.symlink_to(target)
    Journal(path).close()
    assert target.stat().st_mode & 0o777 == 0o600
