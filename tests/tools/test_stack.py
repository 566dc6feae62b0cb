"""A stack: how its runs are started, repeated, interrupted and recovered."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pulumi import automation

from tools.dev.stack import Stack
from tools.dev.target import PROJECT, RefusalError, Target

HOST_DIED = "error: failed to discover package requirements: error reading from server: EOF"

SUMMARY = {"kind": "update", "startTime": "2026-01-01T00:00:00.000Z", "message": "", "environment": {}, "config": {}}
ANSWERS = {
    "version": "v3.274.1",
    "stack select": "",
    "stack output": "{}",
    "stack history": json.dumps([{**SUMMARY, "endTime": SUMMARY["startTime"], "result": "succeeded"}]),
}

FAKE_PULUMI = """
import json, os, pathlib, signal, sys
arguments = [argument for argument in sys.argv[1:] if argument != "--non-interactive"]
answer = json.loads(os.environ["ANSWERS"]).get(" ".join(arguments[:2]))
if answer is not None:
    print(answer)
    sys.exit()
log = pathlib.Path(os.environ["LOG"])
with log.open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
script = pathlib.Path(os.environ["SCRIPT"])
steps = script.read_text().splitlines()
if steps:
    script.write_text("\\n".join(steps[1:]))
    if steps[0] == "wait":
        signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
        lock = pathlib.Path(os.environ["LOCK"])
        lock.parent.mkdir(parents=True)
        lock.write_text(json.dumps({"pid": os.getpid()}))
        pathlib.Path(os.environ["FIFO"]).write_text("waiting")
        signal.pause()
    if steps[0].startswith("after a signal: "):
        pathlib.Path(os.environ["FIFO"]).write_text("waiting")
        pathlib.Path(os.environ["FIFO"]).read_text()
    print(steps[0], file=sys.stderr)
    sys.exit(255)
