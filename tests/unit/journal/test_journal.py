import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.journal import locks
from rtcai_pulumi.journal import schema as database
from rtcai_pulumi.journal.journal import Journal, journal_path
from rtcai_pulumi.journal.record import NOBODY, KeepReason, Record, RecordState, RoomRecord
from rtcai_pulumi.service.errors import JournalError

WRITER = """
import sys
from pathlib import Path
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record
journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    trace = f"{journal.process}-{number}"
    record = Record(trace_id=trace, owner="o", app_key="k", endpoint="e", room_endpoint="e", cname="r",
        request_id="q", digest="d", process=journal.process)
    journal.add(record)
    journal.record_response(record, number, "task")
    print(trace, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal(path) as opened:
        yield opened


def a_record(journal: Journal, trace_id: str = "t-1", owner: str = "owner", process: int | None = None) -> Record:
    return Record(
        trace_id=trace_id,
        owner=owner,
        app_key="key",
        endpoint="http://service.test",
        room_endpoint="http://service.test",
        cname="keynote",
        request_id="r-1",
        digest="digest",
        process=journal.process if process is None else process,
    )


def writer(path: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def test_a_record_comes_back_as_it_was_written(journal: Journal) -> None:
    written = journal.add(a_record(journal))
    assert journal.records("owner") == [written]
    assert journal.records("another") == []
    assert journal.record("t-1") == written
    assert journal.record("t-2") is None
    assert (written.state, written.task, written.is_unfinished) == (RecordState.ASKED, None, True)


def test_a_task_goes_from_asked_to_closed(journal: Journal) -> None:
    record = journal.add(a_record(journal))
    answered = journal.record_response(record, 1144707127429101, "2a78")
    assert answered is not None
    assert (answered.state, answered.task, answered.handed) == (RecordState.OPEN, "1144707127429101/2a78", False)
    journal.record_return(answered, kept=KeepReason.NO)
    assert journal.begin_close(answered)
    journal.record_close("1144707127429101/2a78")
    (last,) = journal.records()
    assert (last.state, last.handed, last.is_unfinished) == (RecordState.CLOSED, True, False)


def test_a_record_that_was_taken_over_takes_no_answer_from_before(journal: Journal, path: Path) -> None:
    record = journal.add(a_record(journal))
    with Journal(path) as other:
        taken = other.take_over(record)
        assert taken is not None
        assert taken.process == other.process
        assert journal.record_response(record, 7, "late") is None
        assert journal.take_over(record) is None
        assert other.record_response(taken, 7, "mine") is not None


def test_a_close_of_a_record_that_has_changed_since_it_was_read_is_not_begun(journal: Journal, path: Path) -> None:
    record = journal.record_response(journal.add(a_record(journal)), 7, "task")
    assert record is not None
    journal.claim("7/task", owner="owner", kept=KeepReason.NO, ends_at="2026-10-13T18:00:00Z")
    with Journal(path) as other:
        assert not other.begin_close_unless_changed(record)
        (now,) = other.records()
        assert (now.state, now.ends_at) == (RecordState.OPEN, "2026-10-13T18:00:00Z")
        assert other.begin_close_unless_changed(now)
        assert not journal.begin_close_unless_changed(now)
        (closing,) = journal.records()
        assert (closing.state, closing.process) == (RecordState.CLOSING, other.process)


def test_the_rooms_and_the_creates_in_a_room_are_listed(journal: Journal) -> None:
    for cid, owner in ((1, "owner"), (2, NOBODY)):
        journal.record_room(RoomRecord(app_key="key", room_endpoint="e", cid=cid, cname="keynote", owner=owner))
    assert [room.cid for room in journal.rooms()] == [1]
    asked = journal.add(a_record(journal))
    journal.record_response(journal.add(a_record(journal, "t-2")), 7, "task")
    assert journal.creates_in_room("keynote", app_key="key") == [asked]
    assert journal.creates_in_room("keynote", app_key="another") == []


def test_a_refused_create_leaves_nothing(journal: Journal) -> None:
    journal.forget(journal.add(a_record(journal)))
    assert journal.records() == []


def test_a_record_that_was_taken_over_is_not_forgotten_by_the_process_before(journal: Journal, path: Path) -> None:
    record = journal.add(a_record(journal))
    with Journal(path) as other:
        other.take_over(record)
        journal.forget(record)
        assert [record.process for record in journal.records()] == [other.process]


def test_what_another_process_closes_by_now_is_not_left_to_it_without_a_record(journal: Journal, path: Path) -> None:
    """Otherwise a repeated answer of the closed task would look like a running task."""
    record = journal.record_response(journal.add(a_record(journal)), 7, "task")
    assert record is not None
    journal.begin_close(record)
    with Journal(path) as other:
        assert other.take_over(record) is not None
        journal.undo_close(record)
        assert [record.state for record in journal.records()] == [RecordState.CLOSING]
        other.undo_close(record)
        assert journal.records() == []


def test_a_close_that_another_process_has_begun_since_is_not_taken_back(journal: Journal, path: Path) -> None:
    record = journal.record_response(journal.add(a_record(journal)), 7, "task")
    assert record is not None
    assert journal.begin_close(record)
    with Journal(path) as other:
        assert not other.begin_close(record)
        journal.cancel_close(record)
        assert [record.state for record in journal.records()] == [RecordState.CLOSING]
        other.cancel_close(record)
        assert [record.state for record in journal.records()] == [RecordState.OPEN]


def test_a_task_is_closed_in_all_its_records_and_stays_closed(journal: Journal) -> None:
    for trace in ("t-1", "t-1-2"):
        assert journal.record_response(journal.add(a_record(journal, trace)), 7, "task") is not None
    journal.record_close("7/task")
    records = journal.records()
    assert not journal.begin_close(records[0])
    assert [record.state for record in journal.records()] == [RecordState.CLOSED, RecordState.CLOSED]


def test_what_was_written_is_there_after_the_process_is_killed(path: Path) -> None:
    process = writer(path, 50)
    traces = lines(process, 50)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with Journal(path) as journal:
        assert [record.trace_id for record in journal.records("o")] == traces
        assert all(record.state is RecordState.OPEN for record in journal.records())


@pytest.mark.shows("safety kill-in-journal-write")
@pytest.mark.parametrize("written", [1, 7, 23])
def test_a_kill_in_mid_write_leaves_whole_records(path: Path, written: int) -> None:
    process = writer(path, 10_000)
    traces = lines(process, written)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with Journal(path) as journal:
        found = journal.records()
        assert [record.trace_id for record in found][:written] == traces
        assert all(record.state is RecordState.OPEN for record in found[:written])


def test_a_process_lives_as_long_as_it_holds_its_lock(path: Path) -> None:
    process = writer(path, 1)
    (trace,) = lines(process, 1)
    with Journal(path) as journal:
        number = int(trace.partition("-")[0])
        assert number != journal.process
        assert journal.is_running(journal.process)
        assert journal.is_running(number)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert not journal.is_running(number)
        assert not journal.is_running(number), "asking must not take the lock for good"


def test_many_threads_and_processes_write_at_once(journal: Journal, path: Path) -> None:
    others = [writer(path, 100) for _ in range(3)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: journal.add(a_record(journal, f"mine-{number}")), range(300)))
    for other in others:
        lines(other, 100)
        other.communicate("")
    assert len(journal.records()) == 600
    assert len({record.process for record in journal.records()}) == 4


def test_only_its_user_may_read_it(journal: Journal) -> None:
    journal.add(a_record(journal))
    files = list(journal.path.parent.iterdir())
    assert len(files) >= 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


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
    assert database.find_location_warning(path) is None
    monkeypatch.setattr(database, "_file_system", lambda _: "nfs4")
    assert "shared file system (nfs4)" in str(database.find_location_warning(path))


def test_a_file_system_whose_locks_nobody_sees_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_write_after_the_end_is_an_error_and_no_wait(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    with pytest.raises(JournalError, match="cannot be written: this process is shutting down"):
        journal.add(a_record(journal, "late"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_fails_leaves_nobody_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    with Journal(path) as journal:
        monkeypatch.setattr(journal._writer, "_write_batch", fails)
        with pytest.raises(JournalError, match="an earlier write failed"):
            journal.add(a_record(journal, "first"))
        journal._writer._thread.join()
        with pytest.raises(JournalError, match="cannot be written: an earlier write failed"):
            journal.add(a_record(journal, "second"))


ASKER = """
import sys
from pathlib import Path
from rtcai_pulumi.journal.locks import Locks
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


