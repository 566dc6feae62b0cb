"""The browser of `make test`: found, installed, or a message about how to install it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tools import chromium


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The only folder on PATH."""
    return tmp_path


def program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def ended(folder: Path, *, is_root: bool = True, installs: bool = False, **environ: str) -> tuple[int, list[str]]:
    """Exit code, and the commands that were run."""
    commands: list[str] = []

    def run(command: Sequence[str], _: Mapping[str, str]) -> None:
        commands.append(" ".join(command))
        if installs and "install" in command:
            program(folder, "chromium")

    return chromium.main({"PATH": str(folder), **environ}, is_root=is_root, run=run), commands


@pytest.mark.parametrize("name", chromium.NAMES)
def test_one_that_is_there_is_used(folder: Path, name: str) -> None:
    assert chromium.find_chromium({"PATH": str(folder)}) is None
    path = program(folder, name)
    assert chromium.find_chromium({"PATH": str(folder)}) == path
    assert ended(folder) == (0, [])


def test_debian_s_own_goes_before_the_others_and_the_named_one_before_all(folder: Path) -> None:
    for name in reversed(chromium.NAMES):
        program(folder, name)
    named = program(folder, "other")
    assert chromium.find_chromium({"PATH": str(folder)}) == str(folder / "chromium")
    assert chromium.find_chromium({"PATH": str(folder), "RTCAI_CHROMIUM": named}) == named


def test_root_installs_debian_s_package(folder: Path) -> None:
    program(folder, "apt-get")
    code, commands = ended(folder, installs=True)
    assert code == 0
    assert [command.split()[1] for command in commands] == ["update", "install"]
    assert " chromium" in commands[-1]


@pytest.mark.parametrize("is_root", [True, False])
def test_where_it_may_not_be_installed_it_says_how_and_goes_on(
    folder: Path, is_root: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if not is_root:
        program(folder, "apt-get")
    assert ended(folder, is_root=is_root) == (0, [])
    said = capsys.readouterr().err
    assert "apt install chromium" in said
    assert "RTCAI_CHROMIUM=" in said


@pytest.mark.parametrize("apt", [True, False])
def test_in_ci_its_absence_fails(folder: Path, apt: bool) -> None:
    if apt:
        program(folder, "apt-get")
    assert ended(folder, CI="true")[0] == 1


def test_a_named_one_that_is_not_there_is_not_made_up_for(folder: Path) -> None:
    program(folder, "apt-get")
    program(folder, "chromium")
    assert ended(folder, RTCAI_CHROMIUM=str(folder / "missing"), CI="true") == (1, [])
