"""The Pulumi CLI for one stack: its state, its runs, and what an interrupted run leaves behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tools.dev.processes import is_engine
from tools.dev.refusal import RefusalError
from tools.dev.target import PROJECT, ROOT, Target

_HOST_DIED = ("failed to discover package requirements", "failed to load language plugin")
_CONNECTION_LOST = ("EOF", "connection reset")


class Engine:
    """Runs the CLI for the stack of `target`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._environment = target.environment

    def exists(self) -> bool:
        """Return whether the stack exists."""
        return self._checkpoint.exists()

    def take_over(self) -> None:
        """Clean up after an interrupted run: an incomplete state, and a lock that no process holds.

        Raises:
            RefusalError: that run is still in progress.
        """
        locks = sorted((self._target.backend / ".pulumi" / "locks").rglob(f"{self._target.name}/*.json"))
        for lock in locks:
            self._require_ended(lock)
        # Only after the check: a run in progress may be writing its state at this moment.
        self._mend_state()
        if not locks:
            return
        print(f"Stack {self._target.name} was locked by a run that is gone: unlocking it.", flush=True)
        if self.exists():
            self._ask("cancel", "--yes", "--stack", self._target.name)
        for lock in locks:
            lock.unlink(missing_ok=True)  # the lock of a stack that was never completed, which `cancel` cannot find

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state; none if there is no stack.

        They are read from the backend's files. `pulumi stack export` cannot read an incomplete state, which exists
        while another run is writing it, or after one was killed.

        Raises:
            RefusalError: neither the state nor the engine's copy of it can be read.
        """
        for file in (self._checkpoint, self._copy):
            if (state := _read(file)) is not None:
                latest = (state.get("checkpoint") or {}).get("latest") or {}
                return list(latest.get("resources") or [])
        # The engine makes the copy before its second write: without a copy, this is the first write, and the stack is
        # empty.
        if not self._copy.exists():
            return []
        raise RefusalError(
            f"The state of stack {self._target.name} cannot be read, and neither can the engine's copy of it.\n"
            f"  files {self._checkpoint} and {self._copy.name} beside it\n"
            "  Copy the newest *.checkpoint.json of the backend's history over the first one and run this again:\n"
            f"  {self._target.backend / '.pulumi' / 'history' / PROJECT / self._target.name}"
        )

    def is_half_written(self) -> bool:
        """Return whether the stack's state is incomplete: a run is writing it now, or was killed while writing."""
        return self.exists() and _read(self._checkpoint) is None

    def make_stack(self) -> None:
        """Create the stack if it does not exist yet."""
        if self.exists():
            return
        self._target.backend.mkdir(parents=True, exist_ok=True)
        # `stack init` has no --config-file and writes the configuration next to the Pulumi.yaml that it finds.
        (self._target.folder / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
        self._ask("--cwd", str(self._target.folder), "stack", "init", self._target.name, "--no-select")

    def set_config(self, key: str, value: str) -> None:
        """Set one value of the stack's configuration."""
        self._ask("config", "set", key, value, *self._stack_options())

    def run(self, verb: str, *options: str, environment: Mapping[str, str] | None = None) -> int:
        """Run a verb on the stack with its normal output and additional environment variables; return its exit code.

        Raises:
            KeyboardInterrupt: the user interrupted the verb; it has ended.
        """
        argv = self._argv(verb, *self._stack_options(), *options)
        whole = {**self._environment, **(environment or {})}
        code, errors = _stream(argv, whole)
        if code != 0 and _language_host_died(errors):
            print("The language host died at its start, as an old one does now and then: running it again.", flush=True)
            code, _ = _stream(argv, whole)
        return 128 - code if code < 0 else code  # the shell's exit code for a process ended by a signal

    @property
    def _checkpoint(self) -> Path:
        return self._target.backend / ".pulumi" / "stacks" / PROJECT / f"{self._target.name}.json"

    @property
    def _copy(self) -> Path:
        """Return the path of the engine's own copy of the state, which is one write older."""
        return self._checkpoint.with_suffix(".json.bak")

    def _stack_options(self) -> list[str]:
        return ["--stack", self._target.name, "--config-file", str(self._target.config_file)]

    def _argv(self, *arguments: str) -> list[str]:
        pulumi = shutil.which("pulumi", path=self._environment["PATH"])
        if pulumi is None:
            raise RefusalError("There is no Pulumi CLI on PATH or in .tools/bin. Run `make setup`.")
        return [pulumi, *arguments]

    def _ask(self, *arguments: str) -> str:
        argv = [*self._argv(*arguments), "--non-interactive"]
        asked = subprocess.run(argv, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            raise RefusalError(f"pulumi {' '.join(arguments)} failed:\n  {asked.stderr.strip()}")
        return asked.stdout

    def _mend_state(self) -> None:
        """Replace a state that a killed run left incomplete with the engine's own copy.

        The file backend does not write the state in one step. The copy next to it is one write older, so it may lack an
        agent, or contain one that has been stopped. Both are in the journal, and the next `up` acts on it. `destroy`
        cannot find an agent that the copy lacks, so `down` reports it.
        """
        if not self.is_half_written():
            return
        if _read(self._copy) is not None:
            shutil.copyfile(self._copy, self._checkpoint)
            print(
                f"The state of stack {self._target.name} was half written: its last good copy is back in place.",
                flush=True,
            )
        elif not self._copy.exists():
            self._checkpoint.unlink()  # the first write, of an empty stack: see `resources`

    def _require_ended(self, file: Path) -> None:
        lock = _read(file) or {}
        holder, host = int(lock.get("pid") or 0), str(lock.get("hostname") or "")
        if host not in ("", socket.gethostname()):
            raise RefusalError(
                f"Stack {self._target.name} is locked by a run on another machine.\n"
                f"  machine {host}, process {holder}, lock {file}\n"
                "  If that run has ended, delete the lock file and run this again."
            )
        if is_engine(holder):
            raise RefusalError(
                f"Another run is at work on stack {self._target.name}.\n"
                f"  process {holder}, lock {file}\n"
                "  Wait until it has ended, or end it, and run this again."
            )


def _language_host_died(errors: str) -> bool:
    return any(text in errors for text in _HOST_DIED) and any(text in errors for text in _CONNECTION_LOST)


def _read(file: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing or incomplete."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _stream(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command on this terminal; return its exit code and the last lines of its errors.

    Only stderr passes through this process: the engine's progress display needs a terminal on stdout.
    """
    last: deque[str] = deque(maxlen=50)
    child = subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
    with _interrupts_left_to(child):
        assert child.stderr is not None  # noqa: S101 - PIPE was asked for; this tells the type checker
        reader = threading.Thread(target=_pass_on, args=(child.stderr, last), daemon=True)
        reader.start()
        code = child.wait()
        # With a limit: a plugin that outlives a killed engine may keep the pipe open.
        reader.join(2)
        if not reader.is_alive():
            child.stderr.close()
    return code, "".join(last)


def _pass_on(stream: IO[str], last: deque[str]) -> None:
    for line in stream:
        sys.stderr.write(line)
        sys.stderr.flush()
        last.append(line)


@contextmanager
def _interrupts_left_to(child: subprocess.Popen[str]) -> Iterator[None]:
    """Wait for the child, regardless of signals: it shuts down properly, so its lock and state are written.

    Ctrl-C reaches the whole process group, so the child has received it already. A SIGTERM sent only to this process
    has not reached the child; it is forwarded as SIGINT, on which the engine stops.
    """
    got: list[int] = []

    def note(number: int, _frame: object) -> None:
        got.append(number)
        if number == signal.SIGTERM and child.poll() is None:
            os.kill(child.pid, signal.SIGINT)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if got:
        raise KeyboardInterrupt
