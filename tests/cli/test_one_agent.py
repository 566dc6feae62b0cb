"""``rtcai show``, ``close``, ``release`` and ``forget``: commands about one agent."""

import json
import os
import socket
import subprocess
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import RecordState
from tests.cli.journals import export, note, start_agent
from tests.cli.service import Service
from tests.cli.test_ls import AGENT, TEXT
from tests.cli.test_main import RTCAI
from tests.engine.service import calls

AGENT_DETAILS = {**AGENT, "properties": {**AGENT["properties"], "roomError": TEXT}}
AGENT_DETAILS["properties"]["room"] = {"enum": ["open", "gone", "another one now", "not asked"]}
AGENT_DETAILS["required"] = list(AGENT_DETAILS["properties"])
CLOSE_RESULT: Any = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cname", "cid", "taskId", "outcome"],
    "properties": {
        "cname": {"type": "string"},
        "cid": {"type": "string", "pattern": "^[0-9]+$"},
        "taskId": {"type": "string"},
        "outcome": {"enum": ["closed", "was closed", "not confirmed"]},
    },
}
ALL = [["show"], ["close"], ["release"], ["forget"]]
ACTING = [["close"], ["release"], ["forget"]]


def show_agent(service: Service, named: str, **environment: str | None) -> dict[str, Any]:
    run = service.run("show", named, "--json", **environment)
    assert run.exit_code == 0, run.output
    agent: dict[str, Any] = json.loads(run.stdout)
    Draft202012Validator(AGENT_DETAILS).validate(agent)
    return agent


def close_agent(service: Service, *arguments: str, code: int = 0) -> str:
    run = service.run("close", *arguments, "--json")
    assert run.exit_code == code, run.output
    outcome: dict[str, str] = json.loads(run.stdout)
    Draft202012Validator(CLOSE_RESULT).validate(outcome)
    return outcome["outcome"]


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_an_unknown_agent_is_one_clear_error(service: Service, command: list[str]) -> None:
    for journal in ("none yet", "there"):
        run = service.run(*command, "1/unknown")
        assert run.exit_code == 1, journal
        assert "1/unknown" in run.stderr or " does not exist." in run.stderr
        assert service.journal.exists() == (journal == "there")
        assert "to do: " in run.stderr
        service.lose_create()


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_a_corrupt_journal_is_one_clear_error(service: Service, command: list[str]) -> None:
    service.journal.write_bytes(b"no journal" * 1000)
    run = service.run(*command, "1/a")
    assert run.exit_code == 1
    assert f"The journal {service.journal} cannot be used" in run.stderr


@pytest.mark.parametrize("command", [["close"], ["release"]], ids=" ".join)
@pytest.mark.parametrize("task", ["keynote", "1", "/a", "x/a", "1/", "0/a", f"{2**63}/a", f"{10**20}/a"])
def test_what_is_no_task_is_wrong_usage(service: Service, command: list[str], task: str) -> None:
    run = service.run(*command, task)
    assert run.exit_code == 2
    assert "is not a task" in " ".join(run.stderr.split())


@pytest.mark.parametrize("command", ACTING, ids=" ".join)
def test_nothing_is_done_without_confirmation(service: Service, command: list[str]) -> None:
    named = service.lose_create() if command == ["forget"] else service.leave_agent()
    before = service.records
    run = service.run(*command, named)
    assert run.exit_code == 2
    assert "add --yes" in run.stderr
    assert service.records == before
    assert service.rooms == ([] if command == ["forget"] else ["keynote"])


@pytest.mark.parametrize("command", ACTING, ids=" ".join)
def test_what_a_living_run_works_on_is_left_alone(service: Service, command: list[str]) -> None:
    task = start_agent(service.emulator, "keynote")
    with Journal(service.journal) as journal:
        record = note(journal, None if command == ["forget"] else task, url=service.emulator.url)
        # A process does not see its own lock, so the command runs in another process.
        environment = {**os.environ, **{key: value for key, value in service.environment.items() if value}}
        named = record.task or record.trace_id
        arguments = [RTCAI, *command, named, "--yes"]
        run = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 1, run.stderr
    assert "Another run is in progress and works on this agent." in run.stderr
    assert (service.rooms, len(service.records)) == (["keynote"], 1)


def test_show_tells_everything_about_an_agent(service: Service) -> None:
    task = service.leave_agent()
    agent = show_agent(service, task)
    assert (agent["cname"], agent["state"], agent["room"]) == ("keynote", "open", "open")
    text = service.run("show", task).stdout
    for known in (task, "keynote", agent["urn"], agent["traceId"], agent["requestId"], service.emulator.url):
        assert known in text


