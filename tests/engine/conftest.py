"""An emulator and a stack for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Stack:
    return Stack(tmp_path, emulator)
