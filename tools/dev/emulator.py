"""The emulator in the background: one for each checkout, identified by the state file on its command line.

Any program may answer on a port. A process is this checkout's emulator if its command line names this checkout's state
file; no other process is ever ended.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tools.dev.processes import command_lines
from tools.dev.target import BIN, RefusalError, endpoint

_READY_SECONDS = 20.0
_END_SECONDS = 10.0
_POLL_SECONDS = 0.05
_TAIL = 15
_COMMAND = (str(BIN / "rtcai"), "emulator")


class Emulator:
    """The emulator with its files in `folder`; a new one is started by `command` with `environment`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], command: Sequence[str] = _COMMAND) -> None:
        self._folder = folder
        self._environment = environment
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._state = folder / "emulator-state.json"
        self.log = folder / "emulator.log"

    def running(self) -> tuple[int, int] | None:
        """Return process id and port of this checkout's emulator; None if it is not running."""
        # Python runs the command as a script. A shell or a debugger that was given the same words is another process.
        command = re.escape(" ".join(self._command))
        ours = re.compile(rf"(\S+ )?{command} --port (\d+) --state {re.escape(str(self._state))} ")
        for pid, line in command_lines().items():
            if match := ours.match(line):
                return pid, int(match[2])
        return None

    def start(self, port: int) -> None:
        """Return when the emulator is ready on `port`: the running one, or a new one.

        Raises:
            RefusalError: another program uses the port, or the emulator does not become ready.
        """
        running = self.running()
        # A run that was interrupted immediately after the start may have left an emulator that is not ready yet.
        if running is not None and running[1] == port and self._wait_until_ready(*running):
            return
        self.stop()
        self._require_free(port)
        self._folder.mkdir(parents=True, exist_ok=True)
        argv = [*self._command, "--port", str(port), "--state", str(self._state), "--log-level", "warning"]
        with self.log.open("wb") as log:
            # In its own session, so a Ctrl-C for `make up` does not reach the emulator.
            self._child = subprocess.Popen(
                argv, cwd=self._folder, env=self._environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        if self._wait_until_ready(self._child.pid, port):
            return
        code = self._child.poll()
        self.stop()
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        reason = f"not ready after {_READY_SECONDS:.0f} s" if code is None else f"exit code {code}"
        raise RefusalError(
            "\n  ".join(
                [
                    "The emulator did not start.",
                    f"{reason}, port {port}, log {self.log}",
                    *(f"| {line}" for line in lines),
                ]
            )
        )

    def stop(self) -> bool:
        """Stop our emulator if it is running, first with SIGTERM, then with SIGKILL; return whether it was running."""
        was_running = self.running() is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            if running := self.running():
                with suppress(ProcessLookupError):
                    os.kill(running[0], number)
            limit = time.monotonic() + _END_SECONDS
            while self.running() and time.monotonic() < limit:
                time.sleep(_POLL_SECONDS)
        if self._child is not None:
            self._child.kill()  # if it was ended above, this only reaps it
            self._child.wait()
            self._child = None
        return was_running

    def tasks(self, port: int) -> list[dict[str, Any]]:
        """Return all tasks that the emulator knows.

        Raises:
            RefusalError: the emulator does not answer.
        """
        try:
            return list(_get(port, "/-/tasks")["tasks"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise RefusalError(
                f"The emulator on {endpoint(port)} does not list its tasks: {type(error).__name__}.\n"
                f"  Its log: {self.log}"
            ) from None

    def _wait_until_ready(self, pid: int, port: int) -> bool:
        limit = time.monotonic() + _READY_SECONDS
        while time.monotonic() < limit and self._is_running(pid, port):
            if _find_emulator(port) == pid:
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _is_running(self, pid: int, port: int) -> bool:
        # A process that has just been started has no command line yet, so our own child is checked by its handle.
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return self.running() == (pid, port)

    def _require_free(self, port: int) -> None:
        pid = _find_emulator(port)
        if pid is None:
            return
        user = f"process {pid}, an emulator but not this checkout's" if pid in command_lines() else "another program"
        raise RefusalError(
            f"Port {port}, which the emulator needs, is in use by {user}.\n"
            "  Stop that program. If this checkout has no agents yet, you can set "
            f"RTCAI_DEV_PORT={port % 65535 + 1} instead."
        )


def _find_emulator(port: int) -> int | None:
    """Return the process id of the emulator on `port`, None if no process listens there, 0 if it is not an emulator."""
    try:
        return int(_get(port, "/-/health")["pid"])
    except httpx.ConnectError:
        return None
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return 0


def _get(port: int, path: str) -> Any:
    # Without the proxies of the environment: they cannot reach the ports of this machine.
    with httpx.Client(trust_env=False, timeout=5) as client:
        response = client.get(endpoint(port) + path)
        response.raise_for_status()
        return response.json()
