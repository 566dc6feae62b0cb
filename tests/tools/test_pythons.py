"""Which Pythons of a machine `make test-pythons` uses."""

from pathlib import Path

import pytest

from tools.pythons import find_pythons


def put(python: Path, code: int = 0) -> str:
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f"#!/bin/sh\nexit {code}\n")
    python.chmod(0o755)
    return str(python)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a Python."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_a_machine_without_a_supported_python_has_none(machine: Path) -> None:
    put(machine / "bin" / "python3.10")
    put(machine / "pyenv" / "versions" / "3.9.18" / "bin" / "python3.9")
    assert find_pythons() == {}


def test_one_on_path_comes_before_one_of_pyenv(machine: Path) -> None:
    on_path = put(machine / "bin" / "python3.12")
    put(machine / "pyenv" / "versions" / "3.12.1" / "bin" / "python3.12")
    of_pyenv = put(machine / "pyenv" / "versions" / "3.13.0" / "bin" / "python3.13")
    assert find_pythons() == {"3.12": on_path, "3.13": of_pyenv}


def test_a_shim_that_does_not_start_is_passed_over(machine: Path) -> None:
    put(machine / "bin" / "python3.12", code=127)
    put(machine / "bin" / "python3.13", code=127)
    of_pyenv = put(machine / "pyenv" / "versions" / "3.12.1" / "bin" / "python3.12")
    assert find_pythons() == {"3.12": of_pyenv}
