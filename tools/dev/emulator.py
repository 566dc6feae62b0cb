"""The emulator in the background: one for each checkout.

It holds a lock, which it inherits from the target that starts it. The system releases the lock when the process ends,
however that happens. So as long as the file is locked, it names the process of this checkout's emulator, and no other
process is ever ended.
"""

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from rtcai_pulumi.maintenance import CommandError
from tools.dev.stack import BIN

_COMMAND = (str(BIN / "rtcai"), "emulator")


class Emulator:
    """The emulator at `RTCAI_ENDPOINT` of the environment, with its files in `folder`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], command: Sequence[str] = _COMMAND) -> None:
        self.endpoint = environment["RTCAI_ENDPOINT"]
        self._folder = folder
        self._environment = environment
        self._command = command
        self._child: subprocess.Popen[str] | None = None
        self._lock = folder / "emulator.lock"

    def running(self) -> tuple[int, str] | None:
        """Return process id and URL of this checkout's emulator; None if it is not running."""
        with suppress(FileNotFoundError), self._lock.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, _, endpoint = lock.read().partition(" ")
                return (int(pid), endpoint) if endpoint else None
        return None

    def start(self) -> None:
        """Return when the emulator is ready: the running one, or a new one. Its state file restores earlier tasks.

        Raises:
            CommandError: the emulator does not become ready, for example because another program uses the port.
        """
        port, running = self.endpoint.rpartition(":")[2], self.running()
        if running and running[1] == self.endpoint:
            # It does not answer yet if its target was interrupted while it started; then it is replaced.
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=5):
                return
        self.stop()
        log = self._folder / "emulator.log"
        argv = [*self._command, "--port", port, "--state", "emulator-state.json", "--log-level", "warning"]
        with self._lock.open("w") as lock, log.open("wb") as errors:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # In its own session, so a Ctrl-C for `make up` does not reach the emulator.
            self._child = subprocess.Popen(
                argv, cwd=self._folder, env=self._environment, start_new_session=True, pass_fds=[lock.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
            lock.write(f"{self._child.pid} {self.endpoint}")
        # It prints one line when it is ready. If nobody reads that line, because this process has ended, it ends too.
        with cast(IO[str], self._child.stdout) as output:
            if output.readline():
                return
        print(log.read_text(errors="replace"), end="")
        raise CommandError(
            f"The emulator did not start: exit code {self._child.wait()}, see above.",
            advice=f"if another program uses port {port}, set RTCAI_DEV_PORT to another one, also for later targets",
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
