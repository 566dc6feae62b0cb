"""A real proxy and a real TLS server on loopback, in front of a server that speaks plain HTTP there."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import trustme


class Front:
    """Listens on loopback and forwards to a port. It runs in its own thread.

    Args:
        port: the port to which everything is forwarded, no matter which host the client names.
        tls: the context of a TLS server; None: a proxy, which understands ``CONNECT`` and complete URLs.
        refuses: the status line with which the proxy refuses; None: it does not refuse.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None, refuses: str | None) -> None:
        self._target = port
        self._tls = tls
        self._refuses = refuses
        self.asked: list[str] = []
        """The requests to the proxy, for example ``CONNECT example.com:443``."""
        self.connections = 0
        self.port = 0
        self._ready = Event()
        self._end: Callable[[], object] = lambda: None

    def serve(self) -> None:
        """Serve until `end`. Requests that are then in flight are dropped."""
        asyncio.run(self._serve())

    def end(self) -> None:
        self._end()

    def wait(self) -> None:
        assert self._ready.wait(30)

    async def _serve(self) -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        self._end = partial(loop.call_soon_threadsafe, ended.set)
        async with await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=self._tls) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await ended.wait()
            server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = b"" if self._tls else await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b" ")
        url, _, version = rest.partition(b" ")
        if head:
            self.asked.append(f"{method.decode()} {url.decode()}")
        if self._refuses:
            writer.write(f"HTTP/1.1 {self._refuses}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            if method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            elif head:
                parts = urlsplit(url.decode())
                path = parts.path + (f"?{parts.query}" if parts.query else "")
                back.write(b"%s %s %s" % (method, path.encode(), version))
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            back.close()
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # ssl.SSLError is a subclass
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextmanager
def running(port: int, tls: ssl.SSLContext | None = None, refuses: str | None = None) -> Iterator[Front]:
    """A front that serves while the block runs."""
    front = Front(port, tls, refuses)
    thread = Thread(target=front.serve, daemon=True)
    thread.start()
    front.wait()
    try:
        yield front
    finally:
        front.end()
        thread.join()


class Tls:
    """Its own certificate authority, and the certificates that it issues.

    Args:
        folder: where its certificate is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.bundle = str(folder / "authority.pem")
        self.authority.cert_pem.write_to_path(self.bundle)

    def context(self, host: str) -> ssl.SSLContext:
        """The TLS context of a server with this name or address."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(host).configure_cert(context)
        return context


def free_port() -> int:
    """A loopback port on which no process listens, below the ports that the system itself assigns to other tests.

    Each process searches from a place of its own: a port is returned some time before it is used, and a test in
    another process must not get it meanwhile.
    """
    for port in range(20_000 + os.getpid() * 97 % 11_000, 32_000):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