def test_show_tells_whether_the_room_is_there_still(service: Service) -> None:
    task = service.leave_agent()
    service.emulator.end_room("keynote")
    assert show_agent(service, task)["room"] == "gone"
    service.emulator.open_room("keynote")
    assert show_agent(service, task)["room"] == "another one now"
    assert "room status:  replaced by a room with another number\n" in service.run("show", task).stdout


def test_show_without_credentials_says_that_the_room_was_not_asked(service: Service) -> None:
    agent = show_agent(service, service.leave_agent(), RTCAI_APP_SECRET=None)
    assert agent["room"] == "not asked"
    assert "RTCAI_APP_SECRET" in str(agent["roomError"])
    assert "room status:  not checked (" in service.run("show", service.leave_agent(), RTCAI_APP_SECRET=None).stdout


def test_show_finds_a_lost_create_by_its_trace_id(service: Service) -> None:
    assert show_agent(service, service.lose_create())["state"] == "lost"


def test_close_stops_an_agent_and_says_so(service: Service) -> None:
    task, _ = service.leave_agent(), service.leave_agent("other")
    run = service.run("close", task, "--yes")
    assert (run.exit_code, run.stdout) == (0, f"Task {task} in room keynote: closed.\n")
    assert "it was started for urn:pulumi:" in run.stderr
    assert service.rooms == ["other"]
    assert service.records[0].state is RecordState.CLOSED
    assert close_agent(service, task, "--yes") == "was closed"
    assert service.run("close", task).stdout == f"Task {task} in room keynote: already closed.\n"


def test_close_of_a_task_that_the_journal_does_not_know_takes_its_room(service: Service) -> None:
    task = start_agent(service.emulator, "by hand")
    assert service.run("close", task, "--yes").exit_code == 1
    assert service.rooms == ["by hand"]
    assert close_agent(service, task, "--cname", "by hand", "--yes") == "closed"
    assert service.rooms == []
    (record,) = service.records
    assert (record.task, record.state) == (task, RecordState.CLOSED)


def test_close_of_an_unknown_task_in_a_room_that_is_not_its_own_says_so_and_sends_nothing(service: Service) -> None:
    task = start_agent(service.emulator, "by hand")
    start_agent(service.emulator, "other")
    for cname, words in (("misspelt", "room misspelt does not exist"), ("other", "room other has the number ")):
        run = service.run("close", task, "--cname", cname, "--yes")
        assert (run.exit_code, run.stdout) == (1, "")
        assert f"Nothing was closed: {words}" in run.stderr
    assert (service.rooms, service.records) == (["by hand", "other"], [])
    assert "close" not in calls(service.emulator)


def test_close_of_an_unknown_task_that_is_gone_from_its_room_is_as_good(service: Service) -> None:
    cid, _, _ = start_agent(service.emulator, "by hand").partition("/")
    assert close_agent(service, f"{cid}/gone", "--cname", "by hand", "--yes") == "closed"
    assert service.rooms == ["by hand"]


@pytest.mark.parametrize("refusal", [{"code": 404, "errmsg": "room does not exist"}, {"code": 402, "errmsg": "token"}])
def test_a_refusal_stays_one_where_the_room_of_an_unknown_task_cannot_be_asked(
    service: Service, refusal: dict[str, Any]
) -> None:
    task = start_agent(service.emulator, "by hand")
    service.emulator.fault("close", "answer", **refusal)
    client = {"RTCAI_APP_SECRET": None, "RTCAI_TOKEN": "token", "RTCAI_UID": "1"}
    run = service.run("close", task, "--cname", "misspelt", "--yes", **client)
    assert (run.exit_code, run.stdout) == (1, "")
    assert (service.rooms, service.records) == (["by hand"], [])


def test_a_close_of_an_unknown_task_that_was_never_sent_leaves_nothing_in_the_journal(service: Service) -> None:
    """Otherwise the task could not be adopted any more, and would count as being closed."""
    unreachable = {"RTCAI_ENDPOINT": "http://127.0.0.1:1"}
    client = {"RTCAI_APP_SECRET": None, "RTCAI_TOKEN": "token", "RTCAI_UID": "1"}
    run = service.run("close", "7/by-hand", "--cname", "keynote", "--yes", **client, **unreachable)
    assert run.exit_code == 1
    assert "nothing was sent" in run.stderr
    assert service.records == []


