import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from rtcai_pulumi.emulator.errors import ClientGone, RequestDropped
from rtcai_pulumi.emulator.faults.cancellation import Waits


class Somebody:
    """A client that disconnects on request."""

    def __init__(self) -> None:
        self.going = asyncio.Event()

    async def wait_for_disconnect(self) -> None:
        await self.going.wait()


async def waiting(waits: Waits, coming: Coroutine[Any, Any, Any], client: Somebody | None = None) -> asyncio.Task[Any]:
    """A wait that has begun."""
    task = asyncio.create_task(waits.until(coming, client))
    for _ in range(3):
        await asyncio.sleep(0)
    return task


def test_it_returns_what_came() -> None:
    assert asyncio.run(Waits().until(asyncio.sleep(0, "it"), None)) == "it"


def test_it_raises_what_came_to_nothing() -> None:
    async def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(Waits().until(broken()))


def test_it_ends_when_the_client_goes_away() -> None:
    async def main() -> None:
        client = Somebody()
        task = await waiting(Waits(), asyncio.Event().wait(), client)
        client.going.set()
        await task

    with pytest.raises(ClientGone):
        asyncio.run(main())


def test_a_client_that_stays_ends_nothing() -> None:
    async def main() -> Any:
        return await Waits().until(asyncio.sleep(0, "it"), Somebody())

    assert asyncio.run(main()) == "it"


def test_what_waits_is_dropped_and_what_waits_later_is_not() -> None:
    async def main() -> None:
        waits = Waits()
        task = await waiting(waits, asyncio.Event().wait())
        waits.drop()
        assert await waits.until(asyncio.sleep(0, "it")) == "it"
        await task

    with pytest.raises(RequestDropped):
        asyncio.run(main())


def test_after_the_end_everything_is_dropped() -> None:
    async def main() -> None:
        waits = Waits()
        waits.end()
        await waits.until(asyncio.Event().wait())

    with pytest.raises(RequestDropped):
        asyncio.run(main())


def test_what_comes_at_the_moment_of_a_drop_is_dropped() -> None:
    async def main() -> None:
        waits, came = Waits(), asyncio.Event()
        task = await waiting(waits, came.wait())
        came.set()
        waits.drop()
        await task

    with pytest.raises(RequestDropped):
        asyncio.run(main())


def test_it_leaves_nothing_that_runs() -> None:
    async def main() -> int:
        waits, client = Waits(), Somebody()
        task = await waiting(waits, asyncio.Event().wait(), client)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await waits.until(asyncio.sleep(0), client)
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
