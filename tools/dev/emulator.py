"""The emulator in the background: one for each checkout, identified by the state file on its command line.

A process id alone proves nothing, because the number may have been reused, and any program may answer on a port. A
process is this checkout's emulator if its command line names this checkout's state file; no other process is ever
ended.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tools.dev import processes
from tools.dev.refusal import RefusalError
from tools.dev.target import BIN, endpoint

READY_SECONDS = 20.0
_POLL_SECONDS = 0.05
_TAIL = 15
_COMMAND = (str(BIN / "rtcai"), "emulator")


class Emulator:
    """The emulator with its files in `folder`; a new one is started by `command` with `environment`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], command: Sequence[str] = _COMMAND) -> None:
        self._folder = folder
        self._command = command
        self._environment = environment
        self.log = folder / "emulator.log"
        self._record = folder / "emulator.pid"
        self._child: subprocess.Popen[bytes] | None = None
        self._options = ["--state", str(folder / "emulator-state.json")]

    def running(self) -> tuple[int, int] | None:
        """Return process id and port of the emulator in the pid file, if it is ours and still running."""
        try:
            record = json.loads(self._record.read_text())
            pid, port = int(record["pid"]), int(record["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return (pid, port) if processes.runs(pid, self._options) else None

    def start(self, port: int) -> None:
        """Return when the emulator is ready on `port`: the running one, or a new one.

        Raises:
            RefusalError: another program uses the port, or the emulator does not become ready.
        """
        known = self.running()
        if known is not None and known[1] != port:
            self.stop()
            known = None
        answering = self._answering(port)
        if answering is not None:
            self._note(answering, port)
            return
        if known is None:
            self._spawn(port)
            return
        # A run that was interrupted immediately after the start may have left an emulator that is not ready yet.
        if not self._ready(port, known[0]):
            self.stop()
            self._spawn(port)

    def stop(self) -> bool:
        """Stop our emulator if it is running; return whether it was."""
        known = self.running()
        if known is not None:
            processes.end(known[0], self._options)
        if self._child is not None:
            self._child.kill()  # if it was ended above, this only reaps it
            self._child.wait()
            self._child = None
        self._record.unlink(missing_ok=True)
        return known is not None

    def tasks(self, port: int) -> list[dict[str, Any]]:
        """Return all tasks that the emulator knows.

        Raises:
            RefusalError: the emulator does not answer.
        """
        try:
            answer = _get(port, "/-/tasks")
            return list(answer["tasks"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise RefusalError(
                f"The emulator on {endpoint(port)} does not list its tasks: {type(error).__name__}.\n"
                f"  Its log: {self.log}"
            ) from None

    def _answering(self, port: int) -> int | None:
        """Return the process id of our emulator on `port`, or None if no process listens there."""
        try:
            pid = int(_get(port, "/-/health")["pid"])
        except httpx.ConnectError:
            return None
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            pid = 0
        if processes.runs(pid, self._options):
            return pid
        whose = f"process {pid}, an emulator but not this checkout's" if processes.arguments(pid) else "another program"
        raise RefusalError(
            f"Port {port}, where the emulator is to listen, is taken by {whose}.\n"
            f"  End it. Where this checkout has no agents yet, another port will do: RTCAI_DEV_PORT={port % 65535 + 1}"
        )

    def _spawn(self, port: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        argv = [*self._command, "--port", str(port), *self._options, "--log-level", "warning"]
        with self.log.open("wb") as log:
            # In its own session, so a Ctrl-C for `make up` does not reach the emulator.
            self._child = subprocess.Popen(
                argv, cwd=self._folder, env=self._environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._note(self._child.pid, port)
        if self._ready(port, self._child.pid):
            return
        code = self._child.poll()
        self.stop()
        raise RefusalError(
            "The emulator did not start.\n"
            f"  {'not ready after ' + str(int(READY_SECONDS)) + ' s' if code is None else f'exit code {code}'},"
            f" port {port}, log {self.log}\n" + self._tail()
        )

    def _ready(self, port: int, pid: int) -> bool:
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit:
            if not self._lives(pid):
                return False
            if self._answering(port) is not None:
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _lives(self, pid: int) -> bool:
        # A process that has just been started has no command line yet, so our own child is checked by its handle.
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return processes.runs(pid, self._options)

    def _note(self, pid: int, port: int) -> None:
        # Written in one step, so an interrupted run leaves no incomplete file.
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps({"pid": pid, "port": port}) + "\n")
        new.replace(self._record)

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
            return "\n".join(f"  | {line}" for line in lines)
        return ""


def _get(port: int, path: str) -> Any:
    # Without the proxies of the environment: they cannot reach the ports of this machine.
    with httpx.Client(trust_env=False, timeout=5) as client:
        answer = client.get(endpoint(port) + path)
        answer.raise_for_status()
        return answer.json()
