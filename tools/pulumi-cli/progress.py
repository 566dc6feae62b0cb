"""Run a long command so that it shows progress and does not outlive the process that started it."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

INTERVAL = 15.0
"""Seconds between two lines of progress."""

TAIL = 15
"""How many lines of a failed command's output are printed."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. `returncode` is None if it timed out."""

    returncode: int | None
    tail: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the command succeeded."""
        return self.returncode == 0


def run(
    label: str,
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float | None = None,
    interval: float = INTERVAL,
    counted: str = "lines of output",
) -> Ended:
    """Run `argv`, print the elapsed time every `interval` seconds, and after `seconds` end it with everything it
    started.

    Each line that the command writes is counted as one of `counted`.
    """
    lines: deque[str] = deque(maxlen=TAIL)
    seen = [0]
    # In its own session: on time-out and on Ctrl-C, the command and everything it started are ended as one process
    # group.
    child = subprocess.Popen(
        argv, cwd=cwd, env=env, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for; this tells the type checker
    reader = threading.Thread(target=_collect, args=(child.stdout, lines, seen), daemon=True)
    reader.start()
    try:
        in_time = _wait(child, lambda elapsed: f"{label}: {elapsed}, {seen[0]} {counted}", seconds, interval)
    finally:
        _end(child)
        reader.join(1)
        if not reader.is_alive():
            child.stdout.close()
    return Ended(child.returncode if in_time else None, tuple(lines))


def _wait(child: subprocess.Popen[str], told: Callable[[str], str], seconds: float | None, interval: float) -> bool:
    began = time.monotonic()
    while True:
        elapsed = time.monotonic() - began
        left = interval if seconds is None else seconds - elapsed
        if left <= 0:
            return False
        try:
            child.wait(min(interval, left))
        except subprocess.TimeoutExpired:
            print(f"  {told(_elapsed(time.monotonic() - began))}", flush=True)
        else:
            return True


def _collect(stream: IO[str], lines: deque[str], seen: list[int]) -> None:
    for line in stream:
        lines.append(line.rstrip())
        seen[0] += 1


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
