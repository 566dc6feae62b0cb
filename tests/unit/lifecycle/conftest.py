"""Runs of the plugin on one journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.lifecycle.fakes import Runs


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path)
    yield made
    made.end()
