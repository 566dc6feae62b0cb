"""The engine as its plugin process sees it: does it live, and how many calls may run at once.

A killed engine sends nothing to its plugins. Between the two stands a shell, so that the parent's process id never
changes either; but the engine's address is the plugin's first argument.
"""

import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

import grpc
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.proto.engine_pb2_grpc import EngineStub

_LOOK_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 2.0


def engine_address(arguments: Sequence[str]) -> tuple[str, int] | None:
    """Host and port of the engine, from the plugin's arguments; None where they name none."""
    host, _, port = (arguments[1] if len(arguments) > 1 else "").rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else None


class Engine:
    """Watches the engine of this plugin process."""

    def __init__(self, address: tuple[str, int] | None) -> None:
        self._address = address
        self._calls = 0
        self._lock = threading.Lock()

    def lives(self) -> bool:
        """Whether the engine still listens; where nobody can tell, it is taken to live."""
        if self._address is None:
            return True
        try:
            socket.create_connection(self._address, timeout=_CONNECT_SECONDS).close()
        except ConnectionError:
            return False
        except OSError:
            return True  # a time-out, or no file descriptor left: no proof of anything
        return True

    def debug(self, message: str) -> None:
        """Show a line where the user asks for such lines (``--debug``). The SDK's own log has no engine in a plugin."""
        if self._address is None:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.DEBUG, message=message)
        with grpc.insecure_channel("{}:{}".format(*self._address)) as channel, suppress(grpc.RpcError):
            EngineStub(channel).Log(request, timeout=_CONNECT_SECONDS)

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call that this process must see to its end, whoever waits for it."""
        with self._lock:
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1

    def watch(self) -> None:
        """End this process once the engine is gone and the last call has ended; else it would stay for ever."""
        if self._address is not None:
            threading.Thread(target=self._watch, name="rtcai-engine", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while self.lives() or self._calls:
            pause.wait(_LOOK_SECONDS)
        # Nothing is left to be written or told: each call has written its journal before it ended.
        os._exit(0)


def widen_pool(places: int, debug: Callable[[str], None]) -> None:
    """Let this many calls run at once: the plugin process comes with a pool of four threads.

    The pool is found by the thread that runs this very call; where it cannot be found, four must do.

    Args:
        places: calls at once.
        debug: told where the pool cannot be found.
    """
    thread = threading.current_thread()
    for found in gc.get_objects():
        if isinstance(found, ThreadPoolExecutor) and thread in getattr(found, "_threads", ()):
            found._max_workers = max(places, getattr(found, "_max_workers", 0))
            _start_threads(found, places)
            return
    debug("rtcai: the plugin's thread pool was not found; four calls run at once")


def _start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Have the threads there now: a pool starts one only when a call comes in.

    On destroy and refresh, calls come in before the first of them has widened the pool; they would wait for four. Each
    thread is kept busy until all are there: a pool takes every call that has ended for an idle thread, also where that
    thread has gone on to a call that had to wait, and would start too few.
    """
    all_there = threading.Event()
    with suppress(RuntimeError):  # the process is ending, and takes no further call
        for _ in range(count):
            pool.submit(all_there.wait)
    all_there.set()
