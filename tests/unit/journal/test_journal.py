"""The journal, in a file and in a database: the rules see no difference."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import Location, parse_location
from rtcai_pulumi.journal.record import KeepReason, RecordState, RoomRecord
from rtcai_pulumi.journal.stores import journal_exists, open_read_only
from rtcai_pulumi.service.errors import JournalError
from tests.postgres.server import Server
from tests.unit.journal.records import a_record, lines, writer


@pytest.fixture(params=["file", "database"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "file":
        return tmp_path / "state" / "journal.db"
    server: Server = request.getfixturevalue("database_server")
    return parse_location(server.url())


@pytest.fixture
def journal(location: Location) -> Iterator[Journal]:
    with Journal(location) as opened:
        yield opened


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


def test_a_record_that_was_taken_over_takes_no_answer_from_before(journal: Journal, location: Location) -> None:
    record = journal.add(a_record(journal))
    with Journal(location) as other:
        taken = other.take_over(record)
        assert taken is not None
        assert taken.process == other.process
        assert journal.record_response(record, 7, "late") is None
        assert journal.take_over(record) is None
        assert other.record_response(taken, 7, "mine") is not None


def test_a_record_that_has_changed_since_it_was_read_is_not_closed(journal: Journal, location: Location) -> None:
    record = journal.record_response(journal.add(a_record(journal)), 7, "task")
    assert record is not None
    journal.claim("7/task", owner="owner", kept=KeepReason.NO, ends_at="2026-10-13T18:00:00Z")
    with Journal(location) as other:
        assert not other.begin_close_unless_changed(record)
        (now,) = other.records()
        assert (now.state, now.ends_at) == (RecordState.OPEN, "2026-10-13T18:00:00Z")
        assert other.begin_close_unless_changed(now)
        assert not journal.begin_close_unless_changed(now)
        (closing,) = journal.records()
        assert (closing.state, closing.process) == (RecordState.CLOSING, other.process)


def test_the_creates_in_a_room_are_listed(journal: Journal) -> None:
    asked = journal.add(a_record(journal))
    journal.record_response(journal.add(a_record(journal, "t-2")), 7, "task")
    assert journal.creates_in_room("keynote", app_key="key") == [asked]
    assert journal.creates_in_room("keynote", app_key="another") == []


def test_a_refused_create_leaves_nothing(journal: Journal) -> None:
    journal.forget(journal.add(a_record(journal)))
    assert journal.records() == []


def test_a_record_that_was_taken_over_is_not_forgotten_by_the_process_before(
    journal: Journal, location: Location
) -> None:
    record = journal.add(a_record(journal))
    with Journal(location) as other:
        other.take_over(record)
        journal.forget(record)
        assert [record.process for record in journal.records()] == [other.process]


def test_what_another_process_closes_by_now_is_not_left_to_it_without_a_record(
    journal: Journal, location: Location
) -> None:
    """Otherwise a repeated answer of the closed task would look like a running task."""
    record = journal.record_response(journal.add(a_record(journal)), 7, "task")
    assert record is not None
    journal.begin_close(record)
    with Journal(location) as other:
        assert other.take_over(record) is not None
        journal.undo_close(record)
        assert [record.state for record in journal.records()] == [RecordState.CLOSING]
        other.undo_close(record)
        assert journal.records() == []


def test_a_close_that_another_process_began_is_not_undone(journal: Journal, location: Location) -> None:
    record = journal.record_response(journal.add(a_record(journal)), 7, "task")
    assert record is not None
    assert journal.begin_close(record)
    with Journal(location) as other:
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


def test_what_was_written_is_there_after_the_process_is_killed(location: Location) -> None:
    process = writer(location, 50)
    traces = lines(process, 50)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with Journal(location) as journal:
        assert [record.trace_id for record in journal.records("o")] == traces
        assert all(record.state is RecordState.OPEN for record in journal.records())


@pytest.mark.shows("safety kill-in-journal-write")
@pytest.mark.parametrize("written", [1, 7, 23])
def test_a_kill_in_mid_write_leaves_whole_records(location: Location, written: int) -> None:
    process = writer(location, 10_000)
    traces = lines(process, written)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with Journal(location) as journal:
        found = journal.records()
        assert [record.trace_id for record in found][:written] == traces
        assert all(record.state is RecordState.OPEN for record in found[:written])


def test_a_process_lives_as_long_as_it_holds_its_lock(location: Location) -> None:
    process = writer(location, 1)
    (trace,) = lines(process, 1)
    with Journal(location) as journal:
        number = int(trace.partition("-")[0])
        assert number != journal.process
        assert journal.is_running(journal.process)
        assert journal.is_running(number)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        until = time.monotonic() + 10  # a server notices the end of a process a moment later
        while journal.is_running(number) and time.monotonic() < until:
            time.sleep(0.01)
        assert not journal.is_running(number), "asking must not take the lock for good"


def test_many_threads_and_processes_write_at_once(journal: Journal, location: Location) -> None:
    others = [writer(location, 100) for _ in range(3)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: journal.add(a_record(journal, f"mine-{number}")), range(300)))
    for other in others:
        lines(other, 100)
        other.communicate("")
    assert len(journal.records()) == 600
    assert len({record.process for record in journal.records()}) == 4


def test_a_write_after_the_end_is_an_error_and_no_wait(location: Location) -> None:
    journal = Journal(location)
    journal.close()
    with pytest.raises(JournalError, match="cannot be written: this process is shutting down"):
        journal.add(a_record(journal, "late"))


def test_a_task_belongs_to_whom_it_is_shown_for(journal: Journal) -> None:
    journal.record_response(journal.add(a_record(journal, owner="old")), 1, "task")
    journal.claim("1/task", owner="new", kept=KeepReason.NO)
    assert [record.task for record in journal.records("new")] == ["1/task"]
    assert journal.records("old") == []


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


def test_a_room_is_recorded_changed_and_dropped(journal: Journal) -> None:
    account = {"app_key": "key", "room_endpoint": "http://service.test"}
    room = RoomRecord(cid=7, cname="keynote", owner="owner", **account)
    journal.record_room(room)
    journal.record_room(RoomRecord(cid=7, cname="keynote", owner="another", **account))
    found = journal.room(7, **account)
    assert found is not None
    assert (found.owner, journal.rooms()) == ("another", [found])
    journal.drop_room(7, **account)
    assert journal.room(7, **account) is None


def test_a_record_of_a_state_is_added_once(journal: Journal) -> None:
    record = a_record(journal, "state-7-task")
    journal.add(record)
    journal.add(record)
    assert [each.trace_id for each in journal.records()] == ["state-7-task"]
    with pytest.raises(JournalError, match="cannot be used"):
        journal.add(journal.add(a_record(journal, "t-1")))


def test_what_was_returned_is_stored_once_the_run_ends(journal: Journal) -> None:
    returned, other = journal.add(a_record(journal, "returned")), journal.add(a_record(journal, "other"))
    journal.record_return(returned, kept=KeepReason.RETAINED)
    journal.record_stored()
    by_trace = {record.trace_id: record for record in journal.records()}
    assert (by_trace["returned"].stored, by_trace["returned"].kept) == (True, KeepReason.RETAINED)
    assert not by_trace[other.trace_id].stored


def test_a_preview_reads_the_same_and_changes_nothing(location: Location) -> None:
    reader = open_read_only(location)
    assert reader.records() == []
    assert reader.room(7, app_key="key", room_endpoint="e") is None
    assert not journal_exists(location)
    with Journal(location) as journal:
        journal.add(a_record(journal))
        assert reader.records() == journal.records()
        assert reader.process > journal.process
        assert reader.switch_to(lambda: journal) is journal
        journal.add(a_record(journal, "t-2"))
        assert [record.trace_id for record in reader.records()] == ["t-1", "t-2"]
        assert reader.process == journal.process
    assert journal_exists(location)


def test_every_process_gets_a_higher_number(location: Location) -> None:
    numbers = []
    for _ in range(3):
        with Journal(location) as journal:
            numbers.append(journal.process)
    assert numbers == sorted(set(numbers))


def test_a_record_says_where_its_run_was(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"SERVER_URL": "https://github.test", "REPOSITORY": "crew/event", "RUN_ID": "42"}
    for name, value in page.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    with Journal(location) as journal:
        written = journal.add(a_record(journal))
    assert written.origin.endswith("(https://github.test/crew/event/actions/runs/42)")
    assert "@" in written.origin
