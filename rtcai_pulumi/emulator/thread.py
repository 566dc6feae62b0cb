"""The thread in which an emulator runs, and the requests that a test holds in it."""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final, Self, TypeVar

from rtcai_pulumi.emulator.admin.admin import Admin
from rtcai_pulumi.emulator.http.server import Server

T = TypeVar("T")

_TIMEOUT_SECONDS: Final = 30.0
"""Seconds that a caller waits for the emulator's thread before `TimeoutError` is raised."""


class EmulatorThread:
    """An emulator from the moment it accepts connections until it has ended."""

    def __init__(self, admin: Admin, server: Callable[[Callable[[], None]], Server]) -> None:
        self._admin = admin
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._server = server(lambda: self._started.set_result(asyncio.get_running_loop()))
        self._thread = Thread(target=self._serve, name="rtcai-emulator", daemon=True)
        self._thread.start()
        self._loop = self._started.result()

    @property
    def ended(self) -> bool:
        """Whether the emulator has stopped."""
        return not self._thread.is_alive()

    def run(self, work: Callable[[Admin], Coroutine[Any, Any, T]], seconds: float = 0.0) -> T:
        """Run a function in the emulator's event loop, where all changes are made. Call it from another thread.

        Args:
            work: the function.
            seconds: how long the function itself may take.
        """
        result = asyncio.run_coroutine_threadsafe(work(self._admin), self._loop).result(seconds + _TIMEOUT_SECONDS)
        # The result is copied here and not in the loop: a test that polls often must not slow down the emulator.
        return copy.deepcopy(result)

    def end(self) -> None:
        """Stop serving; returns when the thread has ended."""
        self._loop.call_soon_threadsafe(self._server.end)
        self._thread.join()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve_until_end())
        except BaseException as error:  # the caller that waits for the start must receive any error
            if self._started.done():
                raise
            self._started.set_exception(error)


class Hold:
    """Requests that are held at one point; created by `Emulator.hold`. Its methods may be called from any thread.

    As a context manager, it releases the requests at the end of the block.
    """

    def __init__(self, thread: EmulatorThread, fault: int) -> None:
        self._thread = thread
        self.fault = fault
        """Number of the fault that holds the requests."""

    def __enter__(self) -> Self:
        """Return this hold."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the requests."""
        self.release()

    def wait(self, count: int = 1, timeout: float = 30.0) -> None:
        """Wait until this many requests have been held, including those whose client has disconnected since.

        Raises:
            TimeoutError: fewer requests were held after ``timeout`` seconds.
            LookupError: the hold was released or removed before, or the emulator was reset or stopped.
        """
        if self._thread.ended:
            message = "the emulator has stopped"
            raise LookupError(message)
        self._thread.run(lambda admin: admin.wait_until_held(self.fault, count, timeout), timeout)

    def count_held(self) -> int:
        """Return how many requests are held now.

        Raises:
            LookupError: the hold was removed, or the emulator was reset.
        """
        held: int = self._thread.run(lambda admin: admin.fault(self.fault))["held"]
        return held

    def release(self) -> None:
        """Let the held requests continue, and hold no further ones. Does nothing if the hold is over."""
        if not self._thread.ended:
            try:
                self._thread.run(lambda admin: admin.release(self.fault))
            except LookupError:
                return  # removed or reset before: its requests already continue or were disconnected
