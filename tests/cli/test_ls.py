import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from rtcai_pulumi.cli.app import app
from rtcai_pulumi.config.end_time import normalize_end_time
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import KeepReason, RecordState
from rtcai_pulumi.journal.storage import Statement
from rtcai_pulumi.stack.owner import owner_prefix
from tests.cli.journals import BACKEND, PREFIX, export, note, resource, urn, write
from tests.cli.test_main import rtcai

TEXT: Any = {"type": ["string", "null"]}
AGENT: Any = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(
            ("cname", "project", "stack", "owner", "requestId", "traceId", "appKey", "endpoint", "origin"), TEXT
        ),
        "cid": {"type": ["string", "null"], "pattern": "^[0-9]+$"},
        "taskId": TEXT,
        "state": {"enum": ["asked", "lost", "open", "closing", "closed", None]},
        "mark": {"enum": ["in state", "unclaimed", "retained", "refused", "only in state", None]},
        "urn": {"type": "string", "pattern": "^urn:pulumi:"},
        "resource": {"type": "string"},
        "began": {"type": ["string", "null"], "pattern": "Z$"},
        "since": {"type": ["string", "null"], "pattern": "Z$"},
        "uptime": {"type": ["number", "null"], "minimum": 0},
        "endsAt": {"type": ["string", "null"], "pattern": "Z$"},
        "processLives": {"type": ["boolean", "null"]},
    },
}
AGENT["required"] = list(AGENT["properties"])
LIST = Draft202012Validator({"type": "array", "items": AGENT})


def ls(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
    return CliRunner().invoke(
        app, ["ls", *arguments], input=stdin, env={"PULUMI_BACKEND_URL": BACKEND, "RTCAI_JOURNAL": None, **environment}
    )


def list_agents(*arguments: str, **environment: str) -> list[dict[str, Any]]:
    run = ls(*arguments, "--json", **environment)
    assert run.exit_code == 0, run.output
    agents: list[dict[str, Any]] = json.loads(run.stdout)
    LIST.validate(agents)
    return agents


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_without_a_journal_it_says_so_and_makes_none(path: Path) -> None:
    run = ls("--json", RTCAI_JOURNAL=str(path))
    assert (run.exit_code, run.stdout) == (0, "[]\n")
    assert run.stderr == f"The journal {path} does not exist: no agent has been started with it.\n"
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"no journal at all, but long enough for the first page of one" * 100, b"SQLite"])
def test_a_corrupt_journal_is_one_clear_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    run = ls("--journal", str(path))
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr.startswith(f"rtcai ls: The journal {path} cannot be used: ")
    assert "Traceback" not in run.stderr


def test_a_record_that_no_release_has_written_is_one_clear_error(path: Path) -> None:
    with Journal(path) as journal:
        note(journal, "1/a")
        journal._storage.write(Statement("UPDATE records SET state = 'odd'"))
    run = ls("--journal", str(path))
    assert run.exit_code == 1
    assert run.stderr.startswith(f"rtcai ls: The journal {path} cannot be used: ")


def test_it_lists_what_is_unfinished_and_with_all_also_what_is_closed(path: Path) -> None:
    with Journal(path) as journal:
        for state in (RecordState.OPEN, RecordState.CLOSING, RecordState.CLOSED):
            note(journal, f"1/{state}", state=state)
        note(journal, None)
    states = [agent["state"] for agent in list_agents(RTCAI_JOURNAL=str(path))]
    assert states == ["open", "closing", "lost"]
    assert [agent["state"] for agent in list_agents("--all", RTCAI_JOURNAL=str(path))] == [
        "open",
        "closing",
        "closed",
        "lost",
    ]


def test_a_create_whose_process_lives_is_not_lost(path: Path) -> None:
    with Journal(path) as journal:
        note(journal, None)
        # A process does not see its own lock, so the command runs in another process.
        run = rtcai("ls", "--journal", str(path), "--json")
    (agent,) = json.loads(run.stdout)
    assert (agent["state"], agent["processLives"]) == ("asked", True)
    (agent,) = list_agents("--journal", str(path))
    assert (agent["state"], agent["processLives"]) == ("lost", False)


