"""The programs of `make test` that pip does not install: found, installed, or a message about how to install them."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.programs import CHROMIUM, PGBOUNCER


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; the user is root."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


@pytest.fixture
def commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that are run. An install succeeds if there is an apt-get whose text says so."""
    commands: list[str] = []

    def run(command: Sequence[str], **_: object) -> None:
        commands.append(" ".join(command))
        if "install" in command and "installs" in (folder / "apt-get").read_text():
            program(folder, "chromium")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("name", CHROMIUM.names)
def test_one_that_is_there_is_used(folder: Path, commands: list[str], name: str) -> None:
    assert CHROMIUM.find({"PATH": str(folder)}) is None
    path = program(folder, name)
    assert CHROMIUM.find({"PATH": str(folder)}) == path
    CHROMIUM.provide()
    assert commands == []


def test_debian_s_own_goes_before_the_others_and_the_named_one_before_all(folder: Path) -> None:
    for name in reversed(CHROMIUM.names):
        program(folder, name)
    named = program(folder, "other")
    assert CHROMIUM.find({"PATH": str(folder)}) == str(folder / "chromium")
    assert CHROMIUM.find({"PATH": str(folder), "RTCAI_CHROMIUM": named}) == named


def test_root_installs_debian_s_package(folder: Path, commands: list[str]) -> None:
    program(folder, "apt-get", "installs")
    CHROMIUM.provide()
    assert [command.split()[2] for command in commands] == ["update", "install"]
    assert " chromium" in commands[-1]


@pytest.mark.parametrize("is_root", [True, False])
def test_where_it_may_not_be_installed_it_says_how_and_goes_on(
    folder: Path,
    commands: list[str],
    is_root: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_root:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        program(folder, "apt-get")
    CHROMIUM.provide()
    assert commands == []
    said = capsys.readouterr().err
    assert "apt install chromium" in said
    assert "RTCAI_CHROMIUM=" in said


def test_a_named_one_that_is_not_there_is_not_made_up_for(
    folder: Path, commands: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(folder, "apt-get")
    program(folder, "chromium")
    monkeypatch.setenv("RTCAI_CHROMIUM", str(folder / "missing"))
    CHROMIUM.provide()
    assert commands == []
    assert "apt install chromium" in capsys.readouterr().err


def test_a_program_without_a_variable_of_its_own_is_installed_too(folder: Path, commands: list[str]) -> None:
    program(folder, "apt-get")
    missing = PGBOUNCER._replace(names=("pgbouncer",))
    missing.provide()
    assert commands[-1].endswith(" pgbouncer")
