"""The HTTP server: a loopback port, a callback when it is ready, and a clean shutdown."""

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
"""Longer than clients keep idle connections: a connection must not be closed while a request is on its way."""
_GRACE_SECONDS: Final = 1
"""Seconds that running requests get at shutdown."""


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a loopback port; 0 picks a free one.

    Raises:
        PortTaken: another process listens on the port.
        CannotStart: the system does not allow it.
    """
    # The protocol is given explicitly: asyncio sets TCP_NODELAY only if it sees it, and without it answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Allow immediate reuse of a port that the last emulator has just released.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} of {HOST} is already in use; choose another port, or 0 for a free one"
            raise PortTaken(message) from None
        message = f"cannot listen on port {port} of {HOST}: {error.strerror}"
        raise CannotStart(message) from None
    return listener


def format_url(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


class Server(uvicorn.Server):
    """Serves until `end`, SIGTERM or SIGINT. A signal is a normal end, so the process can exit with 0.

    Args:
        app: the application that answers.
        listener: the listening socket; closed at the end.
        on_ready: called when connections are accepted.
        on_shutdown: called when the shutdown begins, to release requests that would otherwise wait forever.
    """

    def __init__(
        self, app: Starlette, listener: socket.socket, on_ready: Callable[[], None], on_shutdown: Callable[[], None]
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
            date_header=False,  # the date comes from the emulator's clock
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=2 * _GRACE_SECONDS,
        )
        super().__init__(config)
        self._listener = listener
        self._on_ready = on_ready
        self._on_shutdown = on_shutdown

    async def serve_until_end(self) -> None:
        """Accept connections, call `on_ready`, and return after the shutdown. The listener is closed then."""
        await self.serve(sockets=[self._listener])

    def end(self) -> None:
        """Stop serving; a second call does not wait for running requests. Call it in the server's event loop."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, then call `on_ready`."""
        await super().startup(sockets=sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. A client that has not sent its whole request, or does not read the answer, is disconnected after the
        grace period.
        """
        self._on_shutdown()
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
        """Treat SIGTERM and SIGINT as a normal end; uvicorn itself raises them again afterwards."""
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
