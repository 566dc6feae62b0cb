"""The first half of `make setup`: `.venv`, in a fake checkout."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

FAKE_PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
if [ "$2" = venv ]; then
    rm -rf "$4"
    mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"
fi
test "$2" != "$FAILS"
"""


@dataclass
class Checkout:
    """A checkout with tools/setup.py, and a Python that makes environments like itself and only records its calls."""

    root: Path
    environ: dict[str, str]

    @property
    def record(self) -> Path:
        return self.root / ".venv" / "rtcai-setup"

    @property
    def calls(self) -> list[str]:
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []

    def setup(self, *options: str) -> subprocess.CompletedProcess[str]:
        script, python = str(self.root / "tools" / "setup.py"), str(self.root / "python")
        code = f"import runpy, sys\nsys.executable = {python!r}\nrunpy.run_path({script!r}, run_name='__main__')"
        argv = [sys.executable, "-c", code, *options]
        return subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def checkout(tmp_path: Path, root: Path, environ: dict[str, str]) -> Checkout:
    made = tmp_path / "checkout"
    (made / "tools").mkdir(parents=True)
    (made / "tools" / "setup.py").write_text((root / "tools" / "setup.py").read_text())
    (made / "tools" / "constraints.txt").write_text("pytest==9.0.0\n")
    (made / "pyproject.toml").write_text("[project]\n")
    (made / "python").write_text(FAKE_PYTHON)
    (made / "python").chmod(0o755)
    return Checkout(made, {**environ, "LOG": str(made / "log")})


def test_it_installs_at_the_pinned_versions_and_a_second_run_does_nothing(checkout: Checkout) -> None:
    assert checkout.setup().returncode == 0
    first = checkout.calls
    constraints = checkout.root / ".venv" / "constraints.txt"
    assert constraints.read_text() == "pytest==9.0.0\n"
    assert any(
        line.endswith(f"--constraint {constraints} --no-build-isolation --editable {checkout.root}[dev]")
        for line in first
    )
    again = checkout.setup()
    assert (again.returncode, again.stdout) == (0, "")
    assert checkout.calls == first


def test_the_floor_is_an_environment_of_its_own_with_the_lowest_pins_over_the_others(checkout: Checkout) -> None:
    (checkout.root / "tools" / "constraints.txt").write_text("pytest==9.0.0\npydantic-core==2.50.0\n")
    (checkout.root / "tools" / "constraints-floor.txt").write_text("# the lowest\npydantic_core==2.41.1\n")
    assert checkout.setup("--floor").returncode == 0
    used = checkout.root / ".tools" / "floor" / "constraints.txt"
    assert used.read_text() == "pytest==9.0.0\npydantic_core==2.41.1\n"
    assert all(f"--constraint {used} " in line for line in checkout.calls if "install" in line)
    assert not (checkout.root / ".venv").exists()
    assert checkout.setup("--floor").stdout == ""


def test_an_environment_by_version_is_named_for_the_running_python(checkout: Checkout) -> None:
    name = f".tools/python{sys.version_info[0]}.{sys.version_info[1]}"
    assert checkout.setup("--by-version").returncode == 0
    assert any(f"--constraint {checkout.root}/{name}/constraints.txt" in line for line in checkout.calls)
    assert not (checkout.root / ".venv").exists()
    assert checkout.setup("--by-version").stdout == ""


@pytest.mark.parametrize(
    ("changed", "line"), [("pyproject.toml", "# changed\n"), ("tools/constraints.txt", "pluggy==1.6.0\n")]
)
def test_a_changed_pin_or_dependency_is_installed(checkout: Checkout, changed: str, line: str) -> None:
    checkout.setup()
    first = len(checkout.calls)
    with (checkout.root / changed).open("a") as file:
        file.write(line)
    assert checkout.setup().returncode == 0
    assert len(checkout.calls) > first


def test_a_failed_installation_is_not_taken_for_a_finished_one(checkout: Checkout) -> None:
    checkout.environ["FAILS"] = "pip"
    ended = checkout.setup()
    assert ended.returncode == 1
    assert re.search(r"setup: `.*/python -m pip install .*` failed", ended.stderr)
    assert not checkout.record.exists()


def test_a_python_without_venv_is_an_error(checkout: Checkout) -> None:
    checkout.environ["FAILS"] = "venv"
    ended = checkout.setup()
    assert ended.returncode == 1
    assert re.search(r"setup: `.*/python -m venv .*` failed", ended.stderr)


def test_an_interrupted_one_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    checkout.record.unlink()
    half = checkout.root / ".venv" / "half-installed"
    half.touch()
    assert "making .venv" in checkout.setup().stdout
    assert not half.exists()


def test_one_of_a_checkout_that_was_moved_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    moved = Checkout(checkout.root.rename(checkout.root.with_name("moved")), checkout.environ)
    moved.environ["LOG"] = str(moved.root / "log")
    assert "making .venv" in moved.setup().stdout


def test_one_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    (checkout.root / ".venv" / "bin" / "python").unlink()
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


def test_the_lowest_versions_that_users_may_have_are_the_ones_tested(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["emulator"], *extras["cli"]]
    promised = [text.partition(",<")[0].split(">=") for text in texts]
    pinned = dict(pin.split("==") for pin in pins(root, "constraints-floor.txt"))
    for name, lowest in promised:
        assert pinned[name] in (lowest, f"{lowest}.0")


def pins(root: Path, name: str) -> list[str]:
    lines = (root / "tools" / name).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-floor.txt"])
def test_the_pins_name_packages_and_versions_only(root: Path, name: str) -> None:
    lines = pins(root, name)
    assert all(line.count("==") == 1 and "/" not in line and ":" not in line for line in lines)
    assert len({line.split("==")[0].lower() for line in lines}) == len(lines)