def test_close_of_an_agent_that_another_run_has_just_taken_over_does_not_claim_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = service.leave_agent()
    monkeypatch.setattr(Journal, "take_over", lambda *_: None)
    run = service.run("close", task, "--yes")
    assert (run.exit_code, run.stdout) == (1, "")
    assert "Another run has just started to work on this agent; nothing was sent." in run.stderr
    assert service.rooms == ["keynote"]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RTCAI_APP_SECRET": None}, "RTCAI_APP_SECRET"),
        ({"RTCAI_APP_SECRET": "wrong"}, "it does not accept the signature"),
        ({"RTCAI_APP_KEY": "another"}, "The settings belong to another account"),
    ],
)
def test_a_close_that_fails_says_why_and_the_agent_stays_known(
    service: Service, environment: dict[str, str | None], message: str
) -> None:
    task = service.leave_agent()
    run = service.run("close", task, "--yes", **environment)
    assert run.exit_code == 1
    assert message in run.stderr
    assert (service.rooms, service.records[0].state) == (["keynote"], RecordState.OPEN)


@pytest.mark.parametrize(
    "environment",
    [
        {"RTCAI_APP_KEY": None, "RTCAI_APP_SECRET": None},
        {"RTCAI_APP_KEY": "another"},
        {"RTCAI_ENDPOINT": "nowhere"},
        {"RTCAI_TIMEOUT": "soon"},
        {"RTCAI_ENDPOINT": "http://127.0.0.1:1"},
        {"RTCAI_ROOM_ENDPOINT": "http://127.0.0.1:1"},
    ],
)
def test_no_command_advises_a_stack_s_config_which_it_does_not_read(
    service: Service, environment: dict[str, str | None]
) -> None:
    task = service.leave_agent()
    export(service.journal.with_name("state.json"))
    sweep = ["sweep", "--stack-export", str(service.journal.with_name("state.json")), "--yes"]
    unknown = ["close", "1/a", "--cname", "keynote", "--yes"]
    token = ["token", "keynote", "1"]
    for command in (["show", task], unknown, ["close", task, "--yes"], sweep, ["doctor"], token):
        output = service.run(*command, PATH="/nowhere", **environment).output
        assert "config rtcai:" not in output, command
        assert "pulumi config" not in output, command


def test_a_close_while_the_service_is_down_says_so_and_the_agent_stays_known(service: Service) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        unused = f"http://127.0.0.1:{free.getsockname()[1]}"
        with Journal(service.journal) as journal:
            note(journal, "1/a", url=unused)
        run = service.run("close", "1/a", "--yes", RTCAI_ENDPOINT=unused)
    assert run.exit_code == 1
    assert f"Could not connect to {unused}" in run.stderr
    assert service.records[0].is_unfinished


def test_a_released_agent_keeps_running_and_is_not_swept(service: Service) -> None:
    task = service.leave_agent()
    run = service.run("release", task, "--yes")
    assert run.exit_code == 0, run.output
    assert "is released: it keeps running" in run.stdout
    assert (service.rooms, service.records) == (["keynote"], [])
    assert service.run("release", task, "--yes").exit_code == 1


def test_a_forgotten_create_is_asked_for_no_more(service: Service) -> None:
    trace, task = service.lose_create(), service.leave_agent()
    run = service.run("forget", trace, "--yes")
    assert run.exit_code == 0, run.output
    assert [record.task for record in service.records] == [task]
    answered = service.records[0].trace_id
    run = service.run("forget", answered, "--yes")
    assert run.exit_code == 1
    assert f"This request got a response: it started task {task}.\n" in run.stderr
    assert "`rtcai close` stops the task" in run.stderr
    service.run("close", task, "--yes")
    run = service.run("forget", answered, "--yes")
    assert (run.exit_code, "`rtcai close`" in run.stderr) == (1, False)
    assert f"it started task {task}, which is closed." in run.stderr


def test_a_request_that_was_never_sent_is_not_forgotten_and_no_close_is_advised(service: Service) -> None:
    with Journal(service.journal) as journal:
        record = note(journal, None)
        journal.record_unsent(record)
    run = service.run("forget", record.trace_id, "--yes")
    assert run.exit_code == 1
    assert run.stderr == "rtcai forget: This request was never sent; there is nothing to forget.\n"
    assert len(service.records) == 1


def test_a_journal_without_write_access_says_what_to_do(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    task = service.leave_agent()
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # root may write everything
    run = service.run("show", task)
    assert run.exit_code == 1
    assert "no permission to write" in run.stderr
    assert "to do: give this user write access to the file and its folder, or name another journal" in run.stderr
