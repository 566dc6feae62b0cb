"""Makes the owner of a resource from its backend, organization and URN.

A URN names neither backend nor organization, so equal stacks of two of them must differ by a digest. The backend's URL
is hashed because it may hold a password.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rtcai_pulumi.journal.owner import make_owner

DIGEST_LENGTH: Final = 16


_URN: Final = "urn:pulumi:"


NO_ORGANIZATION: Final = "organization"
"""What every stack of a self-managed backend has for its organization."""


def owner_prefix(
    env: Mapping[str, str],
    project_backend: str | None,
    folder: Path | None = None,
    organization: str = NO_ORGANIZATION,
) -> str:
    """The part of an owner that all resources of a backend's organization share.

    Args:
        env: the environment; ``PULUMI_BACKEND_URL`` comes first.
        project_backend: the URL that the project file names, where it does; else the current login counts.
        folder: the project's folder: the same relative path is another backend in another folder.
        organization: whose stack it is, where the backend knows organizations.
    """
    place = absolute(backend_url(env, project_backend) or "", folder or Path.cwd()).rstrip("/")
    if organization != NO_ORGANIZATION:
        place = f"{place} {organization}"
    return hashlib.sha256(place.encode()).hexdigest()[:DIGEST_LENGTH]


def backend_url(env: Mapping[str, str], project_backend: str | None) -> str | None:
    """Where the engine keeps states: the environment, else the project file, else the current login says it."""
    return env.get("PULUMI_BACKEND_URL") or project_backend or _current_login(env)


def absolute(url: str, folder: Path) -> str:
    """A backend's URL, where its files are named relative to the project's folder, with their whole path."""
    path = url.removeprefix("file://")
    return f"file://{os.path.normpath(folder / path)}" if path != url and path.startswith(".") else url


def stated_owner(urn: str, organization: str, project_backend: str | None, folder: Path) -> str:
    """Whom a program starts a task for, as far as it knows: where its state is kept only the plugin process knows.

    With the Automation API, the program runs in a process that has neither the environment nor the folder of the CLI.
    But only the program is told which project file counts.

    Args:
        urn: of the resource.
        organization: of the stack.
        project_backend: the URL that the project file names, where it does; it counts where no environment names one.
        folder: the project's folder.
    """
    named = f"{owner_prefix({}, project_backend, folder, organization)}:" if project_backend else ""
    whose = f"{organization} " if organization != NO_ORGANIZATION else ""
    return f"{whose}{named}{urn}"


def resolved_owner(stated: str, env: Mapping[str, str], project_backend: str | None, folder: Path) -> str:
    """The owner that journal and state hold, from what a program has stated.

    Args:
        stated: by `stated_owner`.
        env: the environment of the CLI, which its plugins have as well.
        project_backend: the URL that the CLI's project file names, where it does and the program was not told.
        folder: the CLI's, by which a relative URL is meant.
    """
    before, found, rest = stated.partition(_URN)
    organization, _, named = before.rpartition(" ")
    urn = f"{found}{rest}"
    if named and not env.get("PULUMI_BACKEND_URL"):
        return f"{named}{urn}"
    return make_owner(owner_prefix(env, project_backend, folder, organization or NO_ORGANIZATION), urn)


def _current_login(env: Mapping[str, str]) -> str | None:
    home = env.get("PULUMI_HOME") or Path(env.get("HOME") or Path.home()) / ".pulumi"
    return _field(Path(env.get("PULUMI_CREDENTIALS_PATH") or home) / "credentials.json", "current")


def _field(file: Path, name: str) -> str | None:
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, str) else None
