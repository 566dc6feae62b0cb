"""What tests without the engine share."""

from collections.abc import Iterator

import pytest
from pulumi.runtime.settings import SETTINGS


@pytest.fixture
def no_outputs() -> Iterator[None]:
    """Nothing for which the SDK would wait in another test."""
    before = set(SETTINGS.outputs)
    yield
    SETTINGS.outputs.clear()
    SETTINGS.outputs.update(before)