@pytest.mark.parametrize("env", [{"RTCAI_JOURNAL": "journal.db"}, {"RTCAI_JOURNAL": "../state/journal.db"}])
def test_a_relative_path_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(JournalError, match="RTCAI_JOURNAL is a relative path"):
        journal_path({**env, "HOME": "/h"})


def test_the_kind_of_the_file_system_is_told() -> None:
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


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"RTCAI_JOURNAL": "/a/j.db", "XDG_STATE_HOME": "/x"}, "/a/j.db"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/rtcai/journal.db"),
        ({"HOME": "/h"}, "/h/.local/state/rtcai/journal.db"),
        ({"XDG_STATE_HOME": "state", "HOME": "/h"}, "/h/.local/state/rtcai/journal.db"),
    ],
)
def test_the_journal_is_the_user_s(env: dict[str, str], expected: str) -> None:
    assert journal_path(env) == Path(expected)


def test_a_write_that_fails_undoes_nothing_of_the_others(journal: Journal) -> None:
    journal.add(a_record(journal, "taken"))

    def add(number: int) -> bool:
        try:
            journal.add(a_record(journal, "taken" if number % 2 else f"free-{number}"))
        except JournalError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        written = list(threads.map(add, range(64)))
    assert written == [number % 2 == 0 for number in range(64)]
    assert len(journal.records()) == 33


