"""What every test of the make targets starts from."""

import os
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def environ(scrubbed_environment: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The scrubbed environment, without the settings of the `make` that runs the tests either."""
    for name in list(os.environ):
        if name.startswith(("MAKE", "MFLAGS", "PULUMI_")):
            monkeypatch.delenv(name)
    return dict(os.environ)


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
