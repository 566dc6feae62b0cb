"""The emulator in the background: one for each checkout.

It holds a lock, which it inherits from the target that starts it. The system releases the lock when the process ends,
however that happens. So as long as the file is locked, it names the process of this checkout's emulator, and no other
process is ever ended.
"""

import fcntl
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import httpx

from tools.dev.target import BIN, RefusalError, endpoint

_TAIL = 15
_COMMAND = (str(BIN / "rtcai"), "emulator")


class Emulator:
    """The emulator with its files in `folder`; a new one is started by `command` with `environment`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], command: Sequence[str] = _COMMAND) -> None:
        self._folder = folder
        self._environment = environment
        self._command = command
        self._child: subprocess.Popen[str] | None = None
        self._lock = folder / "emulator.lock"
        self.log = folder / "emulator.log"

    def running(self) -> tuple[int, int] | None:
        """Return process id and port of this checkout's emulator; None if it is not running."""
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            pid, _, port = self._lock.read_text().partition(" ")
            return (int(pid), int(port)) if port else None
        return None

    def start(self, port: int) -> None:
        """Return when the emulator is ready on `port`: the running one, or a new one.

        Raises:
            RefusalError: the emulator does not become ready, for example because another program uses the port.
        """
        running = self.running()
        if running is not None and running[1] == port:
            with suppress(RefusalError):
                self.tasks(port)
                return
        self.stop()
        self._folder.mkdir(parents=True, exist_ok=True)
        state = self._folder / "emulator-state.json"
        argv = [*self._command, "--port", str(port), "--state", str(state), "--log-level", "warning"]
        with self._lock.open("w") as lock, self.log.open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # In its own session, so a Ctrl-C for `make up` does not reach the emulator.
            self._child = subprocess.Popen(
                argv, cwd=self._folder, env=self._environment, start_new_session=True, pass_fds=[lock.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
            lock.write(f"{self._child.pid} {port}")
        # It prints one line when it is ready. If nobody reads that line, because this process has ended, it ends too.
        with cast(IO[str], self._child.stdout) as output:
            if output.readline():
                return
        raise RefusalError(
            f"The emulator did not start: exit code {self._child.wait()}, log {self.log}\n"
            + "".join(f"  | {line}\n" for line in self.log.read_text(errors="replace").splitlines()[-_TAIL:])
            + f"  If another program uses port {port}, stop that program. If this checkout has no agents yet, you can\n"
            f"  set RTCAI_DEV_PORT={port % 65535 + 1} instead."
        )

    def stop(self) -> bool:
        """Stop our emulator if it is running; return whether it was running."""
        if running := self.running():
            os.kill(running[0], signal.SIGTERM)
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # returns when the emulator has ended
        if self._child is not None:
            self._child.wait()
        return running is not None

    def tasks(self, port: int) -> list[dict[str, Any]]:
        """Return all tasks that the emulator knows.

        Raises:
            RefusalError: the emulator does not answer.
        """
        try:
            # Without the proxies of the environment: they cannot reach the ports of this machine.
            with httpx.Client(trust_env=False, timeout=5) as client:
                return list(client.get(f"{endpoint(port)}/-/tasks").raise_for_status().json()["tasks"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            reason = type(error).__name__
            raise RefusalError(f"The emulator does not list its tasks: {reason}. Its log: {self.log}") from None
