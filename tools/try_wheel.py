"""Build the wheel, install it in a new environment, and run README's program from there on the emulator.

Usage: `python tools/try_wheel.py [--python PYTHON]`. It shows that the wheel is complete: nothing is imported from the
checkout. It needs a Pulumi CLI on PATH or in .tools/bin, and no account. Standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "name: wheel\nruntime: {name: python, options: {toolchain: pip, virtualenv: ENVIRONMENT}}\n"
SECONDS = 300


class WrongResultError(Exception):
    """A command succeeded, but its result is wrong. The message says which."""


def main() -> int:
    """Try the wheel; return 0 if everything worked, else the program raises."""
    parser = argparse.ArgumentParser(prog="tools/try_wheel.py")
    parser.add_argument("--python", default=sys.executable, help="the Python to install the wheel for")
    python: str = parser.parse_args().python
    with tempfile.TemporaryDirectory(prefix="rtcai-wheel-") as scratch:
        try_in(Path(scratch), python)
    return 0


def try_in(folder: Path, python: str) -> None:
    """Build, install and run in an empty folder.

    Raises:
        subprocess.CalledProcessError: a command failed; its output was printed.
        WrongResultError: a command had another result than it should.
    """
    wheel = _build(folder / "dist", python)
    environment = folder / "environment"
    _run([python, "-m", "venv", str(environment)], folder)
    bin_ = environment / "bin"
    _run([str(bin_ / "pip"), "install", "--quiet", f"{wheel}[cli,emulator]"], folder)
    program = folder / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text(PROJECT.replace("ENVIRONMENT", str(environment)), encoding="utf-8")
    (program / "__main__.py").write_text(_program_of_readme(), encoding="utf-8")
    env = _environment(folder, bin_)
    with _emulator(bin_, env) as url:
        env |= {"RTCAI_ENDPOINT": url, "RTCAI_APP_KEY": "emulator-app-key", "RTCAI_APP_SECRET": "emulator-app-secret"}
        _run(["pulumi", "stack", "init", "test", "--non-interactive"], program, env)
        _run(["pulumi", "up", "--yes", "--non-interactive"], program, env)
        _require(_rooms(bin_, program, env) == ["keynote"], "up has not started one agent in the room keynote")
        _run(["pulumi", "destroy", "--yes", "--non-interactive"], program, env)
        _require(not _rooms(bin_, program, env), "destroy has left an agent")
    print(f"{wheel.name}: one agent was started and stopped with {python}")


def _build(into: Path, python: str) -> Path:
    _run([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(into), str(ROOT)], ROOT)
    (wheel,) = into.glob("*.whl")
    return wheel


def _program_of_readme() -> str:
    found = re.search(r"## A program\n+```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return found[1] if found else _fail("README.md has no program")


def _environment(folder: Path, bin_: Path) -> dict[str, str]:
    """An environment without the user's stacks and credentials, and without the checkout on Python's path."""
    home = folder / "home"
    (folder / "backend").mkdir()
    home.mkdir()
    return {
        "PATH": os.pathsep.join([str(bin_), os.environ.get("PATH", os.defpath), str(ROOT / ".tools" / "bin")]),
        "HOME": str(home),
        "PULUMI_HOME": str(home / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "RTCAI_JOURNAL": str(folder / "journal.db"),
    }


@contextmanager
def _emulator(bin_: Path, env: dict[str, str]) -> Iterator[str]:
    """Run the emulator of the wheel; yields its URL."""
    with subprocess.Popen([str(bin_ / "rtcai"), "emulator", "--port", "0"], env=env, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            found = re.search(rb"http://[\d.:]+", line)
            yield found[0].decode() if found else _fail("the emulator has not started")
        finally:
            process.terminate()


def _rooms(bin_: Path, program: Path, env: dict[str, str]) -> list[str]:
    """The rooms in which an agent runs."""
    done = _run([str(bin_ / "rtcai"), "ls", "--json"], program, env)
    return [agent["cname"] for agent in json.loads(done)]


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        _fail(otherwise)


def _fail(message: str) -> NoReturn:
    raise WrongResultError(message)


def _run(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        print(done.stdout, flush=True)
    done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
