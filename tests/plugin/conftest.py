"""An emulator and a plugin process for each module."""

from collections.abc import Iterator

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.plugin.plugin import Plugin, running_plugin


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def plugin(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    with running_plugin(tmp_path_factory.mktemp("state") / "journal.db", **emulator.environment) as running:
        running.configure()
        yield running
