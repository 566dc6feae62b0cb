import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rtcai_pulumi.engine import widen_pool

SECONDS = 30


@pytest.mark.parametrize("before", [1, 4, 8, 20])
def test_as_many_calls_run_at_once_as_the_widened_pool_has_places(before: int) -> None:
    """However many of them came in while there were four threads."""
    running, all_in, over = threading.Semaphore(0), threading.Event(), threading.Event()

    def first() -> None:
        assert all_in.wait(SECONDS)
        widen_pool(32)
        call()

    def call() -> None:
        running.release()
        assert over.wait(SECONDS)

    with ThreadPoolExecutor(4) as pool:
        pool.submit(first)
        for _ in range(1, before):
            pool.submit(call)
        all_in.set()
        assert running.acquire(timeout=SECONDS)  # the pool is wide
        for _ in range(20 - before):
            pool.submit(call)
        try:
            assert all(running.acquire(timeout=SECONDS) for _ in range(19))
        finally:
            over.set()


def test_a_thread_of_no_pool_changes_none() -> None:
    with ThreadPoolExecutor(4) as pool:
        pool.submit(int).result()
        widen_pool(32)
        assert pool._max_workers == 4