def test_the_table_shows_short_names_and_whole_tasks(path: Path) -> None:
    with Journal(path) as journal:
        note(journal, f"123456789012345/{'f' * 40}", cname="主会场 [red]\x1b[31m")
    run = ls("--journal", str(path))
    assert run.exit_code == 0
    head, line = run.stdout.splitlines()
    assert head.split() == [
        "room",
        "task",
        "state",
        "resource",
        "stack",
        "since",
        "uptime",
        "process",
        "origin",
        "mark",
    ]
    assert f" 123456789012345/{'f' * 40} " in line
    assert line.startswith("主会场 [red]\\x1b[31m ")
    assert line.split()[4:6] == ["host", "rooms/test"]
    assert "urn:pulumi" not in line
    assert "\x1b" not in run.stdout


def in_hours(hours: float) -> str:
    """A time from now, as the journal stores it; half a minute later, because the test takes time."""
    return str(normalize_end_time(datetime.now(UTC) + timedelta(hours=hours, seconds=30)))


def test_the_end_of_an_agent_is_shown_from_now_and_those_that_are_over_are_filtered(path: Path) -> None:
    with Journal(path) as journal:
        note(journal, "1/a", cname="later", ends_at=in_hours(2))
        note(journal, "2/b", cname="over", ends_at=in_hours(-3))
        note(journal, "3/c", cname="stopped", ends_at=in_hours(-3), state=RecordState.CLOSED)
        note(journal, "4/d", cname="endless")
        note(journal, "5/e", cname="refused", ends_at=in_hours(-3), kept=KeepReason.REFUSED)
    head, *lines = ls("--journal", str(path), "--all").stdout.splitlines()
    assert head.split()[6:9] == ["uptime", "end", "process"]
    said = {line.split()[0]: line for line in lines}
    assert " ends in 2 h " in said["later"]
    assert " over for 2 h 59 min " in said["over"]
    assert not any("over for" in said[room] or "ends in" in said[room] for room in ("stopped", "endless"))
    agents = {agent["cname"]: agent["endsAt"] for agent in list_agents("--journal", str(path))}
    assert agents["endless"] is None
    assert agents["over"].endswith("Z")
    assert [agent["cname"] for agent in list_agents("--journal", str(path), "--over")] == ["over"]
    assert len(list_agents("--journal", str(path), "--over", "--all")) == 1


def test_the_end_of_an_agent_that_only_the_state_knows_is_shown(path: Path, tmp_path: Path) -> None:
    over = resource("1/a")
    over["outputs"]["endsAt"] = in_hours(-1)
    state = export(tmp_path / "state.json", [over, resource("2/b", urn("other"))])
    Journal(path).close()
    found = list_agents("--journal", str(path), "--stack-export", state, "--over")
    assert [agent["taskId"] for agent in found] == ["a"]


def test_show_names_the_end_and_how_far_away_it_is(path: Path) -> None:
    with Journal(path) as journal:
        end = note(journal, "1/a", ends_at=in_hours(-3)).ends_at
    run = CliRunner().invoke(app, ["show", "1/a", "--journal", str(path)])
    assert f"end:          {end} - over for 2 h 59 min" in run.stdout


def test_the_table_names_a_create_without_an_answer_by_what_forget_takes(path: Path) -> None:
    with Journal(path) as journal:
        trace = note(journal, None).trace_id
    run = ls("--journal", str(path))
    assert f" trace {trace} " in run.stdout.splitlines()[1]
    assert CliRunner().invoke(app, ["forget", trace, "--journal", str(path), "--yes"]).exit_code == 0


