"""Finds the Python with which the engine runs the program and the plugin."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml  # a dependency of Pulumi itself

from rtcai_pulumi.stack.project import project_file_in, project_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECONDS: Final = 60
_BIN: Final = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")


@dataclass(frozen=True, slots=True)
class PluginPython:
    """The Python of the plugin."""

    executable: str | None
    """Its path; None if it was not found."""
    reason: str
    """Which setting or rule selects it."""
    folder: Path
    """The folder in which it runs."""
    problem: str = ""
    """What is wrong if it was not found."""
    advice: str = ""
    """What to do about that."""


def plugin_python(env: Mapping[str, str], folder: Path) -> PluginPython:
    """Return the Python that the engine would use in a folder.

    Args:
        env: the environment.
        folder: the project's folder, or one inside it.

    Raises:
        OSError: the project file cannot be read.
        ValueError: the project file is not valid YAML, or ``main`` and ``virtualenv`` contradict each other.
    """
    project = project_folder(folder)
    file = project_file_in(project)
    if file is None:
        return PluginPython(sys.executable, "no Pulumi.yaml here: the Python of this command", folder)
    parsed = yaml.safe_load(file.read_text(encoding="utf-8"))
    content: Mapping[str, Any] = parsed if isinstance(parsed, dict) else {}
    runtime = content.get("runtime")
    options = (runtime.get("options") if isinstance(runtime, dict) else None) or {}
    main, venv = content.get("main"), options.get("virtualenv")
    toolchain = options.get("toolchain") or "pip"
    program = _folder_of(project, main)
    if venv:
        setting = f"virtualenv {venv} in {file.name}"
        advice = f"create this virtual environment, or correct runtime.options.virtualenv in {file.name}"
        python = _in_venv(project, program, str(venv))
    elif toolchain == "uv":
        setting, advice = f"toolchain uv in {file.name}", f"run `uv sync` in {program}"
        python = next(filter(None, map(_python_of, _uv_environments(env, program))), None)
    elif toolchain == "poetry":
        setting, advice = f"toolchain poetry in {file.name}", f"install Poetry, and run `poetry install` in {program}"
        python = _poetry(env, program)
    else:
        python = shutil.which("python3", path=env.get("PATH")) or shutil.which("python", path=env.get("PATH"))
        advice = f"install Python, or set runtime.options.virtualenv in {file.name}"
        return PluginPython(python, "the first Python on PATH", program, "no Python on PATH", advice)
    reason = f"{setting}, which an old language host ignores" if toolchain in {"uv", "poetry"} else setting
    return PluginPython(python, reason, program, f"no Python was found ({setting})", advice)


def _folder_of(project: Path, main: Any) -> Path:
    """Return the program's folder: ``main`` names the folder, or a file in it."""
    path = project / main if isinstance(main, str) and main else project
    return path.parent if path.is_file() else path


def _in_venv(project: Path, program: Path, venv: str) -> str | None:
    """Return the Python of a virtual environment, which program and plugin must both find.

    Raises:
        ValueError: a relative path refers to two different folders.
    """
    at_project, at_program = _python_of(project / venv), _python_of(program / venv)
    if at_project and at_program is None:
        message = (
            f"virtualenv {venv} is a relative path: the program finds it next to Pulumi.yaml, but the plugin searches "
            f"in {program}, and it does not exist there"
        )
        raise ValueError(message)
    return at_project or at_program


def _uv_environments(env: Mapping[str, str], folder: Path) -> Iterator[Path]:
    """Yield where uv keeps the environment of a folder: inside it, or in the workspace above it."""
    if environment := env.get("UV_PROJECT_ENVIRONMENT"):
        yield folder / environment
    yield from (above / ".venv" for above in (folder, *folder.parents))


def _poetry(env: Mapping[str, str], folder: Path) -> str | None:
    poetry = shutil.which("poetry", path=env.get("PATH"))
    if poetry is None:
        return None
    command = [poetry, "env", "info", "--executable"]
    done = subprocess.run(  # noqa: S603  the tool that Pulumi.yaml names
        command, cwd=folder, env=dict(env), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    return done.stdout.strip() or None if done.returncode == 0 else None


def _python_of(environment: Path) -> str | None:
    executable = environment.joinpath(*_BIN)
    return str(executable) if executable.exists() else None
