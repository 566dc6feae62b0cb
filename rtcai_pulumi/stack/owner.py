"""Builds the owner of a resource from its backend, organization and URN.

A URN contains neither backend nor organization, so a digest must distinguish equal stacks in different ones. The URL of
the backend is hashed because it may contain a password; of the URL of a database, only host, database and table count.
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
_AGENT_OF_EVENT: Final = "rtcai:index:EventRooms$pulumi-python:dynamic/rtcai:RealtimeConversation::"
_ROOM_OF_EVENT: Final = "rtcai:index:EventRooms$pulumi-python:dynamic/rtcai:Room::"


NO_ORGANIZATION: Final = "organization"
"""The organization of every stack in a self-managed backend."""


def owner_prefix(
    env: Mapping[str, str],
    project_backend: str | None,
    folder: Path | None = None,
    organization: str = NO_ORGANIZATION,
) -> str:
    """Return the part of an owner that all resources of a backend's organization share.

    Args:
        env: the environment; ``PULUMI_BACKEND_URL`` takes precedence.
        project_backend: URL from the project file; if there is none, the current login is used.
        folder: the project's folder: the same relative path is another backend in another folder.
        organization: organization of the stack, if the backend has organizations.
    """
    url = _without_credentials(backend_url(env, project_backend) or "")
    place = make_absolute(url, folder or Path.cwd()).rstrip("/")
    if organization != NO_ORGANIZATION:
        place = f"{place} {organization}"
    return hashlib.sha256(place.encode()).hexdigest()[:DIGEST_LENGTH]


def _without_credentials(url: str) -> str:
    """Return a backend's URL without what differs between the users of one database: name, password and options.

    Otherwise a new password, or a machine with another user, would make the agents of a stack those of another stack.
    """
    if not url.startswith(("postgres://", "postgresql://")):
        return url
    base, _, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    table = "&".join(option for option in query.split("&") if option.startswith("table="))
    return f"{scheme}://{rest.rpartition('@')[2]}{f'?{table}' if table else ''}"


def backend_url(env: Mapping[str, str], project_backend: str | None) -> str | None:
    """Return the URL where the engine stores states: from the environment, the project file or the current login."""
    return env.get("PULUMI_BACKEND_URL") or project_backend or _current_login(env)


def make_absolute(url: str, folder: Path) -> str:
    """Return a backend's URL; a path relative to the project's folder is made absolute."""
    path = url.removeprefix("file://")
    return f"file://{os.path.normpath(folder / path)}" if path != url and path.startswith(".") else url


def program_owner(urn: str, organization: str, project_backend: str | None, folder: Path) -> str:
    """Return the owner of a task as far as the program knows it: only the plugin process knows the backend.

    With the Automation API, the program runs in a process that has neither the environment nor the folder of the CLI.
    But only the program knows which project file is used.

    Args:
        urn: URN of the resource.
        organization: organization of the stack.
        project_backend: URL from the project file, if there is one; used if the environment names no backend.
        folder: the project's folder.
    """
    digest = f"{owner_prefix({}, project_backend, folder, organization)}:" if project_backend else ""
    organization_part = f"{organization} " if organization != NO_ORGANIZATION else ""
    return f"{organization_part}{digest}{urn}"


def resolve_owner(partial_owner: str, env: Mapping[str, str], project_backend: str | None, folder: Path) -> str:
    """Return the owner that journal and state store, from the owner that the program has sent.

    Args:
        partial_owner: the result of `program_owner`.
        env: the environment of the CLI, which its plugins inherit.
        project_backend: URL from the CLI's project file, if there is one and the program did not know it.
        folder: the folder of the CLI, to which a relative URL refers.
    """
    place, urn = split_owner(partial_owner)
    return make_owner(resolve_place(place, env, project_backend, folder), urn)


def split_owner(partial_owner: str) -> tuple[str, str]:
    """Return what a program's owner says of organization and backend, which all of its resources share, and the URN."""
    place, prefix, rest = partial_owner.partition(_URN)
    return place, f"{prefix}{rest}"


def resolve_place(place: str, env: Mapping[str, str], project_backend: str | None, folder: Path) -> str:
    """Return the first part of the owners that journal and state store; see `resolve_owner`."""
    organization, _, digest = place.rpartition(" ")
    if digest and not env.get("PULUMI_BACKEND_URL"):
        return digest.rstrip(":")
    return owner_prefix(env, project_backend, folder, organization or NO_ORGANIZATION)


def prefix_of(owner: str) -> str:
    """Return the part of an owner that all resources of a backend's organization share; see `owner_prefix`."""
    return owner.partition(":")[0]


def owner_of_event_room(owner: str) -> str | None:
    """Return the owner of the room that an event opens for an agent; None if the agent is not one of an event.

    The room and the agent of an event have the same name, and the event as their parent.
    """
    before, agent, name = owner.partition(_AGENT_OF_EVENT)
    return f"{before}{_ROOM_OF_EVENT}{name}" if agent else None


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
