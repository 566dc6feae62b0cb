"""``rtcai sweep --over``: stops the agents whose time is over; it reads only the journal."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from rtcai_pulumi.cli.app import app
from rtcai_pulumi.cli.commands.sweep_over import STOPPED_SOME
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import Location, parse_location
from rtcai_pulumi.journal.owner import make_owner
from rtcai_pulumi.journal.record import NOBODY, RecordState, RoomRecord
from rtcai_pulumi.stack.owner import owner_prefix
from tests.cli.journals import PREFIX, note, start_agent, urn
from tests.cli.test_ls import TEXT, in_hours
from tests.cli.test_main import RTCAI
from tests.cli.test_sweep import SWEPT
from tests.engine.service import calls, live, rooms
from tests.postgres.server import Server

AGENT = {**SWEPT, "outcome": {"enum": ["to stop", "stopped", "failed", "in use", "lost"]}}
ROOM = dict.fromkeys(("cname", "cid", "resource", "stack", "project", "reason"), TEXT)
ROOM |= {"outcome": {"enum": ["to end", "ended", "left open", "failed"]}}


def objects(properties: dict[str, Any]) -> dict[str, Any]:
    one = {"type": "object", "additionalProperties": False, "properties": properties, "required": list(properties)}
    return {"type": "array", "items": one}


PARTS: dict[str, Any] = {
    "now": {"type": "string", "pattern": "Z$"},
    "grace": {"type": "number", "minimum": 0},
    "agents": objects(AGENT),
    "rooms": objects(ROOM),
    "stackKnown": {"type": "boolean"},
}
REPORT = {"type": "object", "additionalProperties": False, "properties": PARTS, "required": list(PARTS)}
EVENT = "rtcai:index:EventRooms$pulumi-python:dynamic/rtcai"


class Sweep:
    """A journal, an emulator, and ``rtcai sweep --over`` with both. The Pulumi CLI is not on its PATH."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.journal: Location = folder / "journal.db"
        self.environment: dict[str, str | None] = {
            "PATH": str(folder),
            "PULUMI_BACKEND_URL": None,
            "RTCAI_JOURNAL": str(self.journal),
            "RTCAI_APP_KEY": emulator.app_key,
            "RTCAI_APP_SECRET": emulator.app_secret,
            "RTCAI_ENDPOINT": emulator.url,
        }

    def start(self, cname: str, hours: float | None = -3, **how: Any) -> str:
        """An agent of a run that has ended; it is to end in some hours."""
        task = start_agent(self.emulator, cname)
        ends_at = "" if hours is None else in_hours(hours)
        with Journal(self.journal) as journal:
            note(journal, task, cname=cname, url=self.emulator.url, ends_at=ends_at, **how)
        return task

    def start_in_event(self, cname: str, hours: float = -3) -> int:
        """An agent of an event with createRooms; returns the number of its room."""
        self.emulator.open_room(cname)
        task = self.start(cname, hours, of=f"urn:pulumi:test::rooms::{EVENT}:RealtimeConversation::event-{cname}")
        cid = int(task.partition("/")[0])
        owner = make_owner(PREFIX, f"urn:pulumi:test::rooms::{EVENT}:Room::event-{cname}")
        with Journal(self.journal) as journal:
            journal.record_room(self.room(cname, cid, owner))
        return cid

    def room(self, cname: str, cid: int, owner: str) -> RoomRecord:
        url = self.emulator.url
        return RoomRecord(app_key=self.emulator.app_key, room_endpoint=url, cid=cid, cname=cname, owner=owner)

    def owner_of_room(self, cid: int) -> str:
        with Journal(self.journal) as journal:
            room = journal.room(cid, app_key=self.emulator.app_key, room_endpoint=self.emulator.url)
        assert room is not None
        return room.owner

    def run(self, *arguments: str, **environment: str | None) -> Result:
        run = CliRunner().invoke(app, ["sweep", "--over", *arguments], env={**self.environment, **environment})
        assert self.emulator.app_secret not in run.output
        return run

    def start_process(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **{key: value for key, value in self.environment.items() if value}}
        return subprocess.Popen(
            [RTCAI, "sweep", "--over", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def report(self, *arguments: str, code: int) -> dict[str, Any]:
        run = self.run("--json", *arguments)
        assert run.exit_code == code, run.output
        report: dict[str, Any] = json.loads(run.stdout)
        Draft202012Validator(REPORT).validate(report)
        return report

    def agents(self, *arguments: str, code: int) -> dict[str, str]:
        return {agent["cname"]: agent["outcome"] for agent in self.report(*arguments, code=code)["agents"]}

    def rooms(self, *arguments: str, code: int) -> dict[str, str]:
        return {room["cname"]: room["outcome"] for room in self.report(*arguments, code=code)["rooms"]}

    def states(self) -> list[RecordState]:
        with Journal(self.journal) as journal:
            return [record.state for record in journal.records()]


@pytest.fixture
def sweep(emulator: Emulator, tmp_path: Path) -> Sweep:
    return Sweep(emulator, tmp_path)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def test_it_stops_what_is_over_and_nothing_else(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over")
    sweep.start("later", 2)
    sweep.start("endless", None)
    assert sweep.agents("--all", code=4) == {"over": "stopped"}
    assert rooms(emulator) == ["endless", "later"]
    assert sweep.agents("--all", code=0) == {}
    assert calls(emulator).count("close") == 1


def test_it_says_what_it_did(sweep: Sweep) -> None:
    task = sweep.start("over")
    run = sweep.run("--all")
    assert run.exit_code == 4
    assert run.stdout == f"Stopped:\n  room over, task {task} (host in rooms/test, over for 2 h 59 min)\n"
    again = sweep.run("--all")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "No agent is over.\n")


def test_a_dry_run_sends_and_writes_nothing(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over")
    sweep.start_in_event("hall")
    before = len(emulator.requests())
    assert sweep.agents("--all", "--dry-run", code=4) == {"over": "to stop", "hall": "to stop"}
    assert sweep.rooms("--all", "--dry-run", code=4) == {"hall": "to end"}
    assert sweep.run("--all", "--dry-run", RTCAI_APP_SECRET=None).exit_code == 4
    assert len(emulator.requests()) == before
    assert sweep.states() == [RecordState.OPEN] * 2


def test_a_grace_leaves_an_agent_some_time_after_its_end(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over", -1)
    assert sweep.agents("--all", "--grace", "1h30m", code=0) == {}
    assert sweep.report("--all", "--grace", "90m", code=0)["grace"] == 5400
    assert sweep.agents("--all", "--grace", "59m", code=4) == {"over": "stopped"}


@pytest.mark.parametrize("grace", ["5", "m", "5 m", "-5m", "5m3", "5w", "", "99999999999d", "366d"])
def test_a_grace_that_is_not_a_duration_is_refused(sweep: Sweep, grace: str) -> None:
    run = sweep.run("--all", "--grace", grace)
    assert run.exit_code == 2, run.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep", "--over"],
        ["sweep", "--over", "--all", "--stack", "test"],
        ["sweep", "--all"],
        ["sweep", "--stack", "test", "--dry-run"],
        ["sweep", "--over", "--all", "--end-room"],
        ["sweep", "--over", "--stack-export", "-"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_belong_together_are_refused(sweep: Sweep, arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments, env=sweep.environment).exit_code == 2


def test_credentials_are_missed_before_anything_is_over(sweep: Sweep) -> None:
    Journal(sweep.journal).close()
    run = sweep.run("--all", RTCAI_APP_SECRET=None)
    assert run.exit_code == 1
    assert "RTCAI_APP_SECRET" in run.stderr


def test_one_stack_is_selected_by_its_name(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("mine")
    sweep.start("other", of=urn(stack="other"))
    unknown = sweep.run("--stack", "nowhere")
    assert (unknown.exit_code, unknown.stdout) == (0, "")
    assert unknown.stderr.startswith("The journal has no agent of a stack called nowhere.\n")
    assert sweep.agents("--stack", "test", code=4) == {"mine": "stopped"}
    assert rooms(emulator) == ["other"]
    assert sweep.agents("--stack", "rooms/other", code=4) == {"other": "stopped"}


def test_a_name_of_several_stacks_needs_more(sweep: Sweep, emulator: Emulator) -> None:
    url = "s3://elsewhere"
    sweep.start("a")
    sweep.start("b", of=urn(project="expo"))
    sweep.start("c", of=urn(project="expo"), prefix=owner_prefix({}, url))
    run = sweep.run("--stack", "test")
    assert run.exit_code == 1
    assert "Several stacks are called test" in run.stderr
    assert "--project-name" in run.stderr
    assert sweep.agents("--stack", "test", "--project-name", "rooms", code=4) == {"a": "stopped"}
    assert sweep.run("--stack", "test").exit_code == 1
    assert sweep.agents("--stack", "expo/test", "--backend", url, code=4) == {"c": "stopped"}
    assert rooms(emulator) == ["b"]


def test_what_a_living_process_works_on_is_left_alone(sweep: Sweep, emulator: Emulator) -> None:
    task = start_agent(emulator, "over")
    with Journal(sweep.journal) as journal:
        note(journal, task, cname="over", url=emulator.url, ends_at=in_hours(-1))
        process = sweep.start_process("--all", "--json")
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert json.loads(output[output.index("{") :])["agents"][0]["outcome"] == "in use"
    assert rooms(emulator) == ["over"]
    assert sweep.agents("--all", code=4) == {"over": "stopped"}


def test_two_sweeps_at_once_stop_each_agent_once(sweep: Sweep, emulator: Emulator) -> None:
    for number in range(6):
        sweep.start(f"room-{number}")
    with emulator.hold("close", times=None) as hold:
        processes = [sweep.start_process("--all") for _ in range(2)]
        hold.wait(count=6, timeout=60)
        hold.release()
        codes = [(process.communicate(timeout=60), process.returncode)[1] for process in processes]
    assert set(codes) <= {0, 4}
    assert 4 in codes
    assert live(emulator) == []
    assert calls(emulator).count("close") == 6


def test_what_could_not_be_stopped_is_listed_and_stopped_by_the_next_sweep(sweep: Sweep, emulator: Emulator) -> None:
    task = sweep.start("over")
    sweep.start("other")
    emulator.fault("close", "answer", times=1, code=611)
    run = sweep.run("--all")
    assert run.exit_code == 1
    assert "Not stopped:\n  room " in run.stdout
    assert "Stopped:\n  room " in run.stdout
    assert len(live(emulator)) == 1
    assert task in run.stdout
    assert RecordState.OPEN in sweep.states()
    assert list(sweep.agents("--all", code=4).values()) == ["stopped"]


def test_a_request_that_fails_is_repeated(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over")
    emulator.fault("close", "answer", times=2, status=503)
    assert sweep.agents("--all", code=4) == {"over": "stopped"}
    assert calls(emulator).count("close") == 3


def test_a_service_that_is_down_is_no_harm_if_it_comes_back(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over")
    run = sweep.run("--all", RTCAI_ENDPOINT="http://127.0.0.1:1")
    assert run.exit_code == 1
    assert rooms(emulator) == ["over"]
    assert sweep.agents("--all", code=4) == {"over": "stopped"}


def test_an_agent_that_is_gone_already_counts_as_stopped(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over")
    emulator.end_room("over")
    assert sweep.agents("--all", code=4) == {"over": "stopped"}


def test_an_interrupted_close_is_finished_by_the_next_sweep(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start("over", state=RecordState.CLOSING)
    assert sweep.agents("--all", code=4) == {"over": "stopped"}
    assert live(emulator) == []


def test_a_lost_create_that_is_over_is_not_passed_over(sweep: Sweep) -> None:
    with Journal(sweep.journal) as journal:
        note(journal, None, url=sweep.emulator.url, ends_at=in_hours(-1))
    assert sweep.agents("--all", code=1) == {"keynote": "lost"}
    run = sweep.run("--all")
    assert "so its task is unknown:\n  room keynote, request " in run.stdout
    assert "`rtcai forget`" in run.stdout


def test_an_agent_of_another_account_is_not_passed_over(sweep: Sweep) -> None:
    sweep.start("over", app_key="another")
    assert sweep.agents("--all", code=1) == {"over": "failed"}


def test_one_sweep_serves_all_stacks_of_a_team_s_journal(
    sweep: Sweep, emulator: Emulator, database_server: Server
) -> None:
    url = database_server.url()
    sweep.journal = parse_location(url)
    sweep.environment["RTCAI_JOURNAL"] = url
    sweep.start("mine")
    sweep.start("other", of=urn(stack="other"))
    sweep.start("later", 2)
    sweep.start_in_event("hall")
    report = sweep.report("--all", code=4)
    assert sorted(agent["cname"] for agent in report["agents"]) == ["hall", "mine", "other"]
    assert [room["outcome"] for room in report["rooms"]] == ["ended"]
    assert rooms(emulator) == ["later"]
    assert sweep.agents("--all", code=0) == {}


def test_without_a_journal_it_fails(sweep: Sweep, tmp_path: Path) -> None:
    """A schedule of another user, on another machine or without RTCAI_JOURNAL would silently leave agents running."""
    for arguments in (["--all"], ["--all", "--dry-run"]):
        run = sweep.run(*arguments)
        assert run.exit_code == 1
        assert f"The journal {sweep.journal} does not exist." in run.stderr
        assert "the user that run `pulumi up`: set RTCAI_JOURNAL" in run.stderr
    assert not (tmp_path / "journal.db").exists()


def test_a_stack_that_the_journal_does_not_know_is_named(sweep: Sweep) -> None:
    sweep.start("keynote", 3)
    run = sweep.run("--stack", "typo")
    assert (run.exit_code, run.stderr) == (0, "The journal has no agent of a stack called typo.\n")
    assert sweep.report("--stack", "typo", code=0)["stackKnown"] is False


def test_of_two_records_of_a_task_the_later_end_counts(sweep: Sweep, emulator: Emulator) -> None:
    """Two machines had a journal each, one of them has moved the end, and both journals were copied into one."""
    task = sweep.start("keynote", -1)
    with Journal(sweep.journal) as journal:
        (old,) = journal.records()
        extended = note(journal, task, url=emulator.url, ends_at=in_hours(3))
        assert not journal.begin_close_unless_changed(old)
    assert sweep.report("--all", code=0)["agents"] == []
    assert rooms(emulator) == ["keynote"]
    with Journal(sweep.journal) as journal:
        journal.drop(extended)
    assert sweep.report("--all", code=STOPPED_SOME)["agents"][0]["outcome"] == "stopped"


# the rooms of an event


def test_the_room_of_an_event_ends_when_it_is_empty(sweep: Sweep, emulator: Emulator) -> None:
    cid = sweep.start_in_event("hall")
    kept = sweep.start_in_event("later", 2)
    sweep.start("plain")
    assert sweep.rooms("--all", code=4) == {"hall": "ended"}
    assert [room["cname"] for room in emulator.rooms()] == ["later", "plain"]
    assert sweep.owner_of_room(cid) == NOBODY
    assert sweep.owner_of_room(kept) != NOBODY
    assert sweep.rooms("--all", code=0) == {}


def test_a_room_with_people_in_it_stays_open_until_a_later_sweep(sweep: Sweep, emulator: Emulator) -> None:
    cid = sweep.start_in_event("hall")
    people = start_agent(emulator, "hall").partition("/")  # the only members of an emulated room are agents
    assert sweep.agents("--all", code=4) == {"hall": "stopped"}
    run = sweep.run("--all")
    assert run.exit_code == 0
    assert f"Rooms left open:\n  room hall (cid {cid}): somebody may be in it (number of members: 1)\n" in run.stdout
    assert sweep.owner_of_room(cid) != NOBODY
    emulator.end_task(people[0], people[2])
    assert sweep.rooms("--all", code=4) == {"hall": "ended"}


def test_a_room_whose_agent_could_not_be_stopped_stays_open(sweep: Sweep, emulator: Emulator) -> None:
    sweep.start_in_event("hall")
    emulator.fault("close", "answer", times=1, code=611)
    assert sweep.rooms("--all", code=1) == {"hall": "left open"}
    assert sweep.rooms("--all", code=4) == {"hall": "ended"}


def test_a_room_that_could_not_be_ended_stays_the_event_s(sweep: Sweep, emulator: Emulator) -> None:
    cid = sweep.start_in_event("hall")
    emulator.fault("room-delete", "answer", times=1, code=611)
    assert sweep.rooms("--all", code=1) == {"hall": "failed"}
    assert sweep.owner_of_room(cid) != NOBODY
    assert sweep.rooms("--all", code=4) == {"hall": "ended"}


def test_a_room_that_has_ended_by_itself_is_noted_once(sweep: Sweep, emulator: Emulator) -> None:
    cid = sweep.start_in_event("hall")
    emulator.end_room("hall")
    assert sweep.rooms("--all", code=4) == {}
    assert sweep.owner_of_room(cid) == NOBODY
    queries = len(emulator.requests())
    assert sweep.rooms("--all", code=0) == {}
    assert len(emulator.requests()) == queries


def test_a_room_in_which_a_run_has_just_started_an_agent_stays_open(
    sweep: Sweep, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = sweep.start_in_event("hall")
    record_room, is_first = Journal.record_room, [True]

    def record_room_and_start(self: Journal, room: RoomRecord) -> None:
        record_room(self, room)
        if is_first.pop() if is_first else False:
            assert room.owner == NOBODY
            note(self, None, cname="hall", url=emulator.url, ends_at=in_hours(3))

    monkeypatch.setattr(Journal, "record_room", record_room_and_start)
    assert sweep.rooms("--all", code=4) == {"hall": "left open"}
    assert sweep.owner_of_room(cid) != NOBODY
    assert [room["cname"] for room in emulator.rooms()] == ["hall"]


def test_the_time_is_that_of_this_machine(sweep: Sweep) -> None:
    Journal(sweep.journal).close()
    now = datetime.fromisoformat(sweep.report("--all", code=0)["now"])
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
