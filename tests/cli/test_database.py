"""The commands of ``rtcai`` on a journal in a database."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.record import RecordState
from tests.cli.journals import export
from tests.cli.service import Service
from tests.engine.stack import search_path
from tests.postgres.server import PASSWORD, Server


@pytest.fixture
def service(tmp_path: Path, database_server: Server) -> Iterator[Service]:
    with Emulator() as emulator:
        yield Service(emulator, tmp_path, database_server.url())


@pytest.mark.shows("rtcai ls", "rtcai show", "rtcai close", "rtcai forget", "rtcai release")
def test_agents_are_listed_shown_closed_released_and_forgotten(service: Service) -> None:
    empty = service.run("ls")
    assert (empty.exit_code, "The journal postgresql://rtcai@127.0.0.1" in empty.stderr) == (0, True)
    closed, released, trace = service.leave_agent("one"), service.leave_agent("two"), service.lose_create()
    listed = json.loads(service.run("ls", "--json").stdout)
    assert [each["state"] for each in listed] == ["open", "open", "lost"]
    assert all("@" in each["origin"] for each in listed)
    assert listed[0]["origin"] in service.run("show", closed).stdout
    for command in (["close", closed], ["release", released], ["forget", trace]):
        run = service.run(*command, "--yes")
        assert run.exit_code == 0, run.output
    assert service.rooms == ["two"]
    assert [record.state for record in service.records if record.is_unfinished] == []


@pytest.mark.shows("rtcai sweep", "rtcai pending", "rtcai end-room")
def test_a_stack_is_swept_its_pending_creates_found_and_a_room_ended(service: Service, tmp_path: Path) -> None:
    service.leave_agent("left")
    file = export(tmp_path / "state.json")
    assert service.run("pending", "--stack-export", file).exit_code == 0
    swept = service.run("sweep", "--stack-export", file, "--yes")
    assert swept.exit_code == 0, swept.output
    assert service.rooms == []
    service.leave_agent("on air")
    ended = service.run("end-room", "on air", "--yes")
    assert ended.exit_code == 0, ended.output
    assert [record.state for record in service.records] == [RecordState.CLOSED] * 2


def test_doctor_checks_the_database(service: Service) -> None:
    before = json.loads(service.run("doctor", "--json", PATH=search_path()).stdout)[-2:]
    assert [finding["verdict"] for finding in before] == ["passed", "passed"]
    assert "does not exist yet" in before[1]["detail"]
    service.leave_agent()
    run = service.run("doctor", "--json", PATH=search_path())
    location, journal = json.loads(run.stdout)[-2:]
    assert (location["verdict"], journal["verdict"]) == ("passed", "passed"), run.stdout
    for part in ("PostgreSQL 1", "not encrypted", "locks and rights work", " ms", "its clock differs by 0 seconds"):
        assert part in location["detail"]
    assert "1 agent, 0 lost creates" in journal["detail"]
    assert PASSWORD not in run.output


def test_doctor_names_a_database_that_cannot_be_reached(service: Service) -> None:
    url = "postgresql://rtcai:correct-horse-battery@127.0.0.1:9/postgres"
    run = service.run("doctor", "--json", PATH=search_path(), RTCAI_JOURNAL=url)
    location, journal = json.loads(run.stdout)[-2:]
    assert (run.exit_code, location["verdict"], journal["verdict"]) == (1, "failed", "failed")
    assert "Connection refused" in location["detail"]
    assert PASSWORD not in run.output


def test_the_option_takes_a_url_too(service: Service) -> None:
    url = service.environment["RTCAI_JOURNAL"] or ""
    service.leave_agent()
    assert len(json.loads(service.run("ls", "--json", "--journal", url, RTCAI_JOURNAL=None).stdout)) == 1
    wrong = service.run("ls", "--journal", url.replace("://rtcai:", "://rt/cai:"), RTCAI_JOURNAL=None)
    assert wrong.exit_code == 1
    assert "The URL of the journal is not valid." in wrong.stderr
    assert PASSWORD not in wrong.output
