"""Works on several agents or rooms at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")

AT_ONCE: Final = 8
"""How many items are worked on at the same time."""


def work_in_parallel(
    items: Iterable[_Item],
    work: Callable[[_Item], _Outcome],
    on_interrupt: Callable[[], None],
    *,
    at_once: int = AT_ONCE,
) -> Iterator[_Outcome]:
    """Work on each item. After an interrupt, nothing further is begun, and the work in progress is finished.

    Args:
        items: the items.
        work: returns the outcome of one item.
        on_interrupt: called at an interrupt, before the wait for the work in progress.
        at_once: how many items are worked on at the same time.

    Yields:
        Each outcome as soon as it is there, so in no particular order.
    """
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            on_interrupt()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
