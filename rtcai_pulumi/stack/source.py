"""Gets the state of a stack, from an export file or from the Pulumi CLI."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from rtcai_pulumi.stack import UnreadableExport
from rtcai_pulumi.stack.backend import BACKEND_VARIABLE, Backend, backend_of
from rtcai_pulumi.stack.export import StackExport, parse_export, read_export
from rtcai_pulumi.stack.owner import make_absolute
from rtcai_pulumi.stack.project import Project, project_folder, project_in

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class StateSource:
    """The options that select a stack."""

    stack: str | None
    """The stack, by name. The CLI exports its state."""
    folder: Path
    """A folder of the project, for the CLI."""
    export: str | None
    """The file with the export, or ``-``."""
    stack_name: str | None
    project_name: str | None
    backend: str | None

    @property
    def is_selected(self) -> bool:
        """Whether a stack was selected."""
        return self.stack is not None or self.export is not None

    @property
    def name(self) -> str:
        """The given name of the stack, with its organization if that was given; empty if no name was given."""
        return self.stack or self.stack_name or ""

    @property
    def project(self) -> Path:
        """The folder of the project file: the nearest one from the given folder upwards, as the CLI searches for it."""
        return project_folder(self.folder.absolute())


@dataclass(frozen=True, slots=True)
class ExportedState:
    """A stack's state and its backend."""

    export: StackExport
    backend: Backend


def state_of(source: StateSource, env: Mapping[str, str], began: datetime | None = None) -> ExportedState:
    """Read the state of the stack that the options select.

    Args:
        source: the options.
        env: the environment.
        began: when the command started to read; later entries of the journal may be missing from the state.

    Raises:
        UnreadableExport: the state cannot be read.
    """
    began = began or datetime.now(UTC)
    project = _project(source.project)
    backend = backend_of(env, source.backend, project.backend, source.project)
    if backend.hosted or (backend.location is None and "/" in source.name):
        organization = _organization(source, env)
        backend = backend_of(env, source.backend, project.backend, source.project, organization)
    stack = source.stack_name.rpartition("/")[2] if source.stack_name else None
    if source.stack is None:
        export = read_export(source.export or "", began, stack=stack, project=source.project_name)
        return ExportedState(export, backend)
    export = parse_export(
        _run_cli(["stack", "export", "--stack", source.stack], source, env),
        began,
        f"stack {source.stack}",
        stack=stack or source.stack.rpartition("/")[2],
        project=source.project_name or project.name,
    )
    return ExportedState(export, backend)


def why_locked(state: ExportedState, source: StateSource, env: Mapping[str, str]) -> str | None:
    """Return who holds the lock of the stack; None if it is not locked, or if the backend does not show its locks.

    A file backend keeps its locks next to its states, and the CLI reports the locks of the hosted one. The locks of
    other backends can be read only by the CLI.
    """
    parts = urlsplit(state.backend.location or "")
    stack = state.export.id
    if parts.scheme == "file":
        root = Path(unquote(f"{parts.netloc}{parts.path}")).expanduser()
        locks = root / ".pulumi" / "locks" / "organization" / stack.project / stack.stack
        return next((_holder(lock) for lock in sorted(locks.glob("*.json"))), None)
    if state.backend.hosted and source.stack is not None:
        running = [
            each.get("name", "").rpartition("/")[2]
            for each in _parse_list(_run_cli(["stack", "ls", "--json"], source, env))
            if each.get("updateInProgress")
        ]
        return "an update is in progress" if stack.stack in running else None
    return None


def _organization(source: StateSource, env: Mapping[str, str]) -> str:
    """Return the organization of the stack: from its name, else the default organization, else the user, as the CLI
    does.

    Raises:
        UnreadableExport: the name has no organization, and the CLI cannot be called.
    """
    organization, slash, _ = source.name.partition("/")
    if slash:
        return organization
    try:
        default = _run_cli(["org", "get-default"], source, env).strip()
        # Without a default organization, the CLI prints a sentence.
        return default if default and " " not in default else _run_cli(["whoami"], source, env).strip()
    except UnreadableExport as error:
        why = str(error).partition("\n")[0]
        to_do = "add it to the name: --stack ORG/NAME, or --stack-name ORG/NAME with --stack-export"
        raise UnreadableExport(f"The organization of the stack is not known. {why}\n  to do: {to_do}") from None


def _parse_list(text: str) -> list[dict[str, Any]]:
    try:
        stacks = json.loads(text)
    except ValueError:
        stacks = None
    if not isinstance(stacks, list) or not all(isinstance(each, dict) for each in stacks):
        raise UnreadableExport("The output of `pulumi stack ls --json` is not a list of stacks.")
    return stacks


def _holder(lock: Path) -> str:
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
        who = f"process {content['pid']} of {content['username']} on {content['hostname']}"
        return f"{who}, since {content['timestamp']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"the lock {lock.name}"


def _run_cli(arguments: list[str], source: StateSource, env: Mapping[str, str]) -> str:
    """Return the output of a CLI command for the backend in the options, else for the CLI's own backend.

    Raises:
        UnreadableExport: the CLI is missing or fails.
    """
    command = f"pulumi {' '.join(arguments)}"
    executable = shutil.which("pulumi", path=env.get("PATH"))
    if executable is None:
        raise UnreadableExport("The Pulumi CLI is not on PATH.\n  to do: install the Pulumi CLI, or use --stack-export")
    try:
        done = subprocess.run(  # noqa: S603  the CLI, with the user's own words as arguments
            [executable, *arguments, "--non-interactive"],
            cwd=source.folder,
            env=_with_backend(source, env),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreadableExport(f"`{command}` failed: {error}.") from None
    if done.returncode:
        to_do = "run it in the project's folder, or pass that folder with --cwd"
        raise UnreadableExport(f"`{command}` failed: {done.stderr.strip() or done.returncode}\n  to do: {to_do}")
    return done.stdout


def _with_backend(source: StateSource, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the CLI. It must use the right backend: one backend's state does not show what a stack
    of another has started.
    """
    if not source.backend:
        return dict(env)
    return {**env, BACKEND_VARIABLE: make_absolute(source.backend, source.project)}


def _project(folder: Path) -> Project:
    try:
        return project_in(folder)
    except (OSError, ValueError) as error:
        raise UnreadableExport(f"The project file in {folder} cannot be read: {error}.") from None
