"""The client's connection: whether it is still open, and how it is closed."""

import asyncio
import socket
import struct
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORT: Final = "rtcai.transport"
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing discards unsent data and sends RST instead of FIN."""


class TransportProtocol(H11Protocol):
    """HTTP/1.1 that gives each request access to its transport; ASGI itself cannot reset a connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Store the transport."""
        super().connection_made(transport)
        # uvicorn copies this into the scope of every request of the connection.
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class Connection:
    """The connection of one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def wait_for_disconnect(self) -> None:
        """Return when the client has disconnected. Call it after the whole request was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, response: Response) -> None:
        """Send an answer; does nothing if the client has disconnected."""
        await response(self._scope, self._receive, self._send)

    async def half_answer(self, response: Response) -> None:
        """Send all headers and half of the body, then close the connection."""
        start: dict[str, Any] = {"status": response.status_code, "headers": response.raw_headers}
        half = bytes(response.body[: len(response.body) // 2])
        await self._send({"type": "http.response.start", **start})
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        self._transport.close()
        await self.wait_for_disconnect()

    async def reset(self) -> None:
        """Reset the connection with RST."""
        if not self._transport.is_closing():
            connected: socket.socket = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection without an answer."""
        self._transport.abort()
        # uvicorn reports a request that ends without an answer as an error, unless it knows that the client has gone.
        await self.wait_for_disconnect()

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._scope["state"][_TRANSPORT]
        return transport
