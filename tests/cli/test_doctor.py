"""``rtcai doctor`` finds each planted fault, and names it."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import KeepReason, RecordState
from rtcai_pulumi.journal.storage import Statement
from rtcai_pulumi.maintenance import health
from rtcai_pulumi.maintenance.finding import Finding, Verdict, report_pass
from rtcai_pulumi.stack import OLDEST_CLI
from tests.cli.journals import note
from tests.cli.service import Service
from tests.cli.test_ls import in_hours
from tests.engine.stack import search_path

CHECKS = [
    *("platform", "credentials", "proxy", "certificates", "endpoint", "clock", "signature", "room API"),
    *("Pulumi CLI", "plugin", "journal location", "journal"),
]
FINDINGS: Any = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["check", "verdict", "detail", "advice"],
        "properties": {
            "check": {"enum": CHECKS},
            "verdict": {"enum": ["passed", "failed", "not checked"]},
            "detail": {"type": "string", "minLength": 1},
            "advice": {"type": ["string", "null"]},
        },
    },
}


def run_doctor(service: Service, *, code: int, **environment: str | None) -> dict[str, dict[str, str]]:
    run = service.run("doctor", "--json", PATH=search_path(), **environment)
    assert run.exit_code == code, run.output
    found = json.loads(run.stdout)
    Draft202012Validator(FINDINGS).validate(found)
    assert [finding["check"] for finding in found] == CHECKS
    assert all(finding["advice"] for finding in found if finding["verdict"] == "failed")
    return {finding["check"]: finding for finding in found}


def find_failures(found: dict[str, dict[str, str]]) -> list[str]:
    return [check for check, finding in found.items() if finding["verdict"] == "failed"]


def test_where_all_is_right_everything_passes_and_nothing_is_started(service: Service) -> None:
    service.leave_agent()
    service.lose_create()
    found = run_doctor(service, code=0)
    assert {finding["verdict"] for finding in found.values()} == {"passed"}
    assert "1 agent, 1 lost create" in found["journal"]["detail"]
    assert service.rooms == ["keynote"]
    assert len(service.records) == 2
    assert found["clock"]["detail"] in {
        f"differs by {time} from the service's clock" for time in ("0 seconds", "1 second")
    }


def test_the_lines_say_what_passed_and_what_to_do(service: Service) -> None:
    run = service.run("doctor", PATH=search_path(), RTCAI_APP_SECRET="wrong")
    assert run.exit_code == 1
    assert "✓ endpoint: passed: " in run.stdout
    assert "✗ signature: failed: " in run.stdout
    assert "    to do: " in run.stdout


def test_without_credentials_the_rest_is_still_checked(service: Service) -> None:
    found = run_doctor(service, code=1, RTCAI_APP_KEY=None, RTCAI_APP_SECRET=None)
    assert find_failures(found) == ["credentials"]
    assert found["signature"]["verdict"] == "not checked"
    assert found["plugin"]["verdict"] == "passed"


def test_a_wrong_secret(service: Service) -> None:
    found = run_doctor(service, code=1, RTCAI_APP_SECRET="wrong")
    assert find_failures(found) == ["signature", "room API"]


def test_a_token_alone_leaves_signature_and_room_api_unchecked(service: Service) -> None:
    found = run_doctor(service, code=0, RTCAI_APP_SECRET=None, RTCAI_TOKEN="token", RTCAI_UID="1")
    assert [found[check]["verdict"] for check in ("signature", "room API")] == ["not checked"] * 2


@pytest.mark.parametrize(("offset", "way"), [(600, "behind"), (-600, "ahead of")])
def test_a_clock_ten_minutes_off(service: Service, offset: float, way: str) -> None:
    service.emulator.clock.offset = offset
    found = run_doctor(service, code=1)
    assert "clock" in find_failures(found)
    assert f"10 minutes {way} the service's" in found["clock"]["detail"]
    assert "signature" in find_failures(found)


def test_an_endpoint_that_does_not_answer(service: Service) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = run_doctor(service, code=1, RTCAI_ENDPOINT=f"http://127.0.0.1:{free.getsockname()[1]}")
    assert find_failures(found) == ["endpoint", "room API"]
    assert found["clock"]["verdict"] == found["signature"]["verdict"] == "not checked"


def test_an_endpoint_that_is_something_else(service: Service) -> None:
    found = run_doctor(service, code=1, RTCAI_ENDPOINT=f"{service.emulator.url}/elsewhere")
    assert find_failures(found) == ["signature", "room API"]
    assert "RTCAI_ENDPOINT" in found["signature"]["advice"]


def test_an_unreachable_room_api(service: Service) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = run_doctor(service, code=1, RTCAI_ROOM_ENDPOINT=f"http://127.0.0.1:{free.getsockname()[1]}")
    assert find_failures(found) == ["room API"]
    assert "RTCAI_ROOM_ENDPOINT" in found["room API"]["advice"]


def test_a_plugin_that_cannot_be_imported(service: Service, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "dill.py").write_text("raise ImportError('no dill here')", encoding="utf-8")
    found = run_doctor(service, code=1, PYTHONPATH=str(broken))
    assert find_failures(found) == ["plugin"]
    assert "no dill here (virtualenv .venv in Pulumi.yaml)" in found["plugin"]["detail"]
    assert found["plugin"]["advice"].count("/bin/python") == 1


def test_no_cli(service: Service) -> None:
    run = service.run("doctor", "--json", PATH="/nowhere")
    assert find_failures({finding["check"]: finding for finding in json.loads(run.stdout)}) == ["Pulumi CLI"]


@pytest.mark.parametrize("version", ["v3.215.9", "v3.190.0-dev.0", "3.9.0", "v2.25.2"])
def test_a_cli_that_is_too_old(tmp_path: Path, version: str) -> None:
    finding = check_cli(tmp_path, version)
    assert finding.verdict is Verdict.FAILED
    assert finding.detail.startswith(f"{version} (")
    assert finding.detail.endswith(f") is older than {OLDEST_CLI}")
    assert finding.advice == f"update the Pulumi CLI to {OLDEST_CLI} or newer"


@pytest.mark.parametrize(
    "version", [f"v{OLDEST_CLI}", "v3.274.1", "v3.300.0-alpha.5", "v10.0.0", "a build of our own", ""]
)
def test_any_other_cli_passes(tmp_path: Path, version: str) -> None:
    assert check_cli(tmp_path, version).verdict is Verdict.PASSED


def test_the_oldest_cli_is_the_one_that_the_readme_requires() -> None:
    row = f"| Pulumi CLI (engine) | {OLDEST_CLI.removesuffix('.0')} or newer |"
    assert row in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def check_cli(folder: Path, version: str) -> Finding:
    """The finding about a `pulumi` that prints this version."""
    pulumi = folder / "pulumi"
    pulumi.write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
    pulumi.chmod(0o755)
    return health._check_cli({"PATH": str(folder)})


def test_a_corrupt_journal(service: Service) -> None:
    service.journal.write_bytes(b"no journal" * 1000)
    assert find_failures(run_doctor(service, code=1)) == ["journal"]


def test_a_journal_that_is_damaged_inside(service: Service) -> None:
    with Journal(service.journal) as journal:
        for number in range(200):
            note(journal, f"1/{number}")
        journal._storage.write(Statement("DELETE FROM records WHERE cid = 2"))
    content = bytearray(service.journal.read_bytes())
    content[4096 * 3 : 4096 * 3 + 200] = b"\xff" * 200
    service.journal.write_bytes(content)
    found = run_doctor(service, code=1)
    assert find_failures(found) == ["journal"]


def test_agents_that_are_over_and_not_stopped_are_a_warning(service: Service) -> None:
    with Journal(service.journal) as journal:
        note(journal, "1/a", cname="hall", ends_at=in_hours(-3))
        note(journal, "2/b", cname="later", ends_at=in_hours(3))
        note(journal, "3/c", ends_at=in_hours(-3), state=RecordState.CLOSED)
        note(journal, "4/d", ends_at=in_hours(-5), kept=KeepReason.REFUSED)
        note(journal, None, ends_at=in_hours(-5))
    finding = run_doctor(service, code=0)["journal"]
    over = "1 agent is over and not stopped (room hall: over for 2 h 59 min)"
    assert f"3 agents, 1 lost create; {over}" in finding["detail"]
    assert "`rtcai sweep --over --all` stops them" in finding["advice"]


def test_a_journal_that_others_can_read(service: Service) -> None:
    service.lose_create()
    service.journal.chmod(0o644)
    found = run_doctor(service, code=1)
    assert find_failures(found) == ["journal"]
    assert f"chmod 600 {service.journal}" in found["journal"]["advice"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ALL_PROXY": "socks5://10.0.0.1:1", "RTCAI_ENDPOINT": "https://example.com"}, ["endpoint"]),
        (
            {"HTTPS_PROXY": "ftp://proxy", "RTCAI_ENDPOINT": "https://example.com"},
            ["proxy", "certificates", "endpoint"],
        ),
        ({"SSL_CERT_FILE": "/nonexistent", "RTCAI_ENDPOINT": "https://example.com"}, ["certificates", "endpoint"]),
        ({"RTCAI_ENDPOINT": "http://exam\u200bple.com"}, ["credentials"]),
        ({"RTCAI_JOURNAL": "relative.db"}, ["journal location", "journal"]),
        ({"RTCAI_JOURNAL": "/proc/journal.db"}, ["journal location"]),
        ({"RTCAI_JOURNAL": "~nobody-of-that-name/journal.db"}, ["journal location", "journal"]),
        ({"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}, []),
    ],
    ids=str,
)
def test_one_fault_of_the_surroundings_fails_its_own_checks_and_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: list[str]
) -> None:
    # Two processes that take most of the time, and on which the surroundings have no effect.
    monkeypatch.setattr(health, "_run_command", lambda check, *_, **__: report_pass(check, "not asked here"))
    found = run_doctor(service, code=int(bool(expected)), **environment)
    assert set(find_failures(found)) - {"signature", "room API"} == set(expected) - {"signature", "room API"}
    assert found["plugin"]["verdict"] == "passed"
    assert "Traceback" not in json.dumps(found)


def test_a_defect_of_one_check_hides_no_other(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        message = "no such platform"
        raise LookupError(message)

    monkeypatch.setattr(health, "_check_platform", fails)
    found = run_doctor(service, code=1)
    assert find_failures(found) == ["platform"]
    assert found["platform"]["detail"] == "the check itself failed: LookupError: no such platform"


def test_an_entry_of_no_proxy_that_is_not_understood_is_named(service: Service) -> None:
    found = run_doctor(
        service,
        code=1,
        NO_PROXY="10.0.0.0/99",
        HTTPS_PROXY="http://127.0.0.1:1",
        RTCAI_ROOM_ENDPOINT="https://e.invalid",
    )
    assert "NO_PROXY contains '10.0.0.0/99', which is neither a host nor a network" in found["proxy"]["detail"]


PROJECT = "name: rooms\nruntime: {{name: python, options: {{{options}}}}}\n{more}"


@pytest.mark.parametrize(
    ("options", "more", "said", "advice"),
    [
        (
            "virtualenv: venv",
            "",
            "no Python was found (virtualenv venv in Pulumi.yaml)",
            "create this virtual environment, or correct runtime.options.virtualenv in Pulumi.yaml",
        ),
        ("toolchain: uv", "", "no Python was found (toolchain uv in Pulumi.yaml)", "run `uv sync` in "),
        (
            "toolchain: poetry",
            "",
            "no Python was found (toolchain poetry in Pulumi.yaml)",
            "install Poetry, and run `poetry install` in ",
        ),
        (
            "virtualenv: good",
            "main: src\n",
            "virtualenv good is a relative path: the program finds it next to Pulumi.yaml",
            "set an absolute path for the virtualenv",
        ),
    ],
)
def test_a_python_that_the_plugin_cannot_find_is_reported(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, more: str, said: str, advice: str
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "good").symlink_to(Path(sys.executable).parents[1])
    (tmp_path / "Pulumi.yaml").write_text(PROJECT.format(options=options, more=more), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = run_doctor(service, code=1)
    assert find_failures(found) == ["plugin"]
    assert said in found["plugin"]["detail"]
    assert found["plugin"]["advice"].startswith(advice)


def test_no_python_on_path_is_told_and_what_to_set(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: rooms\nruntime: python\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = {each["check"]: each for each in json.loads(service.run("doctor", "--json", PATH="/nowhere").stdout)}
    assert (found["plugin"]["verdict"], found["plugin"]["detail"]) == ("failed", "no Python on PATH")
    assert found["plugin"]["advice"] == "install Python, or set runtime.options.virtualenv in Pulumi.yaml"


@pytest.mark.parametrize("options", ["virtualenv: good", "toolchain: uv", ""])
def test_the_python_that_the_project_names_is_reported(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(PROJECT.format(options=options, more=""), encoding="utf-8")
    (tmp_path / ("good" if "good" in options else ".venv")).symlink_to(Path(sys.executable).parents[1])
    monkeypatch.chdir(tmp_path / "sub")  # also from a folder of the project
    found = run_doctor(service, code=0)
    assert ("in Pulumi.yaml" in found["plugin"]["detail"]) is bool(options)
    assert ("which an old language host ignores)" in found["plugin"]["detail"]) is ("toolchain" in options)
