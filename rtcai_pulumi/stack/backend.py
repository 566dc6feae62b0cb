"""Finds the backend of a stack, and formats its URL without the password."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rtcai_pulumi.stack.owner import NO_ORGANIZATION, backend_url, make_absolute, owner_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

BACKEND_VARIABLE: Final = "PULUMI_BACKEND_URL"
"""Names the backend for the Pulumi CLI; takes precedence over the project file and the current login."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend, as it appears in the owners of the journal."""

    source: str
    """Where the URL was found."""
    url: str | None
    """Without user, password and query; None for the current login."""
    digest: str
    """The part of an owner that all resources of the backend share."""
    location: str | None = field(default=None, repr=False)
    """The whole URL, which may contain a password; None if it is unknown even from the login."""
    organization: str = NO_ORGANIZATION
    """The organization of the stack, if the backend has organizations."""

    @property
    def hosted(self) -> bool:
        """Whether the backend has organizations: Pulumi Cloud, or a self-hosted one."""
        return urlsplit(self.location or "").scheme in {"http", "https"}

    def __str__(self) -> str:
        whose = f", organization {self.organization}" if self.organization != NO_ORGANIZATION else ""
        return f"{self.url}{whose} ({self.source})" if self.url else f"{self.source}{whose}"


def backend_of(
    env: Mapping[str, str],
    option: str | None,
    project: str | None = None,
    folder: Path | None = None,
    organization: str = NO_ORGANIZATION,
) -> Backend:
    """Return the backend given by an option, else by the environment, the project file or the current login.

    Args:
        env: the environment.
        option: URL from the option.
        project: URL from the project file, if it was read.
        folder: the project's folder; by default the current one.
        organization: organization of the stack, if the backend has organizations.
    """
    folder = (folder or Path()).absolute()
    url = option or env.get(BACKEND_VARIABLE) or project
    environment = {**env, BACKEND_VARIABLE: url or ""}
    digest = owner_prefix(environment, None, folder, organization)
    location = make_absolute(backend_url(environment, None) or "", folder) or None
    if url is None:
        return Backend("the current login", None, digest, location, organization)
    source = "--backend" if option else BACKEND_VARIABLE if env.get(BACKEND_VARIABLE) else "the project file"
    return Backend(source, _without_secrets(url), digest, location, organization)


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else "a URL without scheme"
