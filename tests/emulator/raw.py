"""A client of plain sockets, and events to wait for: what httpx hides and no method of the emulator reports."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from tests.emulator.api import JSON, Api, body


@contextmanager
def sent(api: Api, content: Any = None, headers: dict[str, str] | None = None) -> Iterator[socket.socket]:
    """A connection over which a complete create was sent."""
    raw = json.dumps(body() if content is None else content).encode()
    own = {**(headers or api.signed()), "Host": "x", "Content-Type": JSON, "Content-Length": str(len(raw))}
    head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    address = urlsplit(api.emulator.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as client:
        client.sendall(f"POST /v1/api/task/create HTTP/1.1\r\n{head}\r\n".encode() + raw)
        yield client


def until_end(client: socket.socket) -> bytes:
    """Everything that still arrives, until the other side closes the connection in the regular way."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Return once a condition is true for which no event exists."""
    patience = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < patience


@contextmanager
def logged(text: str, count: int = 1) -> Iterator[Event]:
    """An event that is set once a text has appeared this many times in the emulator's log."""
    seen, event = [0], Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen[0] += text in record.getMessage()
            if seen[0] >= count:
                event.set()

    logger, watch = logging.getLogger("rtcai_pulumi.emulator"), Watch()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(watch)
    try:
        yield event
    finally:
        logger.removeHandler(watch)
        logger.setLevel(level)