print("creating ...")
"""


@dataclass
class OwnStack:
    """A stack with a CLI that only records its calls, and fails with the lines of `script`, one for each call."""

    target: Target
    folder: Path

    def fails_with(self, *lines: str) -> None:
        (self.folder / "script").write_text("\n".join(lines))

    @property
    def calls(self) -> list[list[str]]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def checkpoint(self) -> Path:
        return self.target.checkpoint

    @property
    def copy(self) -> Path:
        return self.checkpoint.with_suffix(".json.bak")

    @property
    def lock(self) -> Path:
        return self.target.backend / ".pulumi" / "locks" / "organization" / PROJECT / "dev" / "1.json"

    def holds(self, state: str) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        self.checkpoint.write_text(state)

    def is_locked_by(self, pid: int, host: str) -> Path:
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        self.lock.write_text(json.dumps({"pid": pid, "hostname": host}))
        return self.lock


@pytest.fixture
def stack(tmp_path: Path) -> OwnStack:
    program = tmp_path / "path" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{FAKE_PULUMI}")
    program.chmod(0o755)
    os.mkfifo(tmp_path / "fifo")
    environ = {name.upper(): str(tmp_path / name) for name in ("log", "script", "fifo")}
    environ |= {"PATH": str(program.parent), "ANSWERS": json.dumps(ANSWERS)}
    made = OwnStack(Target("dev", tmp_path / "dev", environ), tmp_path)
    environ["LOCK"] = str(made.lock)
    made.fails_with()
    return made


def test_the_engines_lines_are_printed_and_nothing_of_the_users_environment_reaches_it(
    stack: OwnStack, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWERS", json.dumps({**ANSWERS, "up": "of the user's environment"}))
    assert Stack(stack.target).run("up")
    assert capfd.readouterr().out == "creating ...\n"
    assert "of the user" in os.environ["ANSWERS"]


def test_a_run_is_repeated_once_where_the_language_host_died(
    stack: OwnStack, capfd: pytest.CaptureFixture[str]
) -> None:
    stack.fails_with(HOST_DIED)
    assert Stack(stack.target).run("up", refresh=True)
    assert len(stack.calls) == 2
    assert stack.calls[0] == stack.calls[1]
    said = capfd.readouterr()
    assert "trying once more" in said.out
    assert HOST_DIED in said.err


def test_a_run_is_repeated_no_more_than_once(stack: OwnStack) -> None:
    stack.fails_with(HOST_DIED, HOST_DIED)
    assert not Stack(stack.target).run("up")
    assert len(stack.calls) == 2


@pytest.mark.parametrize(
    "line", ["error: update failed", "error: failed to discover package requirements: no such file", "EOF"]
)
def test_no_other_failure_is_repeated(stack: OwnStack, line: str) -> None:
    stack.fails_with(line)
    assert not Stack(stack.target).run("up")
    assert len(stack.calls) == 1


def test_a_sigterm_is_a_sigint_to_the_engine_which_is_waited_for(stack: OwnStack) -> None:
    stack.fails_with("wait")

    def interrupt() -> None:
        (stack.folder / "fifo").read_text()
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        Stack(stack.target).run("up")
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_interrupted_before_its_lock_is_not_repeated(stack: OwnStack, number: signal.Signals) -> None:
    stack.fails_with(f"after a signal: {HOST_DIED}")

    def interrupt() -> None:
        (stack.folder / "fifo").read_text()
        os.kill(os.getpid(), number)
        (stack.folder / "fifo").write_text("sent")

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        Stack(stack.target).run("up")
    thread.join()
    assert len(stack.calls) == 1


def test_a_failed_question_shows_the_clis_reason(stack: OwnStack) -> None:
    stack.fails_with("error: the reason")
    with pytest.raises(automation.CommandError, match="the reason"):
        Stack(stack.target).set_config("room", "x")


@pytest.fixture
def other_run(stack: OwnStack) -> Iterator[subprocess.Popen[bytes]]:
    stack.fails_with("wait")
    environ = dict(stack.target.environment)
    with subprocess.Popen([stack.folder / "path" / "pulumi", "up"], env=environ) as child:
        (stack.folder / "fifo").read_text()
        yield child
        child.kill()


def test_the_lock_of_a_run_at_work_is_respected(stack: OwnStack, other_run: subprocess.Popen[bytes]) -> None:
    stack.holds("half a st")
    lock = stack.is_locked_by(other_run.pid, socket.gethostname())
    with pytest.raises(RefusalError, match=f"process {other_run.pid}") as refused:
        Stack(stack.target).recover()
    assert str(lock) in str(refused.value)
    assert lock.exists()
    assert stack.checkpoint.read_text() == "half a st"


def test_the_lock_of_another_machine_is_respected(stack: OwnStack) -> None:
    lock = stack.is_locked_by(1, "another-machine")
    with pytest.raises(RefusalError, match="another machine"):
        Stack(stack.target).recover()
    assert lock.exists()


@pytest.mark.parametrize("pid", [2**22 + 1, os.getpid()], ids=["no such process", "a process that is no engine"])
def test_the_lock_of_a_run_that_is_gone_is_removed(stack: OwnStack, pid: int) -> None:
    stack.holds("{}")
    lock = stack.is_locked_by(pid, socket.gethostname())
    Stack(stack.target).recover()
    assert not lock.exists()
    assert stack.checkpoint.exists()


def test_the_lock_of_a_stack_that_was_never_finished_is_removed(stack: OwnStack) -> None:
    lock = stack.is_locked_by(2**22 + 1, socket.gethostname())
    Stack(stack.target).recover()
    assert not lock.exists()
    assert stack.calls == []


def test_a_half_written_state_gives_way_to_the_last_good_one(
    stack: OwnStack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.holds('{"version": 3, "checkpo')
    stack.copy.write_text('{"version": 3}')
    Stack(stack.target).recover()
    assert stack.checkpoint.read_text() == '{"version": 3}'
    assert "The state file of stack dev is incomplete; restored the last complete copy.\n" in capsys.readouterr().out


def state_of(*types: str) -> str:
    return json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [{"type": type_} for type_ in types]}}})


def test_the_resources_are_those_of_the_state(stack: OwnStack) -> None:
    assert Stack(stack.target).resources() == []
    stack.holds(state_of("new"))
    stack.copy.write_text(state_of("old"))
    assert Stack(stack.target).resources() == [{"type": "new"}]
    stack.holds('{"version": 3, "checkpoint": {"latest": null}}')
    assert Stack(stack.target).resources() == []


def test_the_resources_of_a_half_written_state_are_those_of_the_last_good_one(stack: OwnStack) -> None:
    stack.holds(state_of("new")[:-9])
    assert Stack(stack.target).resources() == []
    stack.copy.write_text(state_of("old"))
    assert Stack(stack.target).is_half_written()
    assert Stack(stack.target).resources() == [{"type": "old"}]


def test_a_state_without_any_good_one_is_left_alone_and_named(stack: OwnStack) -> None:
    stack.holds("half a st")
    stack.copy.write_text("")
    engine = Stack(stack.target)
    engine.recover()
    assert stack.checkpoint.read_text() == "half a st"
    with pytest.raises(RefusalError, match="history") as refused:
        engine.resources()
    assert str(stack.checkpoint) in str(refused.value)


def test_a_good_state_is_left_alone(stack: OwnStack) -> None:
    stack.holds('{"version": 3}')
    stack.copy.write_text('{"version": 2}')
    Stack(stack.target).recover()
    assert stack.checkpoint.read_text() == '{"version": 3}'


def test_a_first_state_that_was_half_written_is_removed_so_that_the_stack_is_made_again(stack: OwnStack) -> None:
    stack.holds("")
    Stack(stack.target).recover()
    assert not stack.checkpoint.exists()


def test_a_stack_that_does_not_exist_is_made(stack: OwnStack) -> None:
    unknown = {name: answer for name, answer in ANSWERS.items() if name != "stack select"}
    environment = {**stack.target.environment, "ANSWERS": json.dumps(unknown)}
    stack.fails_with("error: no stack named 'dev' found")
    assert Stack(Target("dev", stack.target.folder, environment)).run("up")
    assert stack.calls[1][:3] == ["stack", "init", "dev"]
