import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from rtcai_pulumi.emulator.errors import ClientGone
from rtcai_pulumi.emulator.faults.cancellation import Waits
from rtcai_pulumi.emulator.faults.registry import Gate
from tests.emulator.test_cancellation import Somebody


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_what_comes_is_held_until_it_is_opened() -> None:
    async def scene() -> None:
        gate, waits = Gate(), Waits()
        held = [asyncio.create_task(gate.hold(waits, Somebody())) for _ in range(3)]
        await gate.wait_for_arrivals(3)
        assert (gate.arrivals, gate.held) == (3, 3)
        assert not any(task.done() for task in held)
        gate.open()
        await asyncio.gather(*held)
        assert (gate.arrivals, gate.held) == (3, 0)

    run(scene())


def test_an_open_gate_holds_nothing_up() -> None:
    async def scene() -> None:
        gate = Gate()
        gate.open()
        await asyncio.wait_for(gate.hold(Waits(), Somebody()), 10)
        assert (gate.arrivals, gate.held) == (1, 0)

    run(scene())


def test_who_has_gone_away_is_not_held_but_has_been() -> None:
    async def scene() -> None:
        gate, client = Gate(), Somebody()
        held = asyncio.create_task(gate.hold(Waits(), client))
        await gate.wait_for_arrivals(1)
        client.going.set()
        with pytest.raises(ClientGone):
            await held
        assert (gate.arrivals, gate.held) == (1, 0)
        await gate.wait_for_arrivals(1)

    run(scene())


def test_waiting_for_more_than_came_ends_when_it_is_opened() -> None:
    async def scene() -> None:
        gate = Gate()
        asyncio.get_running_loop().call_soon(gate.open)
        with pytest.raises(LookupError, match="0 of 2 requests were held when the fault was released"):
            await gate.wait_for_arrivals(2)

    run(scene())
