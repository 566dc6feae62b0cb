import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from rtcai_pulumi.cli.app import app
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.stack.owner import owner_prefix
from tests.cli.journals import BACKEND, export, note, resource, start_agent, urn, write
from tests.cli.pulumi_cli import PulumiCli
from tests.cli.test_ls import AGENT, TEXT
from tests.cli.test_main import RTCAI
from tests.engine.service import calls, live

OUTCOMES = ["to close", "closed", "failed", "process lives", "newer than the export", "lost"]
OUTCOMES += ["to end its room", "room ended"]
SWEPT = {name: kind for name, kind in AGENT["properties"].items() if name != "mark"}
SWEPT |= {"outcome": {"enum": OUTCOMES}, "error": TEXT}
BACKEND_SHOWN = {"type": "object", "required": ["source", "url", "digest"], "additionalProperties": TEXT}
UNKNOWN_CREATE = {"type": "object", "required": ["cname", "resource", "urn"], "additionalProperties": TEXT}
REPORT: Any = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "stack": {"type": "string"},
        "project": {"type": "string"},
        "backend": BACKEND_SHOWN,
        "pendingOperations": {"type": "array", "items": {"type": "string"}},
        "agents": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": False, "properties": SWEPT, "required": list(SWEPT)},
        },
        "unknownCreates": {"type": "array", "items": UNKNOWN_CREATE},
        "inAnotherBackend": {"type": "integer", "minimum": 0},
    },
}
REPORT["required"] = list(REPORT["properties"])


