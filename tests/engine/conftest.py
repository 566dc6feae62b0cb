"""An emulator and a stack for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack
from tests.postgres.server import Server


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def any_journal(request: pytest.FixtureRequest, stack: Stack) -> None:
    """The stack's journal is in a file, or in a database, as the parameter says."""
    if request.param == "database":
        server: Server = request.getfixturevalue("database_server")
        stack.environment["RTCAI_JOURNAL"] = server.url()


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Stack:
    return Stack(tmp_path, emulator)
