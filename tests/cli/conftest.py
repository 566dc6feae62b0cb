from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.cli.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Emulator() as emulator:
        yield Service(emulator, tmp_path)
