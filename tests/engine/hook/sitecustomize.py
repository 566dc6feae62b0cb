"""Python loads this module in every process of some tests. It changes the plugin as environment variables tell it to.

TEST_MOMENT names a moment at which the plugin stops and notifies the test: the plugin connects to the socket
TEST_MOMENTS, sends its process id, and continues when the test closes the connection. So the test can kill the plugin,
or its engine, at that moment. TEST_PATIENCE limits all retries, in seconds. With TEST_HIDDEN_POOL, the plugin finds no
thread pool. With TEST_DEFECT, the journal fails as if it had a bug.

TEST_CLOCK moves the clock of the plugin, of the program and of `rtcai` by a number of seconds. gRPC keeps the real
time, because its core, in C, compares it with its own clock. TEST_PATIENCE works in `rtcai`, too.
"""

import datetime as datetime_module
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any


def _stop() -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(os.environ["TEST_MOMENTS"])
        except OSError:
            return  # the test is over
        connection.sendall(f"{os.getpid()}\n".encode())
        connection.recv(1)


def _stopping(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    def stopped(*arguments: Any, **named: Any) -> Any:
        if before:
            _stop()
        result = call(*arguments, **named)
        if not before:
            _stop()
        return result

    return stopped


def _install(moment: str) -> None:
    from rtcai_pulumi.journal.journal import Journal

    moments: dict[str, tuple[Callable[..., Any], bool]] = {
        "before the intent": (Journal.add, True),
        "after the intent": (Journal.add, False),
        "the answer has arrived": (Journal.record_response, True),
        "the journal has it": (Journal.record_response, False),
        "the engine is about to get the result": (Journal.record_return, False),
        "closing is noted": (Journal.begin_close, False),
        "closed is noted": (Journal.record_close, False),
        "the new end is about to be noted": (Journal.claim, True),
        "the room is known": (Journal.record_room, False),
    }
    method, before = moments[moment]
    setattr(Journal, method.__name__, _stopping(method, before=before))


def _shorten_patience(seconds: float) -> None:
    from rtcai_pulumi.service.errors import RtcAiError
    from rtcai_pulumi.service.retry import Policy

    should_retry = Policy.should_retry

    def retry_for_a_short_time(self: Policy, error: RtcAiError, attempt: int, waited: float) -> bool:
        return waited < seconds and should_retry(self, error, attempt, waited)

    Policy.should_retry = retry_for_a_short_time  # type: ignore[method-assign]  # the one thing that a test must not wait for


def _fail() -> None:
    from rtcai_pulumi.journal.journal import Journal

    def add(self: Any, record: Any) -> Any:
        raise KeyError("a defect")

    Journal.add = add  # type: ignore[method-assign]  # as a defect of ours would fail


def _hide_pool() -> None:
    from rtcai_pulumi import plugin_process

    plugin_process._pool_of_this_thread = lambda: None  # as if the pool had changed


def _move_clock(seconds: float) -> None:
    real_time, real_datetime = time.time, datetime_module.datetime
    offset = datetime_module.timedelta(seconds=seconds)

    class MovedDatetime(real_datetime):  # type: ignore[misc, valid-type]  # a class that is known at run time
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real_datetime.now(tz) + offset

    datetime_module.datetime = MovedDatetime  # type: ignore[misc]  # every module imports it from there later
    if _IS_PLUGIN or _IS_RTCAI:
        from rtcai_pulumi.service.client import Client

        (Client.__init__.__kwdefaults__ or {})["clock"] = lambda: real_time() + seconds


_IS_PLUGIN = "pulumi.dynamic" in sys.orig_argv
_IS_RTCAI = sys.argv[0].endswith("rtcai")

if os.environ.get("TEST_CLOCK"):
    _move_clock(float(os.environ["TEST_CLOCK"]))
if _IS_RTCAI and os.environ.get("TEST_PATIENCE"):
    _shorten_patience(float(os.environ["TEST_PATIENCE"]))
if _IS_PLUGIN:
    if os.environ.get("TEST_HIDDEN_POOL"):
        _hide_pool()
    if os.environ.get("TEST_DEFECT"):
        _fail()
    if os.environ.get("TEST_MOMENT"):
        _install(os.environ["TEST_MOMENT"])
    if os.environ.get("TEST_PATIENCE"):
        _shorten_patience(float(os.environ["TEST_PATIENCE"]))
