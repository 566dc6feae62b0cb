"""Loading modules that stay: Python searches for garbage again afterwards."""

import gc
import threading
from collections.abc import Iterator

import pytest

from rtcai_pulumi.module_loading import load_for_good


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_nothing_is_searched_in_the_block_and_what_was_loaded_is_not_searched_later() -> None:
    with load_for_good():
        assert not gc.isenabled()
        before = gc.get_freeze_count()
    assert gc.isenabled()
    assert gc.get_freeze_count() > before


def test_a_program_that_searches_for_no_garbage_is_left_as_it_is() -> None:
    gc.disable()
    with load_for_good():
        pass
    assert not gc.isenabled()


def test_it_is_enabled_again_after_an_error() -> None:
    with pytest.raises(ImportError), load_for_good():
        raise ImportError
    assert gc.isenabled()


def test_two_threads_may_load_at_the_same_time() -> None:
    both, first_is_over = threading.Barrier(2), threading.Event()

    def load_longer() -> None:
        with load_for_good():
            both.wait()
            first_is_over.wait()

    other = threading.Thread(target=load_longer)
    other.start()
    with load_for_good():
        both.wait()
    first_is_over.set()
    other.join()
    assert gc.isenabled()
