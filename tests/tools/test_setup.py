"""`make setup`'s first half: `.venv`, in a made-up checkout."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

FAKE_PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
test -z "$FAIL"
"""


@dataclass
class Checkout:
    """A checkout with tools/setup.py and, once `with_venv` was called, a virtual environment that only takes notes."""

    root: Path
    environ: dict[str, str]

    def with_venv(self, state: str | None) -> None:
        bin_folder = self.root / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        (bin_folder / "python").write_text(FAKE_PYTHON)
        (bin_folder / "python").chmod(0o755)
        (bin_folder / "pip").write_text(f"#!{bin_folder}/python\n")
        if state is not None:
            self.record.write_text(json.dumps({"state": state}))

    @property
    def record(self) -> Path:
        return self.root / ".venv" / "rtcai-setup.json"

    @property
    def calls(self) -> list[str]:
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []

    def setup(self) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(self.root / "tools" / "setup.py")]
        return subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def checkout(tmp_path: Path, root: Path, environ: dict[str, str]) -> Checkout:
    made = tmp_path / "checkout"
    (made / "tools").mkdir(parents=True)
    (made / "tools" / "setup.py").write_text((root / "tools" / "setup.py").read_text())
    (made / "tools" / "constraints.txt").write_text("pytest==9.0.0\n")
    (made / "pyproject.toml").write_text("[project]\n")
    own = {name: value for name, value in environ.items() if not name.startswith("PIP_")}
    return Checkout(made, {**own, "LOG": str(made / "log"), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"})


def test_it_installs_at_the_pinned_versions_and_a_second_run_does_nothing(checkout: Checkout) -> None:
    checkout.with_venv(state=None)
    assert checkout.setup().returncode == 0
    first = checkout.calls
    constraints = checkout.root / "tools" / "constraints.txt"
    assert any(
        line.endswith(f"--constraint {constraints} --no-build-isolation --editable {checkout.root}[dev]")
        for line in first
    )
    again = checkout.setup()
    assert (again.returncode, again.stdout) == (0, "setup: .venv is ready: nothing to do\n")
    assert checkout.calls == first


@pytest.mark.parametrize("changed", ["pyproject.toml", "tools/constraints.txt"])
def test_a_changed_pin_or_dependency_is_installed(checkout: Checkout, changed: str) -> None:
    checkout.with_venv(state=None)
    checkout.setup()
    first = len(checkout.calls)
    with (checkout.root / changed).open("a") as file:
        file.write("# changed\n")
    assert checkout.setup().returncode == 0
    assert len(checkout.calls) > first


def test_a_failed_installation_is_not_taken_for_a_finished_one(checkout: Checkout) -> None:
    checkout.with_venv(state=None)
    checkout.environ["FAIL"] = "1"
    ended = checkout.setup()
    assert ended.returncode == 1
    assert "pip failed" in ended.stderr
    assert json.loads(checkout.record.read_text())["state"] == "unfinished"


def test_an_interrupted_one_is_made_anew(checkout: Checkout) -> None:
    checkout.with_venv(state="unfinished")
    half = checkout.root / ".venv" / "half-installed"
    half.touch()
    ended = checkout.setup()  # ends at pip, which has no index here
    assert "making .venv" in ended.stdout
    assert ended.returncode == 1
    assert not half.exists()
    assert checkout.calls == []


def test_one_of_a_checkout_that_was_moved_is_made_anew(checkout: Checkout) -> None:
    checkout.with_venv(state="of the old place")
    (checkout.root / ".venv" / "bin" / "pip").write_text("#!/the/old/place/.venv/bin/python\n")
    assert "making .venv" in checkout.setup().stdout


def test_an_old_python_is_told_what_to_install(checkout: Checkout) -> None:
    script = checkout.root / "tools" / "setup.py"
    code = f"import runpy, sys\nsys.version_info = (3, 9, 2)\nrunpy.run_path({str(script)!r}, run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "needs Python 3.11 or newer" in ended.stderr
    assert "is 3.9." in ended.stderr
    assert "make setup PYTHON=python3.11" in ended.stderr


def test_every_direct_dependency_is_pinned(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    groups.append(project["build-system"]["requires"])
    wanted = {re.split(r"[\[<>=~! ]", requirement)[0].lower() for group in groups for requirement in group}
    pinned = {line.split("==")[0].lower() for line in (root / "tools" / "constraints.txt").read_text().splitlines()}
    assert wanted - {"rtcai-pulumi"} <= pinned


def test_the_pins_name_packages_and_versions_only(root: Path) -> None:
    lines = (root / "tools" / "constraints.txt").read_text().splitlines()
    assert all(line.count("==") == 1 and "/" not in line and ":" not in line for line in lines)
    assert len({line.split("==")[0].lower() for line in lines}) == len(lines)
