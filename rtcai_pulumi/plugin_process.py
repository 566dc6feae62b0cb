"""The plugin process: whether its engine runs, when it requests a stop, how many calls run, how errors are printed.

The process belongs to the SDK (``python -m pulumi.dynamic``), and all dynamic providers of a program share it. The SDK
offers no API for the following, so this module uses the SDK's main module, without a change for other providers:

- A killed engine sends nothing to its plugins. There is a shell between engine and plugin, so the parent's process id
  never changes. But the engine's process can be found above the shell, and its address is the plugin's first argument.
- At the first Ctrl-C, and at the end of every run, the engine calls ``Cancel``, which does nothing in the SDK.
- The SDK prints an exception with its whole traceback; our errors are written for users and are printed without it.
- The pool has four threads; it is widened to `RTCAI_CONCURRENCY`.
"""

import os
import socket
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FrameType, FunctionType
from typing import Any, Final

import grpc
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.proto.engine_pb2_grpc import EngineStub

from rtcai_pulumi.service.errors import RtcAiError

_WATCH_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 2.0


def engine_address(arguments: Sequence[str]) -> tuple[str, int] | None:
    """Host and port of the engine, from the plugin's arguments; None if the arguments do not have them."""
    host, _, port = (arguments[1] if len(arguments) > 1 else "").rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else None


class Engine:
    """Watches the engine of this plugin process."""

    def __init__(self, address: tuple[str, int] | None, runs: Callable[[], bool | None] = lambda: None) -> None:
        self._address = address
        self._runs = runs
        self._calls = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        """Set once the engine has requested a stop: nothing new is started, and every wait ends."""

    def lives(self) -> bool:
        """Whether the engine's process runs, or its address still listens; if neither is known, the result is True.

        If the operating system shows the process, only the process counts: after it has ended, another process may
        listen at the address.
        """
        if self._address is None:
            return True
        if (runs := self._runs()) is not None:
            return runs
        try:
            socket.create_connection(self._address, timeout=_CONNECT_SECONDS).close()
        except ConnectionError:
            return False
        except OSError:
            return True  # a time-out, or no free file descriptor: this proves nothing
        return True

    def debug(self, message: str) -> None:
        """Log a line for ``--debug``. In a plugin, the SDK's own log is not connected to the engine."""
        if self._address is None:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.DEBUG, message=message)
        with grpc.insecure_channel("{}:{}".format(*self._address)) as channel, suppress(grpc.RpcError):
            EngineStub(channel).Log(request, timeout=_CONNECT_SECONDS)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call that this process must finish, even if no engine waits for it."""
        with self._lock:
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1

    @property
    def idle(self) -> bool:
        """Whether no call that `call` counts is running."""
        return self._calls == 0

    def watch(self) -> None:
        """End this process once the engine is gone and the last call of any provider has ended."""
        if self._address is not None:
            threading.Thread(target=self._watch, name="rtcai-engine", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while self.lives() or not self.idle or is_serving():
            pause.wait(_WATCH_SECONDS)
        # There is nothing left to write or to report: each call has written its journal before it ended.
        os._exit(0)


def on_cancel(listener: Callable[[], None]) -> bool:
    """Call a listener whenever the engine calls ``Cancel``: at a Ctrl-C, and at the end of a run.

    The server keeps a reference to the method itself, so the method's code is replaced; the old code runs afterwards.

    Returns:
        Whether the method was found.
    """
    method = getattr(_servicer(), "Cancel", None)
    if not isinstance(method, FunctionType) or method.__code__.co_freevars:
        return False
    _cancel_listeners[:] = [(listener, FunctionType(method.__code__, method.__globals__))]
    method.__code__ = _cancel.__code__
    return True


def _cancel(self: Any, request: Any, context: Any) -> Any:
    """Replaces the code of the SDK's ``Cancel``, and so must not use a global of this module."""
    from rtcai_pulumi.plugin_process import cancel  # noqa: PLC0415  not a global, see above

    return cancel(self, request, context)


