"""The files by which others join: workflows, and a wheel that needs nothing of the checkout."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_a_workflow_fits_its_schema(root: Path, name: str) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    file = root / ".github" / "workflows" / name
    command = [str(checker), "--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_version_is_printed_as_pyproject_has_it(root: Path) -> None:
    arguments = ["-m", "hatchling", "version"]
    assert f"$(python {' '.join(arguments)})" in (root / ".github/workflows/release.yml").read_text(encoding="utf-8")
    command = [sys.executable, *arguments]
    printed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert f'version = "{printed.strip()}"' in (root / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.full("it installs a wheel and its dependencies, which takes a minute")
@pytest.mark.parametrize("toolchain", ["pip", "uv", "poetry"])
def test_the_wheel_runs_the_program_of_readme(root: Path, toolchain: str) -> None:
    command = [sys.executable, "tools/try_wheel.py", "--toolchain", toolchain]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"one agent was started and stopped with {toolchain}" in done.stdout
