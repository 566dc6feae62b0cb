import os
import subprocess
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cli.without import run_without

RTCAI = str(Path(sys.executable).with_name("rtcai"))
MAIN = "from rtcai_pulumi.cli import main; main()"


def rtcai(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([RTCAI, *arguments], capture_output=True, text=True, check=False, timeout=60, env=env)


def test_version_is_that_of_the_installed_package() -> None:
    run = rtcai("--version")
    assert (run.returncode, run.stdout) == (0, f"rtcai {version('rtcai-pulumi')}\n")


def test_help_names_the_commands() -> None:
    run = rtcai("--help")
    assert run.returncode == 0
    assert "emulator" in run.stdout


def test_help_fills_the_lines_of_a_terminal_of_any_width() -> None:
    lines = [line.strip() for line in rtcai("close", "--help", COLUMNS="70").stdout.splitlines()]
    first = next(
        number for number, line in enumerate(lines) if line.startswith("If the journal does not know the task")
    )
    paragraph = lines[first : lines.index("", first)]
    assert len(paragraph) > 3
    for line, following in pairwise(paragraph):
        assert len(line) + 1 + len(following.split()[0]) > 68, line


def test_without_arguments_it_shows_its_help() -> None:
    assert "Usage: rtcai" in rtcai().stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    run = rtcai("emulate")
    assert run.returncode == 2
    assert "emulate" in run.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_cli_one_line_names_it(missing: str) -> None:
    run = run_without(missing, MAIN, "--version")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == 'rtcai needs the extra "cli": pip install "rtcai-pulumi[cli]"\n'


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_emulator_one_line_names_it(missing: str) -> None:
    run = run_without(missing, MAIN, "emulator", "--port", "0")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == 'rtcai emulator needs the extra "emulator": pip install "rtcai-pulumi[emulator]"\n'


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_other_commands_need_no_extra_emulator(missing: str) -> None:
    assert run_without(missing, MAIN, "--version").returncode == 0
