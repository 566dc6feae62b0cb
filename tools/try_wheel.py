"""Build the wheel, install it in a new project, and run README's program there on the emulator.

Usage: `PYTHON tools/try_wheel.py [--toolchain pip|uv|poetry]`, with the Python to install it for. It shows that the
wheel is complete: nothing is imported from the checkout. The project is one of pip, uv or Poetry, as a user would write
it. It needs a Pulumi CLI on PATH or in .tools/bin, a package registry, and no account. Standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PULUMI_PROJECT: Final = "name: wheel\nruntime: {{name: python, options: {options}}}\n"
PYTHON_PROJECT: Final = """\
[project]
name = "wheel"
version = "0.1.0"
requires-python = ">=3.11,<4"
dependencies = ["rtcai-pulumi[cli,emulator] @ {wheel}"]

[dependency-groups]
dev = ["pip"]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "index"
url = "{index}"
priority = "primary"

[[tool.uv.index]]
url = "{index}"
default = true
"""
SECONDS: Final = 300


class WrongResultError(Exception):
    """A command succeeded, but its result is wrong. The message says which."""


def main() -> int:
    """Try the wheel; return 0 if everything worked, else the program raises."""
    parser = argparse.ArgumentParser(prog="tools/try_wheel.py")
    parser.add_argument("--toolchain", default="pip", choices=TOOLCHAINS, help="what installs it (default: pip)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rtcai-wheel-") as scratch:
        try_in(Path(scratch), options.toolchain)
    return 0


class Toolchain(NamedTuple):
    """How a project is made and used with a tool."""

    options: str
    """Those of the runtime in Pulumi.yaml."""
    install: Sequence[Sequence[str]]
    """What makes the environment, from the program's folder."""
    run: Sequence[str]
    """What comes before a command, so that it runs in the environment."""


TOOLCHAINS: Final[Mapping[str, Toolchain]] = {
    "pip": Toolchain(
        "{toolchain: pip, virtualenv: venv}",
        [[sys.executable, "-m", "venv", "venv"], ["venv/bin/pip", "install", "--quiet", "{wheel}[cli,emulator]"]],
        [],
    ),
    "uv": Toolchain(
        "{toolchain: uv}",
        [["uv", "sync", "--quiet", "--python", sys.executable]],
        ["uv", "run", "--no-sync"],  # without --no-sync each run would ask the registry
    ),
    "poetry": Toolchain(
        "{toolchain: poetry}",
        [["poetry", "install", "--quiet", "--no-interaction"]],
        ["poetry", "run"],
    ),
}


class Project:
    """A project in which the wheel is installed, and its environment: without the user's stacks and credentials, and
    without the checkout on Python's path.
    """

    def __init__(self, scratch: Path, wheel: Path, name: str) -> None:
        self.folder, self._toolchain = scratch / "program", TOOLCHAINS[name]
        tools = scratch / "tools"
        path = [str(tools / "bin"), str(self.folder / "venv" / "bin"), os.environ["PATH"], str(ROOT / ".tools" / "bin")]
        self.env = {
            "PATH": os.pathsep.join(path),
            "HOME": str(scratch),
            "PULUMI_HOME": str(scratch / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{scratch}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "RTCAI_JOURNAL": str(scratch / "journal.db"),
            # Poetry's environment is in the folder, as uv's is.
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        }
        self.folder.mkdir()
        (self.folder / "__main__.py").write_text(_program_of_readme(), encoding="utf-8")
        (self.folder / "Pulumi.yaml").write_text(PULUMI_PROJECT.format(options=self._toolchain.options))
        if name != "pip":
            # These tools do not use pip's index: a machine with a mirror has to name it.
            content = PYTHON_PROJECT.format(wheel=wheel.as_uri(), index=_index_of_pip())
            (self.folder / "pyproject.toml").write_text(content)
            _run([sys.executable, "-m", "venv", str(tools)], scratch)
            _run([str(tools / "bin" / "pip"), "install", "--quiet", name], scratch)
        # The user's own environment has what the tools need to reach the registry, such as certificates. But they would
        # use the activated Python.
        env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        for command in self._toolchain.install:
            _run([part.format(wheel=wheel) for part in command], self.folder, env | self.env)

    def run(self, *command: str) -> str:
        """Run a command in the project's environment and return its output."""
        return _run([*self._toolchain.run, *command], self.folder, self.env)

    @contextmanager
    def emulator(self) -> Iterator[None]:
        """Run the emulator of the wheel, and let the commands use it."""
        command = [*self._toolchain.run, "rtcai", "emulator", "--port", "0"]
        with subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True) as process:
            try:
                url = (process.stdout.readline() if process.stdout else "").split()[-1]
                keys = {"RTCAI_APP_KEY": "emulator-app-key", "RTCAI_APP_SECRET": "emulator-app-secret"}
                self.env |= {"RTCAI_ENDPOINT": url, **keys}
                yield
            finally:
                process.terminate()

    def rooms(self) -> list[str]:
        """Return the rooms in which an agent runs."""
        return [agent["cname"] for agent in json.loads(self.run("rtcai", "ls", "--json"))]


def try_in(folder: Path, toolchain: str) -> None:
    """Build, install and run in an empty folder.

    Raises:
        subprocess.CalledProcessError: a command failed; its output was printed.
        WrongResultError: a command had another result than it should.
    """
    wheel = _build(folder / "dist")
    project = Project(folder, wheel, toolchain)
    with project.emulator():
        project.run("pulumi", "stack", "init", "test", "--non-interactive")
        project.run("pulumi", "up", "--yes", "--non-interactive")
        _require(project.rooms() == ["keynote"], "up has not started one agent in the room keynote")
        findings = json.loads(project.run("rtcai", "doctor", "--json"))
        (plugin,) = [finding for finding in findings if finding["check"] == "plugin"]
        uses_python = plugin["verdict"] == "passed" and f"({project.folder.resolve()}/" in plugin["detail"]
        _require(uses_python, f"rtcai doctor says about the plugin: {plugin['detail']}")
        project.run("pulumi", "destroy", "--yes", "--non-interactive")
        _require(not project.rooms(), "destroy has left an agent")
    print(f"{wheel.name}: one agent was started and stopped with {toolchain} and {sys.executable}")


def _build(into: Path) -> Path:
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(into), str(ROOT)], ROOT)
    (wheel,) = into.glob("*.whl")
    return wheel


def _program_of_readme() -> str:
    return _search(r"## A program\n+```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"))


def _index_of_pip() -> str:
    """Return the registry that pip uses, which may be a mirror: its help names it as the default."""
    env = {**os.environ, "COLUMNS": "1000"}
    return _search(
        r"--index-url <url>.*\(default (\S+?)\)", _run([sys.executable, "-m", "pip", "install", "--help"], ROOT, env)
    )


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise WrongResultError(otherwise)


def _search(pattern: str, text: str) -> str:
    if match := re.search(pattern, text, re.DOTALL):
        return match[1]
    raise WrongResultError(f"there is no {pattern}")


def _run(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        print(done.stdout, flush=True)
    done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
