"""Build the wheel, install it in a new project, and run README's program there on the emulator.

Usage: `python tools/try_wheel.py [--python PYTHON] [--toolchain pip|uv|poetry]`. It shows that the wheel is complete:
nothing is imported from the checkout. The project is one of pip, uv or Poetry, as a user would write it. It needs a
Pulumi CLI on PATH or in .tools/bin, a package registry, and no account. Standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parents[1]
PULUMI_PROJECT: Final = "name: wheel\nruntime: {{name: python, options: {options}}}\n"
PYTHON_PROJECT: Final = """\
[project]
name = "wheel"
version = "0.1.0"
requires-python = ">={version},<4"
dependencies = ["{dependency}"]

[dependency-groups]
dev = ["pip"]
"""
UV_SOURCE: Final = """
[tool.uv.sources]
rtcai-pulumi = {{path = "{wheel}"}}
"""
POETRY_SOURCE: Final = """
[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "index"
url = "{index}"
priority = "primary"
"""
SECONDS: Final = 300


class WrongResultError(Exception):
    """A command succeeded, but its result is wrong. The message says which."""


def main() -> int:
    """Try the wheel; return 0 if everything worked, else the program raises."""
    parser = argparse.ArgumentParser(prog="tools/try_wheel.py")
    parser.add_argument("--python", default=sys.executable, help="the Python to install the wheel for")
    parser.add_argument("--toolchain", default="pip", choices=TOOLCHAINS, help="what installs it (default: pip)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rtcai-wheel-") as scratch:
        try_in(Path(scratch), options.python, options.toolchain)
    return 0


class Project(NamedTuple):
    """A project in which the wheel is installed."""

    folder: Path
    run: Sequence[str]
    """What comes before a command, so that it runs in the project's environment."""
    path: Sequence[Path]
    """The folders that must be on PATH for that."""


def try_in(folder: Path, python: str, toolchain: str) -> None:
    """Build, install and run in an empty folder.

    Raises:
        subprocess.CalledProcessError: a command failed; its output was printed.
        WrongResultError: a command had another result than it should.
    """
    wheel = _build(folder / "dist", python)
    program = folder / "program"
    program.mkdir()
    (program / "__main__.py").write_text(_program_of_readme(), encoding="utf-8")
    project = TOOLCHAINS[toolchain](program, wheel, python)
    env = _environment(folder, project)
    with _emulator(project, env) as url:
        env |= {"RTCAI_ENDPOINT": url, "RTCAI_APP_KEY": "emulator-app-key", "RTCAI_APP_SECRET": "emulator-app-secret"}
        _run([*project.run, "pulumi", "stack", "init", "test", "--non-interactive"], program, env)
        _run([*project.run, "pulumi", "up", "--yes", "--non-interactive"], program, env)
        _require(_rooms(project, env) == ["keynote"], "up has not started one agent in the room keynote")
        _require_plugin(project, env)
        _run([*project.run, "pulumi", "destroy", "--yes", "--non-interactive"], program, env)
        _require(not _rooms(project, env), "destroy has left an agent")
    print(f"{wheel.name}: one agent was started and stopped with {toolchain} and {python}")


def _make_pip_project(program: Path, wheel: Path, python: str) -> Project:
    environment = program / "venv"
    _run([python, "-m", "venv", str(environment)], program)
    _run([str(environment / "bin" / "pip"), "install", "--quiet", f"{wheel}[cli,emulator]"], program)
    _write_pulumi_yaml(program, "{toolchain: pip, virtualenv: venv}")
    return Project(program, [], [environment / "bin"])


def _make_uv_project(program: Path, wheel: Path, python: str) -> Project:
    tools = _install_tool("uv", program.parent / "tools", python)
    text = PYTHON_PROJECT.format(version=_version_of(python), dependency="rtcai-pulumi[cli,emulator]")
    (program / "pyproject.toml").write_text(text + UV_SOURCE.format(wheel=wheel), encoding="utf-8")
    _write_pulumi_yaml(program, "{toolchain: uv}")
    env = _without_environment() | {"UV_DEFAULT_INDEX": _index_of_pip(python)}
    _run([str(tools / "uv"), "sync", "--quiet", "--python", python], program, env)
    # Without --no-sync each run would ask the registry.
    return Project(program, ["uv", "run", "--no-sync"], [tools])


def _make_poetry_project(program: Path, wheel: Path, python: str) -> Project:
    tools = _install_tool("poetry", program.parent / "tools", python)
    # Poetry does not use pip's index: a machine with a mirror has to name it.
    source = POETRY_SOURCE.format(index=_index_of_pip(python))
    dependency = f"rtcai-pulumi[cli,emulator] @ {wheel.as_uri()}"
    text = PYTHON_PROJECT.format(version=_version_of(python), dependency=dependency)
    (program / "pyproject.toml").write_text(text + source, encoding="utf-8")
    (program / "poetry.toml").write_text("[virtualenvs]\nin-project = true\n", encoding="utf-8")
    _write_pulumi_yaml(program, "{toolchain: poetry}")
    _run([str(tools / "poetry"), "install", "--quiet", "--no-interaction"], program, _without_environment())
    return Project(program, ["poetry", "run"], [tools])


TOOLCHAINS: Final[Mapping[str, Callable[[Path, Path, str], Project]]] = {
    "pip": _make_pip_project,
    "uv": _make_uv_project,
    "poetry": _make_poetry_project,
}
"""What makes a project: from the program's folder, the wheel and the Python."""


def _install_tool(name: str, environment: Path, python: str) -> Path:
    """Install a tool in an environment of its own; returns the folder of its commands."""
    _run([python, "-m", "venv", str(environment)], environment.parent)
    _run([str(environment / "bin" / "pip"), "install", "--quiet", name], environment.parent)
    return environment / "bin"


def _write_pulumi_yaml(program: Path, options: str) -> None:
    (program / "Pulumi.yaml").write_text(PULUMI_PROJECT.format(options=options), encoding="utf-8")


def _version_of(python: str) -> str:
    command = [python, "-c", "import sys; print('%s.%s' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _index_of_pip(python: str) -> str:
    """The registry that pip uses, which may be a mirror: its help names it as the default."""
    command = [python, "-m", "pip", "install", "--help"]
    text = subprocess.run(command, env={**os.environ, "COLUMNS": "1000"}, capture_output=True, text=True, check=True)
    found = re.search(r"--index-url <url>.*\(default (\S+?)\)", text.stdout)
    return found[1] if found else _fail("the help of pip does not name its index")


def _without_environment() -> dict[str, str]:
    """The environment without that of an activated Python, which uv and Poetry would use."""
    return {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}


def _build(into: Path, python: str) -> Path:
    _run([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(into), str(ROOT)], ROOT)
    (wheel,) = into.glob("*.whl")
    return wheel


def _program_of_readme() -> str:
    found = re.search(r"## A program\n+```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return found[1] if found else _fail("README.md has no program")


def _environment(folder: Path, project: Project) -> dict[str, str]:
    """An environment without the user's stacks and credentials, and without the checkout on Python's path."""
    home = folder / "home"
    (folder / "backend").mkdir()
    home.mkdir()
    return {
        "PATH": os.pathsep.join(
            [*map(str, project.path), os.environ.get("PATH", os.defpath), str(ROOT / ".tools" / "bin")]
        ),
        "HOME": str(home),
        "PULUMI_HOME": str(home / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "RTCAI_JOURNAL": str(folder / "journal.db"),
    }


@contextmanager
def _emulator(project: Project, env: dict[str, str]) -> Iterator[str]:
    """Run the emulator of the wheel; yields its URL."""
    command = [*project.run, "rtcai", "emulator", "--port", "0"]
    with subprocess.Popen(command, cwd=project.folder, env=env, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            found = re.search(rb"http://[\d.:]+", line)
            yield found[0].decode() if found else _fail("the emulator has not started")
        finally:
            process.terminate()


def _rooms(project: Project, env: dict[str, str]) -> list[str]:
    """The rooms in which an agent runs."""
    done = _run([*project.run, "rtcai", "ls", "--json"], project.folder, env)
    return [agent["cname"] for agent in json.loads(done)]


def _require_plugin(project: Project, env: dict[str, str]) -> None:
    """Require that `rtcai doctor` finds the Python of the project, in which the plugin runs."""
    done = json.loads(_run([*project.run, "rtcai", "doctor", "--json"], project.folder, env))
    (plugin,) = [finding for finding in done if finding["check"] == "plugin"]
    found = plugin["verdict"] == "passed" and f"({project.folder.resolve()}/" in plugin["detail"]
    _require(found, f"rtcai doctor says about the plugin: {plugin['detail']}")


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
