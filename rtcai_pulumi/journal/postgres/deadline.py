"""Ends calls that the server does not answer.

The server's own time-outs do not help if the server itself hangs, and keepalives do not if its kernel still answers.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_SECONDS: Final = 30.0
"""Seconds that a call may take; longer than the server's own time-outs."""
_LOOK_SECONDS: Final = 1.0

_calls: Final[dict[Any, tuple[float, Any]]] = {}
"""The running calls, each with the time at which it must have ended, and its connection."""
_lock: Final = threading.Lock()
_thread: threading.Thread | None = None


@contextmanager
def limit_answer(connection: Any) -> Iterator[None]:
    """Shut the connection down if the block takes too long; the waiting call then finds that it was lost."""
    global _thread  # noqa: PLW0603  one thread watches the connections of this process
    call = object()
    with _lock:
        _calls[call] = (time.monotonic() + ANSWER_SECONDS, connection)
        if _thread is None:
            _thread = threading.Thread(target=_watch, name="rtcai-journal-deadline", daemon=True)
            _thread.start()
    try:
        yield
    finally:
        with _lock:
            del _calls[call]


def _watch() -> None:
    while True:
        time.sleep(_LOOK_SECONDS)
        now = time.monotonic()
        with _lock:  # no call ends meanwhile, so no connection of a call is another one by now
            for until, connection in _calls.values():
                if now >= until:
                    _shut_down(connection)


def _shut_down(connection: Any) -> None:
    # An error: it was lost in this moment.
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)
