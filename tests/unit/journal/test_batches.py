import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from rtcai_pulumi.journal.batches import Batches


class Unserved(Exception):
    pass


def test_what_waits_at_the_same_moment_is_served_together() -> None:
    sizes: list[int] = []
    first = threading.Event()

    def serve(batch: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(batch))
        if len(sizes) == 1:
            first.wait(10)
        return [number * 2 for number in batch]

    finished: list[bool] = []
    batches = Batches("test", serve, Unserved, lambda: finished.append(True))
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(batches.run, 0)]
        while not sizes:
            pass
        waiting += [threads.submit(batches.run, number) for number in range(1, 8)]
        while batches._requests.qsize() < 7:
            pass
        first.set()
        assert [each.result() for each in waiting] == [number * 2 for number in range(8)]
    assert sizes == [1, 7]
    batches.close()
    assert finished == [True]
    with pytest.raises(Unserved, match="this process is shutting down"):
        batches.run(1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_leaves_no_other_waiting() -> None:
    def fail(_: Sequence[int]) -> list[int | Exception]:
        raise MemoryError

    batches = Batches("test", fail, Unserved, lambda: None)
    with pytest.raises(Unserved, match="an earlier write failed"):
        batches.run(1)
    batches._thread.join()
    with pytest.raises(Unserved, match="an earlier write failed"):
        batches.run(2)
