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
        """Whether the stack has been made."""
        return self._checkpoint.exists()

    def take_over(self) -> None:
        """Clear away what an interrupted run left: a half-written state and a lock that nobody holds.

        Raises:
            RefusalError: that run is still at work.
        """
        locks = sorted((self._target.backend / ".pulumi" / "locks").rglob(f"{self._target.name}/*.json"))
        for lock in locks:
            self._require_ended(lock)
        # Only now: a run at work may be writing its state at this moment.
        self._mend_state()
        if not locks:
            return
        print(f"Stack {self._target.name} was locked by a run that is gone: unlocking it.", flush=True)
        if self.exists():
            self._ask("cancel", "--yes", "--stack", self._target.name)
        for lock in locks:
            lock.unlink(missing_ok=True)  # of a stack that was never finished, which `cancel` does not know

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state; none where there is no stack.

        They are read from the backend's files. To export them is a run of the CLI, which cannot read a state that is
        half written, as it is while another run is at work, or where one was killed.

        Raises:
            RefusalError: neither the state nor the engine's copy of it can be read.
        """
        for file in (self._checkpoint, self._copy):
            if (state := _read(file)) is not None:
                latest = (state.get("checkpoint") or {}).get("latest") or {}
                return list(latest.get("resources") or [])
        # The copy is made before the second writing: without one this is the first, of a stack with nothing in it.
        if not self._copy.exists():
            return []
        raise RefusalError(
            f"The state of stack {self._target.name} cannot be read, and neither can the engine's copy of it.\n"
            f"  files {self._checkpoint} and {self._copy.name} beside it\n"
            "  Copy the newest *.checkpoint.json of the backend's history over the first one and run this again:\n"
            f"  {self._target.backend / '.pulumi' / 'history' / PROJECT / self._target.name}"
        )

    def is_half_written(self) -> bool:
        """Whether the stack's state is cut off: a run is writing it now, or was killed at that."""
        return self.exists() and _read(self._checkpoint) is None

    def make_stack(self) -> None:
        """Make the stack where it does not exist yet."""
        if self.exists():
            return
        self._target.backend.mkdir(parents=True, exist_ok=True)
        # `stack init` takes no --config-file and writes the configuration beside the Pulumi.yaml that it finds.
        (self._target.folder / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
        self._ask("--cwd", str(self._target.folder), "stack", "init", self._target.name, "--no-select")

    def set_config(self, key: str, value: str) -> None:
        """Set one value of the stack's configuration."""
        self._ask("config", "set", key, value, *self._stack_options())

    def run(self, verb: str, *options: str, environment: Mapping[str, str] | None = None) -> int:
        """Run a verb on the stack with its normal output, and with more environment; return its exit code.

        Raises:
            KeyboardInterrupt: the user interrupted it; it has ended.
        """
        argv = self._argv(verb, *self._stack_options(), *options)
        whole = {**self._environment, **(environment or {})}
        code, errors = _stream(argv, whole)
        if code != 0 and _language_host_died(errors):
            print("The language host died at its start, as an old one does now and then: running it again.", flush=True)
            code, _ = _stream(argv, whole)
        return 128 - code if code < 0 else code  # as a shell tells that a signal ended it

    @property
    def _checkpoint(self) -> Path:
        return self._target.backend / ".pulumi" / "stacks" / PROJECT / f"{self._target.name}.json"

    @property
    def _copy(self) -> Path:
        """The engine's own copy of the state, one writing older."""
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
        """Put the engine's own copy in place of a state that a killed run left half written.

        The file backend does not write it in one step. The copy beside it is one writing older, so that it may lack an
        agent, or name one that has been stopped. Both are in the journal: the next `up` acts on it; a `destroy` knows
        nothing of the former, which `down` therefore tells of.
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
            self._checkpoint.unlink()  # the first writing, of a stack with nothing in it: see `resources`

    def _require_ended(self, file: Path) -> None:
        lock = _read(file) or {}
        holder, host = int(lock.get("pid") or 0), str(lock.get("hostname") or "")
        if host not in ("", socket.gethostname()):
            raise RefusalError(
                f"Stack {self._target.name} is locked by a run on another machine.\n"
                f"  machine {host}, process {holder}, lock {file}\n"
                "  Where that run has ended, delete the lock file and run this again."
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
    """Return the JSON object in a file; None where there is none, or only a part of one."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _stream(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command on this terminal and return its exit code and its errors' last lines.

    Only stderr passes through here: on stdout the engine must find the terminal itself to draw on.
    """
    last: deque[str] = deque(maxlen=50)
    child = subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
    with _interrupts_left_to(child):
        assert child.stderr is not None  # noqa: S101 - PIPE was asked for; this tells the type checker
        reader = threading.Thread(target=_pass_on, args=(child.stderr, last), daemon=True)
        reader.start()
        code = child.wait()
        # Bounded: a plugin that outlives a killed engine may hold the pipe open.
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
    """Wait for the child whatever signal comes: it stops in good order, and its lock and state must be written.

    Ctrl-C reaches the whole process group, so the child has it already; a SIGTERM for this process alone has not
    reached it, and becomes the SIGINT that the engine stops on.
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
