"""A point at which requests are held until it is opened."""

import asyncio

from rtcai_pulumi.emulator.waits import Client, Waits


class Gate:
    """Closed until `open` is called, then open for good."""

    def __init__(self) -> None:
        self.reached = 0
        """How many requests have come to it."""
        self.held = 0
        """How many stand before it now."""
        self._opened = asyncio.Event()
        self._moved = asyncio.Event()

    async def hold(self, waits: Waits, client: Client) -> None:
        """Hold a request.

        Raises:
            NoAnswer: the client went away, or the emulator was reset or stopped.
        """
        self.reached += 1
        self.held += 1
        self._tell()
        try:
            await waits.until(self._opened.wait(), client)
        finally:
            self.held -= 1

    def open(self) -> None:
        """Let everything go on."""
        self._opened.set()
        self._tell()

    async def until_reached(self, count: int) -> None:
        """Wait until so many requests have come to it, those included that have left again.

        Raises:
            LookupError: it was opened before.
        """
        while self.reached < count:
            if self._opened.is_set():
                message = f"{self.reached} of {count} requests were held when it was released"
                raise LookupError(message)
            await self._moved.wait()

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
