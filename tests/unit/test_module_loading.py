"""Loading modules that stay: Python searches for garbage again afterwards, and the plugin finds its thread pool."""

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rtcai_pulumi.module_loading import pause_garbage_collection

CONFIGURE = """
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from rtcai_pulumi.provider import ConversationProvider

pool = ThreadPoolExecutor(max_workers=4)
pool.submit(ConversationProvider().configure, SimpleNamespace(config={})).result()
print(pool._max_workers)
"""


DECLARE = """
import gc
import pulumi.dynamic

searches = []
gc.callbacks.append(lambda phase, _: searches.append(phase))
from rtcai_pulumi import RealtimeConversation
from rtcai_pulumi.config.validation import check
check({"cname": "keynote"})
print(searches.count("start"))
"""


def run(program: str) -> Any:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    yield
    gc.enable()


def test_a_configured_provider_has_widened_the_pool_that_called_it() -> None:
    assert run(CONFIGURE) == 32


def test_a_program_that_imports_the_package_hardly_searches_for_garbage() -> None:
    """There may be a search after each block; without the blocks, there were about thirty."""
    assert run(DECLARE) < 5


def test_nothing_is_searched_in_the_block() -> None:
    with pause_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_program_that_searches_for_no_garbage_is_left_as_it_is() -> None:
    gc.disable()
    with pause_garbage_collection():
        pass
    assert not gc.isenabled()


def test_it_is_enabled_again_after_an_error() -> None:
    with pytest.raises(ImportError), pause_garbage_collection():
        raise ImportError
    assert gc.isenabled()


def test_two_threads_may_load_at_the_same_time() -> None:
    both, first_is_over = threading.Barrier(2), threading.Event()

    def load_longer() -> None:
        with pause_garbage_collection():
            both.wait()
            first_is_over.wait()

    other = threading.Thread(target=load_longer)
    other.start()
    with pause_garbage_collection():
        both.wait()
    first_is_over.set()
    other.join()
    assert gc.isenabled()
