"""Gets the state of a stack: from a file with its export, or from the Pulumi CLI."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from rtcai_pulumi.stack.backend import BACKEND_VARIABLE, Backend, backend_of
from rtcai_pulumi.stack.export import StackExport, UnreadableExport, parse_export, read_export
from rtcai_pulumi.stack.owner import absolute
from rtcai_pulumi.stack.project import Project, project_folder, project_in

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Source:
    """What the options say about a stack."""

    stack: str | None
    """Its name: the CLI is asked for its state."""
    folder: Path
    """A folder of the project, for the CLI."""
    export: str | None
    """The file with its export, or ``-``."""
    stack_name: str | None
    project_name: str | None
    backend: str | None

    @property
    def named(self) -> bool:
        """Whether a stack was named at all."""
        return self.stack is not None or self.export is not None

    @property
    def name(self) -> str:
        """How the stack was named, perhaps with its organization; empty where it was not."""
        return self.stack or self.stack_name or ""

    @property
    def project(self) -> Path:
        """The folder of the project's file: the nearest from the stated folder upwards, as the CLI looks for it."""
        return project_folder(self.folder.absolute())


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack's state and where it is kept."""

    export: StackExport
    backend: Backend


def state_of(source: Source, env: Mapping[str, str], began: datetime | None = None) -> StackState:
    """Read the state of the stack that the options name.

    Args:
        source: the options.
        env: the environment.
        began: when the command began to look; what the journal learnt after it, the state need not know.

    Raises:
        UnreadableExport: it cannot be read.
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
        return StackState(export, backend)
    export = parse_export(
        _asked(["stack", "export", "--stack", source.stack], source, env),
        began,
        f"stack {source.stack}",
        stack=stack or source.stack.rpartition("/")[2],
        project=source.project_name or project.name,
    )
    return StackState(export, backend)


def why_locked(state: StackState, source: Source, env: Mapping[str, str]) -> str | None:
    """Who works on the stack right now; None where nobody does, or where the backend does not tell.

    A backend of files keeps its locks beside its states, the hosted one tells by the CLI; the rest keep theirs where
    only the CLI can read them.
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
            for each in _listed(_asked(["stack", "ls", "--json"], source, env))
            if each.get("updateInProgress")
        ]
        return "an update is in progress" if stack.stack in running else None
    return None


def _organization(source: Source, env: Mapping[str, str]) -> str:
    """Whose stack it is: its name says it, else it is the default organization's, else the user's, as for the CLI.

    Raises:
        UnreadableExport: its name does not say it, and the CLI cannot be asked.
    """
    whose, named, _ = source.name.partition("/")
    if named:
        return whose
    try:
        told = _asked(["org", "get-default"], source, env).strip()
        # Where there is none the CLI says so in a sentence.
        return told if told and " " not in told else _asked(["whoami"], source, env).strip()
    except UnreadableExport as error:
        why, how = str(error).partition("\n")[0], "name it by --stack ORG/NAME, with --stack-export by --stack-name"
        raise UnreadableExport(f"Which organization's stack it is cannot be told. {why}\n  to do: {how}") from None


def _listed(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UnreadableExport("`pulumi stack ls --json` printed what cannot be read.")
    return found


def _holder(lock: Path) -> str:
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
        who = f"process {content['pid']} of {content['username']} on {content['hostname']}"
        return f"{who}, since {content['timestamp']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"the lock {lock.name}"


def _asked(arguments: list[str], source: Source, env: Mapping[str, str]) -> str:
    """What a command of the CLI prints about the backend that the options name, else about its own.

    Raises:
        UnreadableExport: there is no CLI, or it fails.
    """
    command = f"pulumi {' '.join(arguments)}"
    found = shutil.which("pulumi", path=env.get("PATH"))
    if found is None:
        raise UnreadableExport("There is no pulumi on PATH.\n  to do: install the Pulumi CLI, or use --stack-export")
    try:
        done = subprocess.run(  # noqa: S603  the CLI, with the user's own words as arguments
            [found, *arguments, "--non-interactive"],
            cwd=source.folder,
            env=_of_the_backend(source, env),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreadableExport(f"`{command}` failed: {error}.") from None
    if done.returncode:
        how = "run it in the project's folder, or name that with --cwd"
        raise UnreadableExport(f"`{command}` failed: {done.stderr.strip() or done.returncode}\n  to do: {how}")
    return done.stdout


def _of_the_backend(source: Source, env: Mapping[str, str]) -> dict[str, str]:
    """The environment for the CLI: one backend's state says nothing about what another one's stack has started."""
    if not source.backend:
        return dict(env)
    return {**env, BACKEND_VARIABLE: absolute(source.backend, source.project)}


def _project(folder: Path) -> Project:
    try:
        return project_in(folder)
    except (OSError, ValueError) as error:
        raise UnreadableExport(f"The project file in {folder} cannot be read: {error}.") from None
