"""Ends the waits of requests when the emulator is reset or stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from rtcai_pulumi.emulator.errors import ClientGone, RequestDropped

T = TypeVar("T")


class Client(Protocol):
    """The client that sent a request."""

    async def gone(self) -> None:
        """Return when the client has disconnected."""


class Waits:
    """All waits of one emulator. Apart from these, the emulator waits only for the disk."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self.ended = False
        """Whether the emulator has ended; after that no request waits."""

    async def until(self, coming: Coroutine[Any, Any, T], client: Client | None = None) -> T:
        """Wait for something. If a client is given, stop waiting when it disconnects.

        Raises:
            Dropped: the emulator was reset or stopped first.
            ClientGone: the client disconnected first.
        """
        over = asyncio.ensure_future(self._over.wait())
        came = asyncio.ensure_future(coming)
        gone = asyncio.ensure_future(client.gone()) if client else None
        watched = [future for future in (over, came, gone) if future]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            # This is checked first: a request that continues after a reset would leave a task in an emulator that was
            # just emptied.
            if over.done():
                raise RequestDropped
            if came.done():
                return came.result()
            raise ClientGone
        finally:
            for future in watched:
                future.cancel()
            await asyncio.gather(*watched, return_exceptions=True)

    def drop(self) -> None:
        """End all current waits."""
        over, self._over = self._over, asyncio.Event()
        over.set()

    def end(self) -> None:
        """End all current waits, and all later ones."""
        self.ended = True
        self._over.set()
