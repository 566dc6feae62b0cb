"""One stack on Pulumi's Automation API: its state, its runs, and what an interrupted run leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TextIO
from unittest.mock import patch

from pulumi import automation

from tools.dev.target import BIN, PROJECT, ROOT, RefusalError, Target

_HOST_DIED = ("failed to discover package requirements", "failed to load language plugin")
_CONNECTION_LOST = ("EOF", "connection reset")


class Stack:
    """The stack of `target`. It is created when it is needed."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._copy = target.checkpoint.with_suffix(".json.bak")  # the engine's own copy, which is one write older

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state; none if there is no stack.

        They are read from the backend's files. `export_stack` cannot read an incomplete state, which exists while
        another run is writing it, or after one was killed.

        Raises:
            RefusalError: neither the state nor the engine's copy of it can be read.
        """
        for file in (self.target.checkpoint, self._copy):
            if (state := _read(file)) is not None:
                latest = (state.get("checkpoint") or {}).get("latest") or {}
                return list(latest.get("resources") or [])
        # The engine makes the copy before its second write: without a copy, this is the first write, and the stack is
        # empty.
        if not self._copy.exists():
            return []
        raise RefusalError(
            f"The state of stack {self.target.name} cannot be read, and neither can the engine's copy of it.\n"
            f"  file {self.target.checkpoint}\n"
            f"  Copy the newest *.checkpoint.json from {self.target.backend}/.pulumi/history over it."
        )

    def is_half_written(self) -> bool:
        """Return whether the stack's state is incomplete: a run is writing it now, or was killed while writing."""
        return self.target.checkpoint.exists() and _read(self.target.checkpoint) is None

    def recover(self) -> None:
        """Repair what an interrupted run left: a half-written state, and a lock that no process holds.

        The file backend does not write the state in one step. The copy next to it is one write older, so it may lack an
        agent, or contain one that has been stopped. Both are in the journal, and the next `up` acts on it. `destroy`
        cannot find an agent that the copy lacks, so `down` reports it.

        Raises:
            RefusalError: that run is still in progress.
        """
        name, checkpoint, locks = self.target.name, self.target.checkpoint, self._locks()
        for lock, (pid, host) in locks.items():
            if host not in ("", socket.gethostname()) or _is_engine(pid):
                raise RefusalError(
                    f"Stack {name} is locked by a run that has not ended, or that was started on another machine.\n"
                    f"  process {pid} on {host or 'this machine'}, lock {lock}\n"
                    "  Wait until that run has ended. If it was killed on another machine, delete the lock file."
                )
        # Only after the check: a run in progress may be writing its state at this moment.
        if self.is_half_written() and _read(self._copy) is not None:
            shutil.copyfile(self._copy, checkpoint)
            print(f"The state file of stack {name} is incomplete; restored the last complete copy.", flush=True)
        elif self.is_half_written() and not self._copy.exists():
            checkpoint.unlink()  # the first write, of an empty stack: see `resources`
        for lock in locks:  # `pulumi cancel` does the same, but fails if the stack was never completed
            lock.unlink(missing_ok=True)

    def set_config(self, key: str, value: str) -> None:
        """Set one value of the stack's configuration.

        Raises:
            CommandError: the CLI cannot do it.
        """
        with self._environment():
            self._automation.set_config(key, automation.ConfigValue(value))

    def run(
        self, verb: Literal["up", "preview", "destroy"], endpoint: str | None = None, *, refresh: bool = False
    ) -> bool:
        """Run a verb on the stack, print the engine's lines, and return whether it succeeded.

        Raises:
            KeyboardInterrupt: the user interrupted the verb; it has ended.
            CommandError: the CLI cannot create the stack.
        """
        color = "always" if sys.stdout.isatty() else "never"
        with self._environment(endpoint), self._interrupts_left_to_engine() as interrupts:
            run = partial(getattr(self._automation, verb), color=color, refresh=refresh)
            for is_last in (False, True):
                try:
                    run(on_output=_print, on_error=partial(_print, stream=sys.stderr))
                    return True
                except automation.CommandError as error:
                    if is_last or interrupts or not language_host_died(str(error)):
                        return False
                    print("Pulumi's Python language host crashed at start; trying once more.", flush=True)
        return False

    @cached_property
    def _automation(self) -> automation.Stack:
        self.target.backend.mkdir(parents=True, exist_ok=True)
        runtime = automation.ProjectRuntimeInfo("python", {"toolchain": "pip", "virtualenv": str(BIN.parent)})
        # A project file of its own keeps the stack's configuration out of the checkout's root.
        project = automation.ProjectSettings(PROJECT, runtime, main=str(ROOT))
        options = automation.LocalWorkspaceOptions(project_settings=project)
        return automation.create_or_select_stack(self.target.name, work_dir=str(self.target.folder), opts=options)

    def _environment(self, endpoint: str | None = None) -> AbstractContextManager[object]:
        # The Automation API can add variables to the environment of the CLI, but not remove any.
        more = {"RTCAI_ENDPOINT": endpoint} if endpoint else {}
        return patch.dict(os.environ, {**self.target.environment, **more}, clear=True)

    def _locks(self) -> dict[Path, tuple[int, str]]:
        """Return the locks of the stack, each with the process and the machine that it names."""
        files = (self.target.backend / ".pulumi" / "locks").rglob(f"{self.target.name}/*.json")
        contents = {file: _read(file) or {} for file in files}
        return {file: (int(lock.get("pid") or 0), str(lock.get("hostname") or "")) for file, lock in contents.items()}

    @contextmanager
    def _interrupts_left_to_engine(self) -> Iterator[list[int]]:
        """Wait for the engine, regardless of signals: it shuts down properly, so its lock and state are written.

        Ctrl-C reaches the whole process group, so the engine has received it already. A SIGTERM sent only to this
        process is forwarded as a SIGINT, once, because the engine ends at once on a second one. A run without a lock,
        such as a preview, runs to its end.
        """
        received: list[int] = []

        def receive(number: int, _frame: object) -> None:
            received.append(number)
            if number == signal.SIGTERM and received.count(number) == 1:
                for pid, _ in self._locks().values():
                    if _is_engine(pid):
                        os.kill(pid, signal.SIGINT)

        before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield received
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if received:
                raise KeyboardInterrupt


def language_host_died(errors: str) -> bool:
    """Return whether a run failed because an old language host crashed at its start; nothing has happened then."""
    return any(text in errors for text in _HOST_DIED) and any(text in errors for text in _CONNECTION_LOST)


def _is_engine(pid: int) -> bool:
    """Return whether the process is a Pulumi CLI; the number of one that has ended may be that of another program."""
    if Path("/proc/self/cmdline").exists():
        file = Path(f"/proc/{pid}/cmdline")
        line = file.read_text(errors="replace").replace("\0", " ") if file.exists() else ""
    else:
        line = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return any(Path(word).name.lstrip(".").startswith("pulumi") for word in line.split())


def _print(line: str, stream: TextIO | None = None) -> None:
    # If nobody reads the output any more, as in `make up | head`, the engine's run must end properly all the same.
    with suppress(BrokenPipeError):
        print(line, file=stream, flush=True)


def _read(file: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing or incomplete."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
