"""Ends the waits of requests when the emulator is reset or stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from rtcai_pulumi.emulator.errors import ClientGone, RequestDropped

T = TypeVar("T")


class Client(Protocol):
    """The client that sent a request."""

    async def wait_for_disconnect(self) -> None:
        """Return when the client has disconnected."""


class Waits:
    """All waits of one emulator. Apart from these, the emulator waits only for the disk."""

    def __init__(self) -> None:
        self._dropped = asyncio.Event()
        self.ended = False
        """Whether the emulator has ended; after that no request waits."""

    async def until(self, work: Coroutine[Any, Any, T], client: Client | None = None) -> T:
        """Wait for something. If a client is given, stop waiting when it disconnects.

        Raises:
            RequestDropped: the emulator was reset or stopped first.
            ClientGone: the client disconnected first.
        """
        dropped = asyncio.ensure_future(self._dropped.wait())
        task = asyncio.ensure_future(work)
        disconnect = asyncio.ensure_future(client.wait_for_disconnect()) if client else None
        futures = [future for future in (dropped, task, disconnect) if future]
        try:
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            # This is checked first: a request that continues after a reset would leave a task in an emulator that was
            # just emptied.
            if dropped.done():
                raise RequestDropped
            if task.done():
                return task.result()
            raise ClientGone
        finally:
            for future in futures:
                future.cancel()
            await asyncio.gather(*futures, return_exceptions=True)

    def drop(self) -> None:
        """End all current waits."""
        dropped, self._dropped = self._dropped, asyncio.Event()
        dropped.set()

    def end(self) -> None:
        """End all current waits, and all later ones."""
        self.ended = True
        self._dropped.set()