def cancel(*arguments: Any) -> Any:
    """Call the listener, then run the original code of ``Cancel``."""
    ((listener, before),) = _cancel_listeners
    listener()
    return before(*arguments)


_cancel_listeners: Final[list[tuple[Callable[[], None], FunctionType]]] = []


def is_serving() -> bool:
    """Whether any thread runs an operation of any dynamic provider of this process."""
    codes = {method.__code__ for method in vars(_servicer()).values() if isinstance(method, FunctionType)}
    return any(
        frame.f_code in codes for innermost in sys._current_frames().values() for frame in _calls_around(innermost)
    )


def _calls_around(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame, its caller, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def request_of_call() -> Any:
    """The engine's request for the operation that calls this function; None if the SDK does not expose it.

    It has data that the SDK does not pass to a provider, such as the time-out of ``custom_timeouts``.
    """
    for frame in _calls_around(sys._getframe(1)):
        if "request" in frame.f_locals and isinstance(frame.f_locals.get("self"), _servicer()):
            return frame.f_locals["request"]
    return None


def print_without_frames() -> None:
    """Print errors that are written for users without a traceback; all other exceptions keep theirs."""
    main = sys.modules.get("__main__")
    if getattr(main, "traceback", None) is traceback:
        main.traceback = _Traceback()  # type: ignore[union-attr]  # it is there: it has a module of that name


class _Traceback:
    """`traceback`, as the main module of the plugin uses it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)

    def format_exc(self, limit: int | None = None, chain: bool = True) -> str:
        """The exception that is being handled, as text."""
        error = sys.exception()
        if isinstance(error, RtcAiError):
            return "".join(traceback.format_exception_only(error)).rstrip("\n")
        return traceback.format_exc(limit, chain)


def _servicer() -> type:
    """The SDK's class that serves the operations; if the SDK has changed, a class without any."""
    servicer = getattr(sys.modules.get("__main__"), "DynamicResourceProviderServicer", None)
    return servicer if isinstance(servicer, type) else type(None)


def widen_pool(places: int, debug: Callable[[str], None]) -> ThreadPoolExecutor | None:
    """Allow this many calls at the same time: the plugin process starts with a pool of four threads.

    The pool is the one whose thread runs this call; if it cannot be found, there are four calls at a time.

    Args:
        places: the number of calls at the same time.
        debug: called if the pool cannot be found.

    Returns:
        The pool; None if it cannot be found.
    """
    pool = _pool_of_this_thread()
    if pool is None:
        debug("rtcai: the plugin's thread pool was not found; four calls run at a time")
        return None
    pool._max_workers = max(places, getattr(pool, "_max_workers", 0))
    _start_threads(pool, places)
    return pool


def _pool_of_this_thread() -> ThreadPoolExecutor | None:
    """The pool to which this thread belongs: the function that runs the pool's calls has a weak reference to it."""
    for frame in _calls_around(sys._getframe(1)):
        for value in frame.f_locals.values():
            pool = value() if isinstance(value, weakref.ref) else None
            if isinstance(pool, ThreadPoolExecutor) and threading.current_thread() in getattr(pool, "_threads", ()):
                return pool
    return None


def add_thread(pool: ThreadPoolExecutor) -> None:
    """Start one more thread, for calls that are waiting in the pool already."""
    with suppress(AttributeError, RuntimeError):  # the pool has changed, or the process is ending
        pool._max_workers += 1
        # A pool starts no thread as long as it counts an idle one, which it also does for threads that are not idle.
        while pool._idle_semaphore.acquire(timeout=0):
            pass
        pool._adjust_thread_count()


def _start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Start all threads now, because a pool starts a thread only when a call arrives.

    On destroy and refresh, calls arrive before the first of them has widened the pool, and would wait for four threads.
    Each thread is kept busy until all have started. Otherwise too few would start: a pool counts every finished call as
    an idle thread, even if that thread has continued with a waiting call.
    """
    all_started = threading.Event()
    with suppress(RuntimeError):  # the process is ending, and takes no further call
        for _ in range(count):
            pool.submit(all_started.wait)
    all_started.set()
