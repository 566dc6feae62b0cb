"""`make up`, `status` and `down` as a new user enters them: the real engine, the real emulator, a separate state."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.engine.crash import end_session
from tests.network import free_port
from tests.tools.conftest import tasks_of
from tools.dev.emulator import Emulator
from tools.dev.stack import PROJECT, Stack, dev

pytestmark = pytest.mark.full("more states that a checkout can be in")

ROOMS = ["demo-agent", "demo-agent-and-parameters", "demo-parameters"]


@dataclass
class Checkout:
    """This checkout with its state in a temporary folder and its emulator on a separate port."""

    root: Path
    environ: dict[str, str]
    stack: Stack
    emulator: Emulator

    @property
    def locks(self) -> Path:
        """The folder of the engine's locks."""
        return self.stack.backend / ".pulumi" / "locks" / "organization" / PROJECT / "dev"

    def make(self, *targets: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *targets], cwd=self.root, env={**self.environ, **environ}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def starts_up(self) -> subprocess.Popen[str]:
        """Start `make up` in a session of its own: as on a terminal, an interrupt reaches all of its processes."""
        # Tests in the background of a shell have inherited an ignored interrupt.
        return subprocess.Popen(
            ["env", "--default-signal=INT", "make", "up"], cwd=self.root, env=self.environ, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def tasks(self) -> list[tuple[str, str]]:
        listed = tasks_of(self.emulator.endpoint)
        return [(task["cname"], task["taskId"]) for task in listed if task["state"] == "running"]

    def rooms(self) -> list[str]:
        return sorted(room for room, _ in self.tasks())


@pytest.fixture
def checkout(root: Path, tmp_path: Path, environ: dict[str, str]) -> Iterator[Checkout]:
    own = {"RTCAI_DEV_DIR": str(tmp_path / "state"), "RTCAI_DEV_PORT": str(free_port())}
    stack = dev({**environ, **own})
    emulator = Emulator(stack.folder, stack.environment)
    yield Checkout(root, {**environ, **own}, stack, emulator)
    emulator.stop()


def succeeded(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.everyday
def test_alone_it_lists_every_target(checkout: Checkout) -> None:
    listed = succeeded(checkout.make())
    for name in (
        "setup",
        "up",
        "preview",
        "down",
        "status",
        "test",
        "test-full",
        "test-all",
        "lint",
        "format",
        "clean",
    ):
        assert f"make {name} " in listed


@pytest.mark.everyday
@pytest.mark.shows("make up", "make status", "make down")
def test_up_then_up_then_down_then_down(checkout: Checkout) -> None:
    # A kind of proxy that httpx does not support, at an address where no process listens. With the other setting, the
    # engine would not find its language host.
    first = succeeded(checkout.make("up", ALL_PROXY="socks5://127.0.0.1:1", PULUMI_IGNORE_AMBIENT_PLUGINS="true"))
    tasks = checkout.tasks()
    assert sorted(room for room, _ in tasks) == ROOMS
    assert "+ 4 created" in first
    lines = [line.rpartition("/") for line in first.splitlines()]
    for room, task_id in tasks:
        assert any(start.startswith(room) and end.split() == [task_id, "open"] for start, _, end in lines)

    assert "4 unchanged" in succeeded(checkout.make("up"))
    assert checkout.tasks() == tasks

    shown = succeeded(checkout.make("status"))
    assert all(task_id in shown for _, task_id in tasks)

    stopped = succeeded(checkout.make("down"))
    assert "- 4 deleted" in stopped
    assert "Stack dev is removed.\nThe emulator is stopped." in stopped
    assert checkout.emulator.running() is None
    assert "Nothing to stop" in succeeded(checkout.make("down"))


@pytest.mark.everyday
@pytest.mark.shows("make preview", "promise 2")
def test_preview_starts_nothing(checkout: Checkout) -> None:
    assert "4 to create" in succeeded(checkout.make("preview"))
    assert checkout.emulator.running() is None


def test_down_stops_agents_whose_emulator_has_ended_meanwhile(checkout: Checkout) -> None:
    succeeded(checkout.make("up"))
    tasks = checkout.tasks()
    checkout.emulator.stop()
    assert "the emulator is not running" in succeeded(checkout.make("status"))
    succeeded(checkout.make("down"))
    checkout.emulator.start()
    ended = {task["taskId"] for task in tasks_of(checkout.emulator.endpoint) if task["state"] == "ended"}
    assert ended == {task_id for _, task_id in tasks}


def test_up_brings_back_an_emulator_that_has_ended(checkout: Checkout) -> None:
    succeeded(checkout.make("up"))
    tasks = checkout.tasks()
    checkout.emulator.stop()
    assert "4 unchanged" in succeeded(checkout.make("up"))
    assert checkout.tasks() == tasks
    succeeded(checkout.make("down"))


def test_interrupted_it_can_be_run_again(checkout: Checkout) -> None:
    with checkout.starts_up() as child:
        assert child.stdout
        for line in child.stdout:
            if "creating" in line:
                os.killpg(child.pid, signal.SIGINT)
                break
        output, errors = child.communicate()
    assert child.returncode != 0
    assert "Error 130" in errors
    assert "Run `make up` again." in errors
    assert "Traceback" not in errors
    # The engine has ended by itself: it has reported the end, written its state and removed its lock.
    assert "Duration:" in output
    assert "pending_operations" not in checkout.stack.checkpoint.read_text()
    assert not list(checkout.locks.glob("*.json"))

    succeeded(checkout.make("up"))
    assert checkout.rooms() == ROOMS
    succeeded(checkout.make("down"))


def test_a_second_interrupt_does_not_wait_for_a_slow_answer(checkout: Checkout) -> None:
    checkout.stack.folder.mkdir(parents=True)
    checkout.emulator.start()
    faults = f"{checkout.emulator.endpoint}/-/faults"
    fault = {"verb": "create", "kind": "hang", "times": None}
    httpx.post(faults, json=fault, trust_env=False).raise_for_status()
    with checkout.starts_up() as child:
        assert child.stdout
        output = []
        for reason in ("RealtimeConversation agent creating", "If you would like to terminate", "no further interrupt"):
            for line in child.stdout:
                output.append(line)
                if reason in line:
                    os.killpg(child.pid, signal.SIGINT)
                    break
        _, errors = child.communicate()
    assert "^C received; terminating\n" in output
    assert "Run `make up` again." in errors
    assert "Traceback" not in errors
    assert not list(checkout.locks.glob("*.json"))

    httpx.delete(faults, trust_env=False).raise_for_status()
    succeeded(checkout.make("up"))
    assert checkout.rooms() == ROOMS
    succeeded(checkout.make("down"))


def test_who_works_on_the_stack_is_named_once(checkout: Checkout) -> None:
    succeeded(checkout.make("preview"))  # the stack exists
    checkout.locks.mkdir(parents=True, exist_ok=True)
    holder = {"pid": os.getpid(), "hostname": socket.gethostname(), "username": "somebody"}
    (checkout.locks / "1.json").write_text(json.dumps({**holder, "timestamp": "2026-01-02T09:00:00Z"}))
    refused = checkout.make("up")
    assert refused.returncode != 0
    shown = refused.stdout + refused.stderr
    assert shown.count("the stack is currently locked by") == 1
    assert f"created by somebody@{socket.gethostname()} (pid {os.getpid()})" in shown
    assert "Pulumi's `up` failed" in shown
    assert "Traceback" not in shown
    assert checkout.rooms() == []


def test_killed_it_can_be_run_again(checkout: Checkout) -> None:
    with subprocess.Popen(
        ["make", "up"], cwd=checkout.root, env=checkout.environ, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as child:  # fmt: skip
        assert child.stdout
        assert any("creating" in line for line in child.stdout)
        end_session(child.pid)  # make, the tool, the engine and its plugins; the stack stays locked
    succeeded(checkout.make("up"))
    assert checkout.rooms() == ROOMS
    succeeded(checkout.make("down"))


def test_agents_on_another_port_are_not_given_up(checkout: Checkout) -> None:
    succeeded(checkout.make("up"))
    other = checkout.make("down", RTCAI_DEV_PORT=str(free_port()))
    assert other.returncode != 0
    assert checkout.emulator.endpoint in other.stdout
    assert "Pulumi's `destroy` failed" in other.stderr
    assert "Traceback" not in other.stdout + other.stderr
    succeeded(checkout.make("down"))


def test_a_second_target_at_the_same_time_waits(checkout: Checkout) -> None:
    with subprocess.Popen(
        ["make", "up"], cwd=checkout.root, env=checkout.environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as child:  # fmt: skip
        assert child.stdout
        child.stdout.readline()
        second = succeeded(checkout.make("down"))
        child.communicate()
    assert child.returncode == 0
    assert "Waiting for another make target" in second
    assert "- 4 deleted" in second
