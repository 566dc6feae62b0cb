"""A long command of the installer: its progress lines, its end."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def progress(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("progress", root / "tools" / "pulumi-cli" / "progress.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "progress", module)
    spec.loader.exec_module(module)
    return module


def test_it_returns_the_code_and_the_last_lines(progress: ModuleType, tmp_path: Path) -> None:
    code = "for i in range(30): print(i)\nraise SystemExit(3)"
    ended = progress.run("x", [sys.executable, "-c", code], cwd=tmp_path, env=os.environ)
    assert (ended.returncode, ended.good) == (3, False)
    assert ended.tail[-1] == "29"
    assert len(ended.tail) == progress.TAIL


def test_it_says_how_long_it_takes_and_ends_it_when_time_is_up(
    progress: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()"
    argv = [sys.executable, "-c", code]
    ended = progress.run("a build", argv, cwd=tmp_path, env=os.environ, seconds=1.5, interval=0.1)
    assert ended.returncode is None
    assert "  a build: 0 s, " in capsys.readouterr().out
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.tail[0]), 0)


def test_minutes_are_told_as_minutes(progress: ModuleType) -> None:
    assert [progress._elapsed(seconds) for seconds in (9.9, 61, 600)] == ["9 s", "1 min 01 s", "10 min 00 s"]
