"""One thread with one event loop, in which an emulator serves."""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final, TypeVar

from rtcai_pulumi.emulator.admin import Admin
from rtcai_pulumi.emulator.server import Server

T = TypeVar("T")

_PATIENCE: Final = 30.0
"""Seconds that a caller waits for the emulator's thread before it gets `TimeoutError`."""


class Running:
    """An emulator from the moment it accepts connections until it has ended."""

    def __init__(self, admin: Admin, server: Callable[[Callable[[], None]], Server]) -> None:
        self._admin = admin
        self._accepting: Future[asyncio.AbstractEventLoop] = Future()
        self._server = server(lambda: self._accepting.set_result(asyncio.get_running_loop()))
        self._thread = Thread(target=self._serve, name="rtcai-emulator", daemon=True)
        self._thread.start()
        self._loop = self._accepting.result()

    @property
    def ended(self) -> bool:
        """Whether it serves no more."""
        return not self._thread.is_alive()

    def ask(self, work: Callable[[Admin], Coroutine[Any, Any, T]], seconds: float = 0.0) -> T:
        """Do something where all changes are made, in the emulator's event loop; to be called from another thread.

        Args:
            work: what to do.
            seconds: how long it may take by itself.
        """
        answer = asyncio.run_coroutine_threadsafe(work(self._admin), self._loop).result(seconds + _PATIENCE)
        # Copied here and not in the loop: a test that looks often must not slow down what it looks at.
        return copy.deepcopy(answer)

    def end(self) -> None:
        """Stop serving; returns once nothing of it is left."""
        self._loop.call_soon_threadsafe(self._server.end)
        self._thread.join()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve_until_end())
        except BaseException as error:  # whoever waits for the start must hear of it, whatever it was
            if self._accepting.done():
                raise
            self._accepting.set_exception(error)