class Sweep:
    """A journal, an emulator, and ``rtcai sweep`` with both."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.journal = folder / "journal.db"
        self.environment: dict[str, str | None] = {
            "PULUMI_BACKEND_URL": BACKEND,
            "RTCAI_JOURNAL": str(self.journal),
            "RTCAI_APP_KEY": emulator.app_key,
            "RTCAI_APP_SECRET": emulator.app_secret,
            "RTCAI_ENDPOINT": emulator.url,
        }

    def leave_agent(self, cname: str, **how: Any) -> str:
        """An agent that a killed run left."""
        task = start_agent(self.emulator, cname)
        with Journal(self.journal) as journal:
            note(journal, task, cname=cname, url=self.emulator.url, **how)
        return task

    def lose_create(self) -> str:
        with Journal(self.journal) as journal:
            return note(journal, None, url=self.emulator.url).trace_id

    def state(self, *tasks: str, **more: Any) -> str:
        return export(self.folder / "state.json", [resource(task) for task in tasks], **more)

    def run(self, *arguments: str, file: str | None = None, **environment: str | None) -> Result:
        command = ["sweep", "--stack-export", file or self.state(), *arguments]
        run = CliRunner().invoke(app, command, env={**self.environment, **environment})
        assert self.emulator.app_secret not in run.output
        return run

    def as_process(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **{key: value for key, value in self.environment.items() if value}}
        command = [RTCAI, "sweep", "--stack-export", self.state(), *arguments]
        pipe = subprocess.PIPE
        return subprocess.run(
            command, stdin=stdin, stdout=pipe, stderr=pipe, text=True, env=environment, check=False, timeout=60
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **{key: value for key, value in self.environment.items() if value}}
        # In a shell's background job, the command would inherit an ignored SIGINT.
        command = ["env", "--default-signal=INT", RTCAI, "sweep", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def report(self, *arguments: str, code: int, **how: Any) -> dict[str, Any]:
        run = self.run(*arguments, "--json", **how)
        assert run.exit_code == code, run.output
        report: dict[str, Any] = json.loads(run.stdout)
        Draft202012Validator(REPORT).validate(report)
        return report

    def outcomes(self, *arguments: str, code: int, **how: Any) -> list[str]:
        return [agent["outcome"] for agent in self.report(*arguments, code=code, **how)["agents"]]

    @property
    def rooms(self) -> list[str]:
        return sorted(task["cname"] for task in live(self.emulator))

    @property
    def states(self) -> list[RecordState]:
        with Journal(self.journal) as journal:
            return [record.state for record in journal.records()]


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    with Emulator() as emulator:
        yield Sweep(emulator, tmp_path)


def test_it_closes_what_the_state_of_the_stack_lacks_and_nothing_else(sweep: Sweep) -> None:
    kept = sweep.leave_agent("kept")
    deleting = sweep.leave_agent("deleting")
    pending = sweep.leave_agent("pending deletion")
    sweep.leave_agent("orphan")
    sweep.leave_agent("other stack", of=urn(stack="other"))
    sweep.leave_agent("other project", of=urn(project="other"))
    sweep.leave_agent("other backend", prefix=owner_prefix({"PULUMI_BACKEND_URL": "file:///other"}, None))
    start_agent(sweep.emulator, "foreign")
    state = [resource(kept), resource(deleting, delete=True)]
    file = export(sweep.folder / "state.json", state, pending=[resource(pending)])
    run = sweep.run("--yes", file=file)
    assert run.exit_code == 3, run.output
    assert sweep.rooms == sorted(
        ["kept", "deleting", "pending deletion", "other stack", "other project", "other backend", "foreign"]
    )
    assert "Closed:\n  room orphan, task " in run.stdout
    assert "backend: file:///state (PULUMI_BACKEND_URL)" in run.stderr
    assert "1 agent belongs to a stack of the same name in another backend; it is not closed." in run.stderr
    report = sweep.report("--yes", code=3, file=file)
    assert (report["agents"], report["inAnotherBackend"]) == ([], 1)
    assert calls(sweep.emulator).count("close") == 1


def test_what_another_stack_s_state_holds_is_left_alone(sweep: Sweep) -> None:
    moved = sweep.leave_agent("moved")
    other = export(sweep.folder / "other.json", [resource(moved, urn(stack="other"))], stack="other")
    assert sweep.outcomes("--yes", "--other-export", other, code=0) == []
    assert sweep.rooms == ["moved"]


@pytest.mark.parametrize("journal", ["missing", "corrupt"])
def test_without_a_usable_journal_nothing_is_done(sweep: Sweep, journal: str) -> None:
    if journal == "corrupt":
        sweep.journal.write_bytes(b"no journal" * 1000)
    run = sweep.run("--yes", "--json")
    if journal == "corrupt":
        assert (run.exit_code, run.stdout) == (1, "")
        assert run.stderr.startswith(f"rtcai sweep: The journal {sweep.journal} cannot be used: ")
    else:
        assert (run.exit_code, json.loads(run.stdout)["agents"]) == (0, [])
        assert f"The journal {sweep.journal} does not exist" in run.stderr
        assert not sweep.journal.exists()


def test_without_a_terminal_and_without_yes_it_only_shows(sweep: Sweep) -> None:
    sweep.leave_agent("orphan")
    run = sweep.run()
    assert run.exit_code == 2
    assert "To close, not in the state:\n  room orphan, task " in run.stdout
    assert "add --yes" in run.stderr
    assert sweep.outcomes(code=2) == ["to close"]
    assert (sweep.rooms, sweep.states) == (["orphan"], [RecordState.OPEN])


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, []), ("n", 2, ["orphan"]), ("", 2, ["orphan"])])
def test_at_a_terminal_it_asks(sweep: Sweep, answer: str, code: int, left: list[str]) -> None:
    sweep.leave_agent("orphan")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        run = sweep.as_process(stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (run.returncode, sweep.rooms) == (code, left), run.stderr
    assert "Close them? [y/N]" in run.stderr


def test_pending_operations_need_yes_and_are_named(sweep: Sweep) -> None:
    sweep.leave_agent("orphan")
    file = sweep.state(pending=[resource(None, urn("half"))])
    run = sweep.run(file=file)
    assert run.exit_code == 2
    assert urn("half") in run.stderr
    assert "the state has pending operations; add --yes" in run.stderr
    assert "warning: a run was killed or is still in progress. Agents in use are skipped." in run.stderr
    report = sweep.report("--yes", code=3, file=file)
    assert report["pendingOperations"] == [urn("half")]
    assert sweep.rooms == []


def test_a_create_that_the_journal_does_not_know_is_named_and_does_not_pass_for_good(sweep: Sweep) -> None:
    sweep.leave_agent("orphan", of=urn("another"))
    file = sweep.state(pending=[resource(None)])
    report = sweep.report("--yes", code=3, file=file)
    assert report["unknownCreates"] == [{"cname": "keynote", "resource": "host", "urn": urn()}]
    assert [agent["outcome"] for agent in report["agents"]] == ["closed"]
    run = sweep.run(file=file)
    assert run.exit_code == 3
    assert "unknown whether they were started:\n  room keynote (host)\n  to do: restore the journal" in run.stdout
    assert "The journal has nothing to close." in run.stderr


def test_without_credentials_it_says_which_and_closes_nothing(sweep: Sweep) -> None:
    sweep.leave_agent("orphan")
    run = sweep.run("--yes", RTCAI_APP_SECRET=None)
    assert run.exit_code == 1
    assert "RTCAI_APP_SECRET" in run.stderr
    assert (sweep.rooms, sweep.states) == (["orphan"], [RecordState.OPEN])


def test_an_empty_state_needs_the_names_of_stack_and_project(sweep: Sweep) -> None:
    sweep.leave_agent("orphan")
    sweep.leave_agent("other stack", of=urn(stack="other"))
    file = write(sweep.folder / "empty.json", {"version": 3, "deployment": {"manifest": {}}})
    assert sweep.run("--yes", "--stack-name", "test", file=file).exit_code == 1
    named = ["--stack-name", "test", "--project-name", "rooms"]
    assert sweep.outcomes("--yes", *named, code=0, file=file) == ["closed"]
    assert sweep.rooms == ["other stack"]


def test_names_that_contradict_the_export_are_refused(sweep: Sweep) -> None:
    sweep.leave_agent("orphan")
    run = sweep.run("--yes", "--stack-name", "other")
    assert run.exit_code == 1
    assert "it is the export of the stack rooms/test, not of rooms/other" in run.stderr
    assert "to do: use the export of rooms/other, or correct --stack-name and --project-name" in run.stderr
    assert sweep.rooms == ["orphan"]


def test_what_a_living_process_answers_for_is_left_alone(sweep: Sweep) -> None:
    task = start_agent(sweep.emulator, "busy")
    with Journal(sweep.journal) as journal:
        note(journal, task, url=sweep.emulator.url)
        # A process does not see its own lock, so the command runs in another process.
        runs = [sweep.as_process("--json"), sweep.as_process("--yes", "--json")]
    for run in runs:
        assert run.returncode == 3, run.stderr
        assert [agent["outcome"] for agent in json.loads(run.stdout)["agents"]] == ["process lives"]
        assert "The journal has nothing to close." in run.stderr
    assert sweep.rooms == ["busy"]
    assert sweep.outcomes("--yes", code=0) == ["closed"]


def test_what_a_run_has_stored_that_ended_while_the_state_was_read_is_left_alone(sweep: Sweep) -> None:
    reading, go_on = sweep.folder / "reading", sweep.folder / "go on"
    os.mkfifo(reading)
    os.mkfifo(go_on)
    pulumi = PulumiCli(sweep.folder, after=f'echo > "{reading}"; cat "{go_on}"')
    url = pulumi.backend("backend")
    sweep.environment |= {"PATH": pulumi.path, "PULUMI_BACKEND_URL": url}
    task = start_agent(sweep.emulator, "on air")
    with Journal(sweep.journal) as journal:
        prefix = owner_prefix({"PULUMI_BACKEND_URL": url}, None)
        note(journal, task, cname="on air", url=sweep.emulator.url, prefix=prefix)
        process = sweep.start("--stack", "test", "--cwd", str(sweep.folder), "--yes", "--json")
        reading.read_text()
    # The run has ended and its state has the task. The state that the command has just read does not have it.
    go_on.write_text("")
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert [agent["outcome"] for agent in json.loads(out)["agents"]] == ["process lives"]
    assert sweep.rooms == ["on air"]


def test_an_export_that_is_older_than_a_record_says_nothing_about_it(sweep: Sweep) -> None:
    file = sweep.state()
    old = (datetime.now(UTC) - timedelta(minutes=1)).timestamp()
    os.utime(file, (old, old))
    sweep.leave_agent("new")
    assert sweep.outcomes("--yes", code=3, file=file) == ["newer than the export"]
    assert sweep.rooms == ["new"]


def test_a_lost_create_is_reported_with_its_ids_and_does_not_pass_for_good(sweep: Sweep) -> None:
    trace_id = sweep.lose_create()
    sweep.leave_agent("orphan")
    run = sweep.run("--yes")
    assert run.exit_code == 3
    assert f"trace {trace_id}" in run.stdout
    assert "Lost: the request to start the agent got no response, so its task is unknown:\n" in run.stdout
    assert "\n  to do: run `pulumi up` again" in run.stdout
    assert sweep.rooms == []
    assert sweep.states == [RecordState.ASKED, RecordState.CLOSED]
    assert sweep.outcomes("--yes", code=3) == ["lost"]


def test_a_record_of_another_account_fails_and_the_others_continue(sweep: Sweep) -> None:
    sweep.leave_agent("foreign", app_key="another-key")
    sweep.leave_agent("orphan")
    with Journal(sweep.journal) as journal:
        before = journal.records()[0]
    report = sweep.report("--yes", code=1)
    with Journal(sweep.journal) as journal:
        assert journal.records()[0] == before
    assert [agent["outcome"] for agent in report["agents"]] == ["failed", "closed"]
    assert "RTCAI_APP_KEY is emulator-app-key" in report["agents"][0]["error"]
    assert sweep.rooms == ["foreign"]
    assert sweep.states == [RecordState.OPEN, RecordState.CLOSED]


def test_a_refused_close_fails_and_can_be_swept_again(sweep: Sweep) -> None:
    sweep.leave_agent("orphan")
    assert sweep.outcomes("--yes", code=1, RTCAI_APP_SECRET="wrong") == ["failed"]
    assert (sweep.rooms, sweep.states) == (["orphan"], [RecordState.OPEN])
    assert sweep.outcomes("--yes", code=0) == ["closed"]
    assert (sweep.rooms, sweep.states) == ([], [RecordState.CLOSED])


def test_what_an_interrupted_sweep_left_closing_is_closed_by_the_next(sweep: Sweep) -> None:
    sweep.leave_agent("orphan", state=RecordState.CLOSING)
    assert sweep.outcomes("--yes", code=0) == ["closed"]
    assert (sweep.rooms, sweep.states) == ([], [RecordState.CLOSED])


def test_the_password_of_a_backend_is_not_shown(sweep: Sweep) -> None:
    run = sweep.run("--backend", "https://user:canary@host/path?token=canary", "--stack-name", "acme/test")
    assert "backend: https://host/path, organization acme (--backend)" in run.stderr
    assert "canary" not in run.output


def test_the_room_of_a_lost_create_is_ended_where_that_is_wished_and_named(sweep: Sweep) -> None:
    start_agent(sweep.emulator, "keynote")  # the effect of the lost create, whose answer was never received
    sweep.leave_agent("keynote", of=urn(stack="other"))
    start_agent(sweep.emulator, "elsewhere")
    sweep.lose_create()
    assert sweep.outcomes(code=3) == ["lost"]
    run = sweep.run("--end-room")
    assert run.exit_code == 2
    assert "removes everybody from the room" in run.stdout
    assert " would end, because its room keynote would be ended\n" in run.stderr
    assert sweep.rooms == ["elsewhere", "keynote", "keynote"]
    assert sweep.outcomes("--end-room", "--yes", code=0) == ["room ended"]
    assert sweep.rooms == ["elsewhere"]
    assert sweep.outcomes("--end-room", "--yes", code=0) == []


def test_a_room_that_is_gone_already_is_as_good_as_ended(sweep: Sweep) -> None:
    sweep.lose_create()
    assert sweep.outcomes("--end-room", "--yes", code=0) == ["room ended"]
    assert sweep.states == []


def test_a_sweep_that_is_interrupted_in_the_middle_can_be_run_again(sweep: Sweep) -> None:
    for number in range(20):
        sweep.leave_agent(f"orphan-{number:02}")
    with sweep.emulator.hold("close", at="arrived", times=None) as hold:
        process = sweep.start("--stack-export", sweep.state(), "--yes")
        hold.wait(count=8)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert any(line.startswith("interrupted: nothing further is closed") for line in process.stderr)
        hold.release()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "rtcai sweep: Interrupted; " in errors
    assert len(sweep.rooms) == 12
    assert set(sweep.outcomes("--yes", code=0)) == {"closed"}
    assert sweep.rooms == []


def test_one_of_stack_and_export_is_needed(sweep: Sweep) -> None:
    run = CliRunner().invoke(app, ["sweep", "--yes"], env=sweep.environment)
    assert run.exit_code == 2
    assert "give one of --stack and --stack-export" in " ".join(run.stderr.split())
