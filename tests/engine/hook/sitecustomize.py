"""Loaded by Python itself in every process of a crash test: stops the plugin at one moment and tells the test.

The moment is named in TEST_MOMENT. The plugin connects to the socket TEST_MOMENTS, says its process id, and goes on
when the test closes the connection. So a test can kill it, or its engine, at exactly that moment.
"""

import os
import socket
import sys
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


def _stopping(call: Callable[..., Any], *, before: bool, only: Callable[..., bool]) -> Callable[..., Any]:
    def stopped(*arguments: Any, **named: Any) -> Any:
        due = only(*arguments)
        if before and due:
            _stop()
        result = call(*arguments, **named)
        if not before and due:
            _stop()
        return result

    return stopped


def _install(moment: str) -> None:
    from rtcai_pulumi.lifecycle.journal import Journal

    method, before, only = {
        "before the intent": ("add", True, lambda *_: True),
        "after the intent": ("add", False, lambda *_: True),
        "the answer has arrived": ("answered", True, lambda *_: True),
        "the journal has it": ("answered", False, lambda *_: True),
        "the engine is about to be told": ("hand_over", False, lambda *_: True),
        "closing is noted": ("mark", False, lambda _journal, _record, state: state == "closing"),
        "closed is noted": ("mark", False, lambda _journal, _record, state: state == "closed"),
    }[moment]
    setattr(Journal, method, _stopping(getattr(Journal, method), before=before, only=only))


if "pulumi.dynamic" in sys.orig_argv and os.environ.get("TEST_MOMENT"):
    _install(os.environ["TEST_MOMENT"])
