"""Finds, checks and ends processes of this machine."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def arguments(pid: int) -> list[str]:
    """Return the command line of a process; empty if there is no such process, or it is a zombie."""
    if pid <= 0:
        return []
    if Path("/proc/self/cmdline").exists():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
        except OSError:
            return []
        return line.decode(errors="replace").split("\0") if line else []
    ps = shutil.which("ps")
    if ps is None:
        return []
    asked = subprocess.run([ps, "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.split()


def runs(pid: int, options: Sequence[str]) -> bool:
    """Return whether the process `pid` was started with these options, next to each other."""
    # Joined, because `ps` does not separate arguments, and a path may contain spaces.
    return f" {' '.join(options)} " in f" {' '.join(arguments(pid))} "


def is_engine(pid: int) -> bool:
    """Return whether the process `pid` is a Pulumi CLI."""
    return any(Path(argument).name.lstrip(".").startswith("pulumi") for argument in arguments(pid))


def end(pid: int, options: Sequence[str], seconds: float = 10.0) -> None:
    """End the process `pid` that was started with `options`: first with SIGTERM, then with SIGKILL.

    The options are compared before each signal, so a different process that has reused the number is not ended.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not runs(pid, options):
            return
        os.kill(pid, number)
        limit = time.monotonic() + seconds
        while runs(pid, options) and time.monotonic() < limit:
            time.sleep(0.02)
