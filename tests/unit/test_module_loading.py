"""Loading modules that stay: Python searches for garbage again afterwards, and the plugin finds its thread pool."""

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rtcai_pulumi.module_loading import keep_what_is_loaded

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

generations = []
gc.callbacks.append(lambda _, about: generations.append(about["generation"]))
from rtcai_pulumi import RealtimeConversation
from rtcai_pulumi.config.validation import check
check({"cname": "keynote"})
print(generations)
"""

FREEZE = """
import gc
from rtcai_pulumi import RealtimeConversation
print(gc.get_freeze_count())
"""


def run(program: str, arguments: Sequence[str] = ()) -> Any:
    """What a program prints last, in a process with these arguments."""
    command = [sys.executable, "-c", program, *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.parametrize("arguments", [[], ["-m", "pulumi.dynamic"]], ids=["other process", "plugin"])
def test_a_configured_provider_has_widened_the_pool_that_called_it(arguments: list[str]) -> None:
    assert run(CONFIGURE, arguments) == 32


@pytest.mark.parametrize(
    ("arguments", "is_kept"),
    [([], False), (["-m", "pulumi.dynamic"], True), (["/opt/bin/pulumi-language-python-exec", "--monitor"], True)],
    ids=["other process", "plugin", "program"],
)
def test_only_what_serves_one_command_is_never_searched(arguments: list[str], is_kept: bool) -> None:
    assert (run(FREEZE, arguments) > 0) is is_kept


def test_a_program_that_imports_the_package_does_not_search_the_whole_sdk_for_garbage() -> None:
    assert max(run(DECLARE), default=0) < 2


def test_nothing_is_searched_in_the_block() -> None:
    with keep_what_is_loaded():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_program_that_searches_for_no_garbage_is_left_as_it_is() -> None:
    gc.disable()
    with keep_what_is_loaded():
        pass
    assert not gc.isenabled()


def test_it_is_enabled_again_after_an_error() -> None:
    with pytest.raises(ImportError), keep_what_is_loaded():
        raise ImportError
    assert gc.isenabled()


def test_two_threads_may_load_at_the_same_time() -> None:
    both, first_is_over = threading.Barrier(2), threading.Event()

    def load_longer() -> None:
        with keep_what_is_loaded():
            both.wait()
            first_is_over.wait()

    other = threading.Thread(target=load_longer)
    other.start()
    with keep_what_is_loaded():
        both.wait()
    first_is_over.set()
    other.join()
    assert gc.isenabled()
