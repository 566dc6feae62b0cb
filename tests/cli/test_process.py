"""The real process of ``rtcai``: locales, closed and full outputs, arguments that cannot be decoded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.service import Service

RTCAI = str(Path(sys.executable).with_name("rtcai"))
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(service: Service, *arguments: str | bytes, shell: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
    """A command with an output that the shell redirects."""
    emulator = service.emulator
    environment = {
        "PATH": os.environ["PATH"],
        "RTCAI_JOURNAL": str(service.journal),
        **emulator.environment,
        **env,
    }
    command: list[str | bytes] = [RTCAI, *arguments]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False
    )


@pytest.mark.parametrize("env", [ASCII, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}], ids=["locale", "encoding"])
def test_rooms_are_listed_and_ended_where_the_locale_knows_ascii_alone(service: Service, env: dict[str, str]) -> None:
    service.leave_agent(cname="主会场")
    listed = run(service, "ls", **env)
    assert (listed.returncode, "Traceback" in listed.stderr) == (0, False)
    assert "\\u4e3b\\u4f1a\\u573a" in listed.stdout
    assert run(service, "token", "主会场", "1", **env).returncode == 0
    ended = run(service, "end-room", "主会场", "--yes", **env)
    assert ended.returncode == 0, ended.stderr
    assert service.rooms == []


@pytest.mark.parametrize("command", [["ls"], ["ls", "--json"], ["schema"], ["doctor", "--json"]], ids=" ".join)
def test_a_full_output_is_one_sentence(service: Service, command: list[str]) -> None:
    service.leave_agent()
    done = run(service, *command, shell=">/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "rtcai: the output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_end_nothing(service: Service, closed: str) -> None:
    service.leave_agent()
    done = run(service, "ls", shell=closed)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["forget", "end-room", "show", "release"])
def test_an_argument_that_is_no_utf_8_is_named_as_such(service: Service, command: str) -> None:
    done = run(service, command, b"\xff")
    assert done.returncode == 1
    assert done.stderr == "rtcai: an argument is not valid UTF-8: '\\udcff'; write it in UTF-8\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "--journal", ""],
        ["ls", "--stack", ""],
        ["sweep", "--stack", "", "--yes"],
        ["sweep", "--stack", "dev", "--backend", "", "--yes"],
        ["end-room", "", "--yes"],
        ["end-room", "é" * 33, "--yes"],
        ["close", "1/2", "--cname", "", "--yes"],
    ],
    ids=" ".join,
)
def test_what_an_unset_variable_leaves_empty_is_wrong_usage(service: Service, arguments: list[str]) -> None:
    done = service.run(*arguments)
    assert done.exit_code == 2, done.output
    assert service.emulator.requests() == []


@pytest.mark.parametrize("command", [["ls"], ["show", "1/a"], ["sweep", "--stack", "dev"]], ids=" ".join)
def test_a_journal_that_is_named_must_be_there(service: Service, command: list[str], tmp_path: Path) -> None:
    done = service.run(*command, "--journal", str(tmp_path / "typo.db"))
    assert done.exit_code == 1
    assert f"The journal {tmp_path / 'typo.db'} does not exist." in done.stderr
