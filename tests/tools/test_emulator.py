"""The emulator in the background: started once, found again. Other processes are never ended."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import network
from tools.dev.emulator import Emulator
from tools.dev.target import RefusalError

STAND_IN = """
import http.server, json, os, signal, sys
if "DIES" in os.environ:
    sys.exit("cannot go on: the reason")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        tasks = [{"taskId": "t", "cid": 1, "cname": "room", "mode": "agent", "state": "running"}]
        body = json.dumps({"tasks": tasks}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
port = int(sys.argv[sys.argv.index("--port") + 1])
if "UNREADY" in os.environ:
    print("waiting", file=open(os.environ["UNREADY"], "w"), flush=True)
    signal.pause()
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Emulator]]:
    """Creates the emulator of a checkout named by its folder, and ends all of them."""
    made: list[Emulator] = []

    def emulator(folder: str = "checkout", **environ: str) -> Emulator:
        made.append(Emulator(tmp_path / folder, {**os.environ, **environ}, (sys.executable, "-c", STAND_IN)))
        return made[-1]

    yield emulator
    for emulator_made in made:
        emulator_made.stop()


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """A port on which something other than an emulator answers."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def pid_of(emulator: Emulator) -> int:
    running = emulator.running()
    assert running
    return running[0]


def test_it_is_ready_when_start_returns_and_is_started_once(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make()
    emulator.start(free_port)
    first = pid_of(emulator)
    assert emulator.tasks(free_port)[0]["taskId"] == "t"
    make().start(free_port)
    assert pid_of(emulator) == first


def test_it_is_ended_once(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make()
    emulator.start(free_port)
    pid = pid_of(emulator)
    assert emulator.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not emulator.stop()


def test_one_that_is_not_ready_is_replaced(make: Callable[..., Emulator], free_port: int, tmp_path: Path) -> None:
    """An earlier run was interrupted immediately after it had started the emulator."""
    os.mkfifo(tmp_path / "fifo")

    def start_without_success() -> None:
        with pytest.raises(RefusalError):
            make(UNREADY=str(tmp_path / "fifo")).start(free_port)

    thread = threading.Thread(target=start_without_success)
    thread.start()
    (tmp_path / "fifo").read_text()
    first = pid_of(make())
    make().start(free_port)
    thread.join()
    assert pid_of(make()) != first


def test_a_process_that_does_not_hold_the_lock_is_never_ended(
    make: Callable[..., Emulator], tmp_path: Path, free_port: int
) -> None:
    """The emulator has ended, and another process has its number now."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "checkout").mkdir()
        (tmp_path / "checkout" / "emulator.lock").write_text(f"{other.pid} {free_port}")
        assert make().running() is None
        assert not make().stop()
        make().start(free_port)
        assert pid_of(make()) != other.pid
        assert other.poll() is None
        other.kill()


def test_another_port_moves_it(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make()
    emulator.start(free_port)
    first = pid_of(emulator)
    other = network.free_port()  # not one that the system assigns: another test would get it before it is used
    make().start(other)
    assert emulator.running() == (pid_of(emulator), other)
    assert pid_of(emulator) != first


def test_a_port_taken_by_another_program_is_named(make: Callable[..., Emulator], foreign_port: int) -> None:
    emulator = make()
    with pytest.raises(RefusalError, match=f"another program uses port {foreign_port}") as refused:
        emulator.start(foreign_port)
    assert f"RTCAI_DEV_PORT={foreign_port % 65535 + 1}" in str(refused.value)
    assert emulator.running() is None


def test_the_emulator_of_another_checkout_is_left_alone(make: Callable[..., Emulator], free_port: int) -> None:
    other = make("other")
    other.start(free_port)
    with pytest.raises(RefusalError, match="did not start"):
        make().start(free_port)
    assert pid_of(other)


def test_one_that_dies_at_its_start_is_reported_with_its_last_lines(
    make: Callable[..., Emulator], free_port: int
) -> None:
    emulator = make(DIES="1")
    with pytest.raises(RefusalError, match="exit code 1") as refused:
        emulator.start(free_port)
    assert "  | cannot go on: the reason" in str(refused.value)
    assert str(emulator.log) in str(refused.value)
    assert emulator.running() is None


def test_one_that_does_not_answer_is_reported_with_its_log(make: Callable[..., Emulator], free_port: int) -> None:
    with pytest.raises(RefusalError, match="does not list its tasks: ConnectError"):
        make().tasks(free_port)
