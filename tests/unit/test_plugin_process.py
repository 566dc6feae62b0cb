import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.plugin_process import Engine, widen_pool
from rtcai_pulumi.stack.command import Cli

SECONDS = 10


class Unhurried(ThreadPoolExecutor):
    """Gives a call the time to end before the next one arrives."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future = super().submit(call, *arguments, **named)
        wait([future], timeout=0.02)
        return future


@pytest.mark.parametrize("before", [1, 4, 8, 20])
def test_the_widened_pool_runs_as_many_calls_at_a_time(before: int) -> None:
    """This holds no matter how many calls arrived while there were four threads."""
    running, all_in, widened, over = threading.Semaphore(0), threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        all_in.wait()
        widen_pool(32, debug=print)
        widened.set()
        call()

    def call() -> None:
        running.release()
        over.wait()

    with Unhurried(4) as pool:
        pool.submit(first)
        for _ in range(1, before):
            pool.submit(call)
        all_in.set()
        try:
            assert widened.wait(SECONDS)
            for _ in range(20 - before):
                pool.submit(call)
            assert all(running.acquire(timeout=SECONDS) for _ in range(20))
        finally:
            over.set()


def test_a_pool_that_is_not_found_is_logged_and_none_is_changed() -> None:
    lines: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        pool.submit(int).result()
        widen_pool(32, lines.append)
        assert pool._max_workers == 4
    assert lines == ["rtcai: the plugin's thread pool was not found; four calls run at a time"]


@pytest.mark.parametrize(
    ("arguments", "variable", "ends"),
    [
        (("up", "--yes"), "", True),
        (("up", "--continue-on-error"), "", False),
        (("up", "--continue-on-error=false"), "true", True),
        (("up",), "true", False),
        (("up",), "0", True),
        ((), "", None),
    ],
)
def test_whether_an_error_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], variable: str, ends: bool | None
) -> None:
    monkeypatch.setenv("PULUMI_CONTINUE_ON_ERROR", variable)
    assert Cli(Path(), arguments=arguments).ends_at_error is ends


def test_an_option_in_the_environment_says_that_no_error_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_OPTION_CONTINUE_ON_ERROR", "true")
    assert Cli(Path(), arguments=("up",)).ends_at_error is False


def test_an_engine_lives_as_long_as_its_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    running, another = (Cli(Path(), process=process.pid, began=each) for each in (began, "another"))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # a socket listens at the engine's address
        address = listener.getsockname()
        assert Engine(address, running.runs).lives()
        assert not Engine(address, another.runs).lives()
        process.kill()
        assert not eventually(running.runs)  # it is a zombie until its parent waits for it
        process.communicate()
        assert not Engine(address, running.runs).lives()
        assert Engine(address, Cli(Path()).runs).lives(), "if the system does not show it, the address does"
    assert not Engine(address).lives()


def eventually(lines: Callable[[], object]) -> bool:
    """Whether the condition still holds after some time."""
    until = time.monotonic() + SECONDS
    while lines() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(lines())
