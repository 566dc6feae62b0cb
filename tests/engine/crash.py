"""Runs of the CLI that are killed at a moment that the test chooses."""

import os
import re
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import IO

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack, cli

HOOK = Path(__file__).parent / "hook"
PATIENCE = 90
IN_THE_PLUGIN = (
    "before the intent",
    "after the intent",
    "the answer has arrived",
    "the journal has it",
    "the engine is about to get the result",
    "closing is noted",
    "closed is noted",
    "the room is known",
)
AT_THE_SERVICE = {
    "the create has been sent": ("create", "arrived"),
    "the create has been done": ("create", "worked"),
    "the close has been sent": ("close", "arrived"),
    "the close has been done": ("close", "worked"),
    "the room has been asked for": ("room-create", "arrived"),
    "the room has been opened": ("room-create", "worked"),
    "the room is asked about": ("query", "arrived"),
}


class Stops:
    """Waits until a number of plugin threads have stopped at the moment, and lets them continue."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._listener.settimeout(PATIENCE)
        self._held: list[socket.socket] = []
        self.plugin = 0

    def wait(self, count: int = 1) -> None:
        """Return when this many threads have stopped there."""
        while len(self._held) < count:
            connection, _ = self._listener.accept()
            connection.settimeout(PATIENCE)
            self.plugin = int(connection.makefile().readline())
            self._held.append(connection)

    def release(self) -> None:
        """Let all threads continue, including those that arrive later."""
        self._listener.close()
        self.path.unlink(missing_ok=True)
        for connection in self._held:
            connection.close()
        self._held.clear()


class Output:
    """The output of a run, while it is being printed."""

    def __init__(self, stream: IO[str]) -> None:
        self.text = ""
        self._changed = Condition()
        self._reader = Thread(target=self._read, args=(stream,))
        self._reader.start()

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Return when the run has printed this many texts that match a pattern."""
        with self._changed:
            found = self._changed.wait_for(lambda: len(re.findall(pattern, self.text)) >= times, PATIENCE)
            assert found, self.text

    def ended(self) -> str:
        """Everything that was printed, once no process holds the stream open any more."""
        self._reader.join()
        return self.text

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self.text += line
                self._changed.notify_all()


@dataclass
class Interrupted:
    """A run that has stopped at its moment, and what a test can do to it."""

    process: subprocess.Popen[str]
    output: "Output"
    release: Callable[[], None]
    plugins: Callable[[], list[int]]

    def kill_engine(self) -> None:
        """`kill -9` of the engine: its plugin keeps running."""
        self.process.kill()
        self.process.wait()

    def kill_plugin(self) -> None:
        """`kill -9` of the plugin: the engine keeps running and ends with an error."""
        kill_all(self.plugins())
        self.process.wait(PATIENCE)

    def kill_both(self) -> None:
        """The effect of a lost machine or of too little memory: no process ends in an orderly way or cleans up."""
        plugins = self.plugins()
        self.process.kill()
        kill_all(plugins)
        self.process.wait()

    def interrupt(self, times: int) -> None:
        """One SIGINT asks the engine to stop after the running calls. A second one asks it to stop immediately."""
        self.process.send_signal(signal.SIGINT)
        if times > 1:
            # Two signals of the same kind may arrive as one. So the second is sent only after the engine has reacted to
            # the first.
            self.output.wait_for(r"press \^C again")
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)

    def finish(self) -> None:
        """Let the remaining processes run to their end."""
        plugins = self.plugins()
        self.release()
        self.process.wait(PATIENCE)
        for plugin in plugins:
            wait_for_end(plugin)


def session_of(process: int) -> int | None:
    """The session of a process; None if the process is gone or a zombie."""
    try:
        state, _, _, session = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(session)


def plugins_of(session: int) -> list[int]:
    """The Python processes of dynamic plugins in a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and session_of(int(entry.name)) == session:
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if b"pulumi.dynamic" in arguments and b"python" in arguments[0]:
                found.append(int(entry.name))
    return found


def wait_for_end(process: int) -> None:
    """Return when a process that is not our child has ended."""
    assert ends(process, within=PATIENCE), f"process {process} did not end"


def ends(process: int, *, within: float) -> bool:
    """Whether a process that is not our child ends within this time, in seconds."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within)[0])
    finally:
        os.close(handle)


def kill_all(processes: Iterable[int]) -> None:
    """`kill -9` of processes that may be ending by themselves."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def end_session(session: int) -> None:
    """End all processes of a run at the same moment, by process id.

    They are stopped first: if the plugin ended before the engine, the engine would report that and unlock the stack.
    """
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    of_session = [process for process in processes if session_of(process) == session]
    for process in of_session:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
    kill_all(of_session)


@contextmanager
def interrupted(
    stack: Stack, emulator: Emulator, command: list[str], moment: str, *, count: int = 1, **environment: str
) -> Iterator[Interrupted]:
    """A run of the CLI that has stopped at a moment. Processes that it leaves are ended with the block.

    Args:
        stack: the stack.
        emulator: the service.
        command: arguments of the CLI, for example ``["up", "--yes"]``.
        moment: one of `IN_THE_PLUGIN` or `AT_THE_SERVICE`.
        count: how many calls must have stopped there.
        environment: additional environment variables.
    """
    with ExitStack() as ends:
        if moment in AT_THE_SERVICE:
            verb, at = AT_THE_SERVICE[moment]
            hold = emulator.hold(verb, at=at, times=None)  # type: ignore[arg-type]  # the table holds its words
            ends.callback(hold.release)
            release = hold.release

            def wait_for_moment() -> None:
                hold.wait(count=count, timeout=PATIENCE)

        else:
            stops = Stops(stack.folder / "moments")
            ends.callback(stops.release)
            release = stops.release

            def wait_for_moment() -> None:
                stops.wait(count)

            environment |= {"TEST_MOMENT": moment, "TEST_MOMENTS": str(stops.path), "PYTHONPATH": str(HOOK)}
        process, output = ends.enter_context(running(stack, command, **environment))
        try:
            wait_for_moment()
        except TimeoutError:
            process.kill()
            message = f"the run never came to {moment!r}: {output.ended()}"
            raise AssertionError(message) from None
        yield Interrupted(process, output, release, lambda: plugins_of(process.pid))


@contextmanager
def running(stack: Stack, command: list[str], **environment: str) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    """A run of the CLI, and its output. Processes that it leaves are ended with the block."""
    with subprocess.Popen(
        [cli(), *command, "--non-interactive"],
        cwd=stack.folder / "program",
        env={**stack.selected(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        output = Output(process.stdout)
        try:
            yield process, output
        finally:
            end_session(process.pid)  # before the process is waited for, even if the block failed
            output.ended()
