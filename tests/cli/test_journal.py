"""``rtcai journal copy``: a journal moves to another place."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import Location, parse_location
from rtcai_pulumi.journal.record import Record, RoomRecord
from tests.cli.journals import note
from tests.cli.service import Service
from tests.postgres.server import PASSWORD, Server
from tests.unit.journal.records import lines, writer


def content(location: Location) -> tuple[list[Record], list[RoomRecord]]:
    with Journal(location) as journal:
        return journal.records(), journal.rooms()


def copied(service: Service, *arguments: str, **environment: str | None) -> dict[str, Any]:
    run = service.run("journal", "copy", *arguments, "--json", **environment)
    assert run.exit_code == 0, run.output
    report: dict[str, Any] = json.loads(run.stdout)
    return report


@pytest.fixture
def filled(service: Service) -> Service:
    """A journal with agents of several runs, a closed task, a lost create and a room."""
    service.leave_agent("one")
    closed = service.leave_agent("two")
    service.lose_create()
    with Journal(service.journal) as journal:
        journal.record_close(closed)
        journal.record_room(
            RoomRecord(app_key="key", room_endpoint="http://service.test", cid=7, cname="one", owner="owner")
        )
    return service


def test_a_file_is_copied_into_a_database_and_back(filled: Service, database_server: Server, tmp_path: Path) -> None:
    url = database_server.url()
    before = content(filled.journal)
    report = copied(filled, str(filled.journal), RTCAI_JOURNAL=url)
    assert (report["agents"], report["closed"], report["rooms"], report["present"]) == (2, 1, 1, 0)
    assert PASSWORD not in json.dumps(report)
    assert content(parse_location(url)) == before
    back = tmp_path / "back.db"
    copied(filled, url, str(back))
    assert content(back) == before
    assert content(filled.journal) == before


def test_a_copy_that_is_repeated_adds_what_is_new_and_changes_what_is_newer(
    filled: Service, database_server: Server
) -> None:
    url = database_server.url()
    copied(filled, str(filled.journal), url)
    with Journal(filled.journal) as journal:
        task = journal.records()[0].task
        journal.record_close(str(task))
        note(journal, "9/new")
    report = copied(filled, str(filled.journal), url)
    assert (report["agents"], report["closed"], report["rooms"], report["present"]) == (1, 1, 0, 2)
    assert content(parse_location(url)) == content(filled.journal)


def test_an_end_that_was_moved_since_is_copied_too(filled: Service, database_server: Server) -> None:
    url = database_server.url()
    copied(filled, str(filled.journal), url)
    with Journal(filled.journal) as journal:
        record = journal.records()[0]
        journal.claim(str(record.task), owner=record.owner, kept=record.kept, ends_at="2027-01-01T00:00:00Z")
    copied(filled, str(filled.journal), url)
    assert content(parse_location(url))[0][0].ends_at == "2027-01-01T00:00:00Z"


def test_later_processes_have_higher_numbers_than_the_copied_ones(filled: Service, database_server: Server) -> None:
    location = parse_location(database_server.url())
    for _ in range(10):
        Journal(filled.journal).close()
    with Journal(filled.journal) as journal:
        latest = note(journal, "9/latest").process
    filled.environment["RTCAI_JOURNAL"] = None
    with ExitStack() as journals, Journal(location) as journal:
        journal.copy_from(journals.enter_context(Journal(filled.journal)))
    for place in (location, filled.journal):
        with Journal(place) as journal:
            assert journal.process > latest
            assert not journal.is_running(latest)


@pytest.mark.parametrize("busy", ["source", "target"])
def test_a_run_at_work_is_not_copied(filled: Service, database_server: Server, busy: str) -> None:
    url = database_server.url()
    at_work = writer(filled.journal if busy == "source" else parse_location(url), 1)
    lines(at_work, 1)
    run = filled.run("journal", "copy", str(filled.journal), url)
    at_work.communicate("")
    assert run.exit_code == 1
    assert "A run is using the journal" in run.stderr
    assert len(content(parse_location(url))[0]) == (busy == "target")


def test_what_cannot_be_copied_is_one_clear_error(filled: Service, tmp_path: Path) -> None:
    same = filled.run("journal", "copy", str(filled.journal), str(tmp_path / "." / filled.journal.name))
    assert (same.exit_code, "cannot be copied to itself" in same.stderr) == (1, True)
    missing = filled.run("journal", "copy", str(tmp_path / "none.db"), str(tmp_path / "new.db"))
    assert (missing.exit_code, " does not exist." in missing.stderr) == (1, True)
    assert not (tmp_path / "new.db").exists()
    text = filled.run("journal", "copy", str(filled.journal), str(tmp_path / "new.db"))
    assert "2 agents and lost creates, 1 closed tasks, 1 rooms" in text.stdout
