"""`make up`, `status` and `down` as a new user enters them: the real engine, the real emulator, a separate state."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.crash import end_session
from tests.network import free_port
from tests.tools.conftest import tasks_of
from tools.dev.emulator import Emulator
from tools.dev.stack import dev

pytestmark = pytest.mark.full("more states that a checkout can be in")

ROOMS = ["demo-agent", "demo-agent-and-parameters", "demo-parameters"]


@dataclass
class Checkout:
    """This checkout with its state in a temporary folder and its emulator on a separate port."""

    root: Path
    environ: dict[str, str]
    emulator: Emulator

    def make(self, *targets: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *targets], cwd=self.root, env={**self.environ, **environ}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
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
    yield Checkout(root, {**environ, **own}, emulator)
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
    # A kind of proxy that httpx does not support, at an address where no process listens.
    first = succeeded(checkout.make("up", ALL_PROXY="socks5://127.0.0.1:1"))
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
    assert "The emulator is stopped." in stopped
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
    # A session of its own: as on a terminal, the interrupt reaches make, the tool and the engine at the same time.
    # Tests in the background of a shell have inherited an ignored interrupt.
    command = ["env", "--default-signal=INT", "make", "up"]
    with subprocess.Popen(
        command, cwd=checkout.root, env=checkout.environ, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout
        for line in child.stdout:
            if "creating" in line:
                os.killpg(child.pid, signal.SIGINT)
                break
        _, errors = child.communicate()
    assert child.returncode != 0
    assert "Run `make up` again." in errors

    succeeded(checkout.make("up"))
    assert checkout.rooms() == ROOMS
    succeeded(checkout.make("down"))


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
    assert checkout.emulator.endpoint in other.stdout + other.stderr
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
