"""Which backend a stack's state is kept in, and how to show it without its password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rtcai_pulumi.lifecycle.owner import owner_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = "PULUMI_BACKEND_URL"


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend, as the journal's owners name it."""

    source: str
    """Where it was taken from."""
    url: str | None
    """Without user, password and query; None for the current login."""
    digest: str
    """The part of an owner that all its resources share."""

    def __str__(self) -> str:
        return f"{self.url} ({self.source})" if self.url else self.source


def backend_of(env: Mapping[str, str], stated: str | None) -> Backend:
    """The backend that an option states, else the environment, else the current login."""
    url = stated or env.get(_VARIABLE)
    digest = owner_prefix({**env, _VARIABLE: url or ""}, None)
    if stated:
        return Backend("--backend", _without_secrets(stated), digest)
    return Backend(_VARIABLE, _without_secrets(url), digest) if url else Backend("the current login", None, digest)


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else "a URL without scheme"
