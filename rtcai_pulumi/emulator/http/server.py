"""The HTTP server: a port of this machine, a callback when it is ready, and a quiet shutdown."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Final

import uvicorn
from starlette.applications import Starlette

from rtcai_pulumi.emulator.errors import CannotStart, PortTaken
from rtcai_pulumi.emulator.http.connection import TransportProtocol

HOST: Final = "127.0.0.1"
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than clients keep idle connections, so that none is closed while a request is on its way into it."""
_GRACE_SECONDS: Final = 1
"""What a request that still runs gets at the end."""


def listening(port: int) -> socket.socket:
    """A socket that listens on a port of the loopback interface; 0 picks a free one.

    Raises:
        PortTaken: something listens there already.
        CannotStart: the system does not allow it.
    """
    # The protocol is spelled out because asyncio sets TCP_NODELAY only where it sees it; else answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port that the last emulator left a moment ago can be used at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} of {HOST} is taken by another program; choose another port, or 0 for a free one"
            raise PortTaken(message) from None
        message = f"cannot listen on port {port} of {HOST}: {error.strerror}"
        raise CannotStart(message) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL that leads to a listening socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


class Server(uvicorn.Server):
    """Serves until `end`, SIGTERM or SIGINT; a signal is a normal end, so the process may exit with 0.

    Args:
        app: what answers.
        listener: what it listens on; closed at the end.
        ready: called once connections are accepted.
        ending: called when the end begins, to let go of requests that would wait for ever.
    """

    def __init__(
        self, app: Starlette, listener: socket.socket, ready: Callable[[], None], ending: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=TransportProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,  # below, uvicorn may log headers
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,  # the emulator's clock tells the date
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=2 * _GRACE_SECONDS,
        )
        super().__init__(config)
        self._listener = listener
        self._ready = ready
        self._ending = ending

    async def serve_until_end(self) -> None:
        """Accept connections, call back once that is so, and return after the end. The listener is closed then."""
        await self.serve(sockets=[self._listener])

    def end(self) -> None:
        """Stop serving; a second call does not wait for running requests. To be called in the server's loop."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, then tell so."""
        await super().startup(sockets=sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; who has not sent the whole request, or does not read the answer, is hung up on after the grace."""
        self._ending()
        hang_up = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._hang_up)
        try:
            await super().shutdown(sockets=sockets)
        finally:
            hang_up.cancel()
            self._hang_up()

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            if (transport := getattr(connection, "transport", None)) is not None:
                transport.abort()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Make SIGTERM and SIGINT a normal end; uvicorn's own way raises them again afterwards."""
        if current_thread() is not main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
