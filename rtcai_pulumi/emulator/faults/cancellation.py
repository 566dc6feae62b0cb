"""Ends the waits of requests when the emulator is reset or stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from rtcai_pulumi.emulator.errors import ClientGone, Dropped

T = TypeVar("T")


class Client(Protocol):
    """Who asked."""

    async def gone(self) -> None:
        """Return once it has gone away."""


class Waits:
    """Every wait of one emulator. Nothing else in it waits for more than the disk."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self.ended = False
        """Whether the emulator has ended: nothing waits any more."""

    async def until(self, coming: Coroutine[Any, Any, T], client: Client | None = None) -> T:
        """Wait for something; where a client is given, only as long as it is there.

        Raises:
            Dropped: the emulator was reset or stopped first.
            ClientGone: the client went away first.
        """
        over = asyncio.ensure_future(self._over.wait())
        came = asyncio.ensure_future(coming)
        gone = asyncio.ensure_future(client.gone()) if client else None
        watched = [future for future in (over, came, gone) if future]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            # First of all: what is let go on after a reset would leave a task in an emulator that has forgotten all.
            if over.done():
                raise Dropped
            if came.done():
                return came.result()
            raise ClientGone
        finally:
            for future in watched:
                future.cancel()
            await asyncio.gather(*watched, return_exceptions=True)

    def drop(self) -> None:
        """Let go of everything that waits now."""
        over, self._over = self._over, asyncio.Event()
        over.set()

    def end(self) -> None:
        """Let go of everything, also of what is yet to come."""
        self.ended = True
        self._over.set()
