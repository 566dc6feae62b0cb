"""One stack on Pulumi's Automation API: its state, its runs, and what an interrupted run leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TextIO
from unittest.mock import patch

from pulumi import automation

from tools.dev.processes import is_engine
from tools.dev.target import BIN, PROJECT, ROOT, RefusalError, Target

_HOST_DIED = ("failed to discover package requirements", "failed to load language plugin")
_CONNECTION_LOST = ("EOF", "connection reset")


class Stack:
    """The stack of `target`. It is created when it is needed."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._copy = target.checkpoint.with_suffix(".json.bak")  # the engine's own copy, which is one write older

    def recover(self) -> None:
        """Repair what an interrupted run left: a half-written state, and a lock that no process holds.

        The file backend does not write the state in one step. The copy next to it is one write older, so it may lack an
        agent, or contain one that has been stopped. Both are in the journal, and the next `up` acts on it. `destroy`
        cannot find an agent that the copy lacks, so `down` reports it.

        Raises:
            RefusalError: that run is still in progress.
        """
        name, checkpoint, locks = self.target.name, self.target.checkpoint, self._locks()
        for lock in locks:
            self._require_ended(lock)
        # Only after the check: a run in progress may be writing its state at this moment.
        if self.is_half_written() and _read(self._copy) is not None:
            shutil.copyfile(self._copy, checkpoint)
            print(f"The state file of stack {name} is incomplete; restored the last complete copy.", flush=True)
        elif self.is_half_written() and not self._copy.exists():
            checkpoint.unlink()  # the first write, of an empty stack: see `resources`
        for lock in locks:  # `pulumi cancel` does the same, but fails if the stack was never completed
            print(f"Stack {name} was locked by a run that has ended: unlocking it.", flush=True)
            lock.unlink(missing_ok=True)

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
            f"  files {self.target.checkpoint} and {self._copy.name} next to it\n"
            "  Copy the newest *.checkpoint.json of the backend's history over the first one and run this again:\n"
            f"  {self.target.backend / '.pulumi' / 'history' / PROJECT / self.target.name}"
        )

    def is_half_written(self) -> bool:
        """Return whether the stack's state is incomplete: a run is writing it now, or was killed while writing."""
        return self.target.checkpoint.exists() and _read(self.target.checkpoint) is None

    def set_config(self, key: str, value: str) -> None:
        """Set one value of the stack's configuration.

        Raises:
            RefusalError: the CLI cannot do it.
        """
        with self._environment():
            try:
                self._automation.set_config(key, automation.ConfigValue(value))
            except automation.CommandError as error:
                raise RefusalError(
                    f"The configuration of stack {self.target.name} cannot be set:\n  {_reason(error)}"
                ) from None

    def run(
        self, verb: Literal["up", "preview", "destroy"], endpoint: str | None = None, *, refresh: bool = False
    ) -> bool:
        """Run a verb on the stack, print the engine's lines, and return whether it succeeded.

        Raises:
            KeyboardInterrupt: the user interrupted the verb; it has ended.
            RefusalError: there is no CLI, or it cannot create the stack.
        """
        color = "always" if sys.stdout.isatty() else "never"
        with self._environment(endpoint), self._interrupts_left_to_engine() as interrupts:
            run = getattr(self._automation, verb)

            def print_output(line: str) -> None:
                _print_output(line)
                interrupts.forward()

            for is_last in (False, True):
                try:
                    run(on_output=print_output, on_error=_print_error, color=color, refresh=refresh)
                except automation.CommandError as error:
                    if is_last or interrupts.received or not language_host_died(str(error)):
                        return False
                    print(
                        "Pulumi's Python language host crashed at start (old versions sometimes do); trying once more.",
                        flush=True,
                    )
                else:
                    break
        return True

    @cached_property
    def _automation(self) -> automation.Stack:
        self.target.backend.mkdir(parents=True, exist_ok=True)
        runtime = automation.ProjectRuntimeInfo("python", {"toolchain": "pip", "virtualenv": str(BIN.parent)})
        # A project file of its own keeps the stack's configuration out of the checkout's root.
        project = automation.ProjectSettings(PROJECT, runtime, main=str(ROOT))
        options = automation.LocalWorkspaceOptions(project_settings=project)
        try:
            return automation.create_or_select_stack(self.target.name, work_dir=str(self.target.folder), opts=options)
        except FileNotFoundError:
            raise RefusalError("There is no Pulumi CLI on PATH or in .tools/bin. Run `make setup`.") from None
        except automation.CommandError as error:
            raise RefusalError(f"Stack {self.target.name} cannot be created:\n  {_reason(error)}") from None

    def _environment(self, endpoint: str | None = None) -> AbstractContextManager[object]:
        # The Automation API can add variables to the environment of the CLI, but not remove any.
        more = {"RTCAI_ENDPOINT": endpoint} if endpoint else {}
        return patch.dict(os.environ, {**self.target.environment, **more}, clear=True)

    def _locks(self) -> list[Path]:
        return sorted((self.target.backend / ".pulumi" / "locks").rglob(f"{self.target.name}/*.json"))

    def _require_ended(self, file: Path) -> None:
        lock = _read(file) or {}
        holder, host = int(lock.get("pid") or 0), str(lock.get("hostname") or "")
        if host not in ("", socket.gethostname()):
            raise RefusalError(
                f"Stack {self.target.name} is locked by a run on another machine.\n"
                f"  machine {host}, process {holder}, lock {file}\n"
                "  If that run has ended, delete the lock file and run this again."
            )
        if is_engine(holder):
            raise RefusalError(
                f"Another run is at work on stack {self.target.name}.\n"
                f"  process {holder}, lock {file}\n"
                "  Wait until it has ended, or end it, and run this again."
            )

    @contextmanager
    def _interrupts_left_to_engine(self) -> Iterator[_Interrupts]:
        """Wait for the engine, regardless of signals: it shuts down properly, so its lock and state are written."""
        interrupts = _Interrupts(self._locks)
        before = {number: signal.signal(number, interrupts.receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield interrupts
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if interrupts.received:
                raise KeyboardInterrupt


class _Interrupts:
    """The signals during a run of the engine.

    Ctrl-C reaches the whole process group, so the engine has received it already. A SIGTERM sent only to this process
    has not reached the engine. It is forwarded once, as a SIGINT, on which the engine stops. The engine's number is in
    its lock; if it has no lock yet, this is tried again whenever it prints a line. A preview has no lock: it changes
    nothing, and runs to its end.
    """

    def __init__(self, locks: Callable[[], list[Path]]) -> None:
        self.received: list[int] = []
        self._locks = locks
        self._is_forwarded = False

    def receive(self, number: int, _frame: object) -> None:
        self.received.append(number)
        self.forward()

    def forward(self) -> None:
        if signal.SIGTERM not in self.received or self._is_forwarded:
            return
        for lock in self._locks():
            if is_engine(pid := int((_read(lock) or {}).get("pid") or 0)):
                self._is_forwarded = True
                os.kill(pid, signal.SIGINT)


def _reason(error: automation.CommandError) -> str:
    return str(error).partition("stderr: ")[2].strip()


def language_host_died(errors: str) -> bool:
    """Return whether a run failed because an old language host crashed at its start; nothing has happened then."""
    return any(text in errors for text in _HOST_DIED) and any(text in errors for text in _CONNECTION_LOST)


def _print_output(line: str, stream: TextIO | None = None) -> None:
    # If nobody reads the output any more, as in `make up | head`, the engine's run must end properly all the same.
    with suppress(BrokenPipeError):
        print(line, file=stream, flush=True)


def _print_error(line: str) -> None:
    _print_output(line, sys.stderr)


def _read(file: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing or incomplete."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
