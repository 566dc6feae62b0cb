"""The fixtures of all tests of the make targets."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.network import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def environ(scrubbed_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The scrubbed environment, also without the settings of the `make` that runs the tests.

    A stack that is opened replaces the environment of its process, so it is restored afterwards.
    """
    for name in list(os.environ):
        # Without PYTHONUNBUFFERED, the tests see whether a target prints each line at once.
        if name.startswith(("MAKE", "MFLAGS", "PULUMI_", "PYTHONUNBUFFERED")):
            monkeypatch.delenv(name)
    own = dict(os.environ)
    yield dict(own)
    os.environ.clear()
    os.environ.update(own)


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(name="free_port")
def a_free_port() -> int:
    """A port of this machine on which no process listens."""
    return free_port()


def tasks_of(endpoint: str) -> list[dict[str, Any]]:
    """All tasks that an emulator knows."""
    return list(httpx.get(f"{endpoint}/-/tasks", trust_env=False).raise_for_status().json()["tasks"])