@pytest.mark.parametrize("wrong", [{"cid": 2**63, "task_id": "a"}, {"cid": 1, "task_id": "\udcff"}])
def test_a_value_that_the_file_cannot_hold_is_an_error_and_the_journal_goes_on(
    journal: Journal, wrong: dict[str, Any]
) -> None:
    record = journal.add(a_record(journal))
    with pytest.raises(JournalError, match="cannot be used"):
        journal.record_response(record, **wrong)
    assert journal.record_response(record, 1, "task") is not None


def test_to_ask_for_what_the_file_cannot_hold_is_an_error(journal: Journal) -> None:
    with pytest.raises(JournalError, match="cannot be used"):
        journal.records_of_task(f"{2**63}/task")
    with pytest.raises(JournalError, match="cannot be used"):
        journal.records("\udcff")


def test_reading_waits_for_no_other_process_that_writes(journal: Journal) -> None:
    journal.add(a_record(journal))
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM records")
        assert journal.record("t-1") is not None
        assert len(journal.records()) == 1
        other.execute("COMMIT")
    assert journal.record("t-1") is None


def test_a_full_disk_is_named_and_takes_nothing_of_what_is_there(journal: Journal) -> None:
    journal.add(a_record(journal))
    journal._writer.run(
        lambda database: database.execute("PRAGMA max_page_count = 1").fetchone()
    )  # allow no more pages
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


def test_a_task_belongs_to_whom_it_is_shown_for(journal: Journal) -> None:
    journal.record_response(journal.add(a_record(journal, owner="old")), 1, "task")
    journal.claim("1/task", owner="new", kept=KeepReason.NO)
    assert [record.task for record in journal.records("new")] == ["1/task"]
    assert journal.records("old") == []
