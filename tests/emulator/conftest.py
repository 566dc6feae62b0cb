from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from tests.emulator.api import Api


@pytest.fixture(scope="session")
def long_running() -> Iterator[Emulator]:
    """One emulator for all tests that do not need their own."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(long_running: Emulator) -> Emulator:
    """An emulator in the same state as after its start."""
    long_running.clock.offset = 0.0
    long_running.change_settings(rooms="auto", dedup="ignore", max_rps=None, retry_after=False)
    long_running.change_settings(start_seconds=0.0, end_seconds=None, tasks_end_with_room=True)
    long_running.reset()
    return long_running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Api]:
    with httpx.Client(base_url=emulator.url, trust_env=False, timeout=60) as http:
        yield Api(emulator, http)


@pytest.fixture
def apart(emulator: Emulator) -> Iterator[Executor]:
    """Threads for requests that are not answered immediately."""
    with ThreadPoolExecutor(32) as pool:
        yield pool
        emulator.reset()  # a test that failed early has left requests that otherwise would never continue