def test_an_export_marks_what_the_state_has_lacks_and_alone_knows(path: Path, tmp_path: Path) -> None:
    with Journal(path) as journal:
        note(journal, "1/kept")
        note(journal, "1/moved", of=urn("moved"))
        note(journal, "1/left")
        note(journal, "1/deleting")
        note(journal, "1/other", of=urn(stack="other"))
        note(journal, "1/backend", prefix=owner_prefix({"PULUMI_BACKEND_URL": "file:///other"}, None))
    state = [resource("1/kept"), resource("1/deleting", delete=True), resource("2/foreign", urn("foreign"))]
    other = export(tmp_path / "other.json", [resource("1/moved", urn(stack="other"))], stack="other")
    file = export(tmp_path / "state.json", state)
    agents = list_agents("--journal", str(path), "--stack-export", file, "--other-export", other)
    assert {agent["taskId"]: agent["mark"] for agent in agents} == {
        "kept": "in state",
        "moved": None,
        "left": "unclaimed",
        "deleting": "in state",
        "other": None,
        "backend": None,
        "foreign": "only in state",
    }
    text = ls("--journal", str(path), "--stack-export", "-", stdin=Path(file).read_text())
    assert text.exit_code == 0
    assert "unclaimed" in next(line for line in text.stdout.splitlines() if "1/left" in line)


def test_a_secret_room_of_the_state_is_not_shown(path: Path, tmp_path: Path) -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"canary"'}
    file = export(tmp_path / "state.json", [resource("2/a", outputs={"cname": secret})])
    run = ls("--stack-export", file, RTCAI_JOURNAL=str(path))
    assert "(secret)" in run.stdout
    assert "canary" not in run.output


BAD_EXPORTS: dict[str, tuple[Any, str]] = {
    "no object": ([], '"deployment"'),
    "no deployment": ({"version": 3}, '"deployment"'),
    "resources": ({"deployment": {"resources": {}}}, '"resources"'),
    "no URN": ({"deployment": {"resources": [{"urn": "host"}]}}, "without a URN"),
    "pending": ({"deployment": {"pending_operations": [{}]}}, '"pending_operations"'),
    "empty": ({"deployment": {}}, "--stack-name and --project-name"),
    "several": ({"deployment": {"resources": [{"urn": urn()}, {"urn": urn(stack="b")}]}}, "rooms/b, rooms/test"),
}


@pytest.mark.parametrize("kind", list(BAD_EXPORTS))
@pytest.mark.parametrize("command", ["ls", "sweep"])
def test_what_is_no_export_is_refused(path: Path, tmp_path: Path, command: str, kind: str) -> None:
    content, words = BAD_EXPORTS[kind]
    file = write(tmp_path / "state.json", content)
    run = CliRunner().invoke(app, [command, "--stack-export", file], env={"RTCAI_JOURNAL": str(path)})
    assert (run.exit_code, run.stdout) == (1, "")
    assert words in run.stderr
    assert f"rtcai {command}: The stack's export ({file}) cannot be used: " in run.stderr


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", None])
def test_an_export_that_cannot_be_read_is_refused(path: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "state.json"
    if content is not None:
        file.write_bytes(content)
    run = ls("--journal", str(path), "--stack-export", str(file))
    assert (run.exit_code, run.stdout) == (1, "")
    assert "cannot be used" in run.stderr


def test_the_backend_is_the_option_s_the_environment_s_or_the_login_s(path: Path, tmp_path: Path) -> None:
    with Journal(path) as journal:
        note(journal, "1/left")
    file = export(tmp_path / "state.json")
    home = tmp_path / "pulumi"
    home.mkdir()
    write(home / "credentials.json", {"current": BACKEND})

    def mark(*arguments: str, **environment: str) -> Any:
        (agent,) = list_agents("--journal", str(path), "--stack-export", file, *arguments, **environment)
        return agent["mark"]

    assert owner_prefix({"PULUMI_BACKEND_URL": "file:///other"}, None) != PREFIX
    assert mark() == "unclaimed"
    assert mark("--backend", "file:///other") is None
    assert mark("--backend", BACKEND, PULUMI_BACKEND_URL="file:///other") == "unclaimed"
    assert mark(PULUMI_BACKEND_URL="", PULUMI_HOME=str(home)) == "unclaimed"
    assert mark(PULUMI_BACKEND_URL="", PULUMI_HOME=str(tmp_path)) is None
    elsewhere = {"PULUMI_HOME": str(tmp_path), "PULUMI_CREDENTIALS_PATH": str(home)}
    assert mark(PULUMI_BACKEND_URL="", **elsewhere) == "unclaimed"
