"""The client's side of a request: whether it is still connected, and how the connection is closed."""

import asyncio
import socket
import struct
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORT: Final = "rtcai.transport"
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER for 0 seconds: closing throws away what is not sent yet, and sends RST instead of FIN."""


class TransportProtocol(H11Protocol):
    """HTTP/1.1 that lets each request know the transport it came over; ASGI itself cannot break a connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Note the transport."""
        super().connection_made(transport)
        # uvicorn copies this into the scope of every request of the connection.
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class Connection:
    """What one request came over."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def gone(self) -> None:
        """Return once the client has gone away. To be called after the whole request was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, response: Response) -> None:
        """Send an answer; nothing happens where the client has gone."""
        await response(self._scope, self._receive, self._send)

    async def half_answer(self, response: Response) -> None:
        """Send all headers and half of the body, and close the connection."""
        start: dict[str, Any] = {"status": response.status_code, "headers": response.raw_headers}
        half = bytes(response.body[: len(response.body) // 2])
        await self._send({"type": "http.response.start", **start})
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        self._transport.close()
        await self.gone()

    async def reset(self) -> None:
        """Break the connection with RST."""
        if not self._transport.is_closing():
            connected: socket.socket = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection without an answer."""
        self._transport.abort()
        # The server takes a request that ends without an answer for a mistake, unless its client is known to be gone.
        await self.gone()

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._scope["state"][_TRANSPORT]
        return transport
