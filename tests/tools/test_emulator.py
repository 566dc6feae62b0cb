"""The emulator in the background: started once, found again. Other processes are never ended."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtcai_pulumi.maintenance import CommandError
from tests import network
from tools.dev.emulator import Emulator

STAND_IN = """
import http.server, os, signal, sys
if "DIES" in os.environ:
    sys.exit("cannot go on: the reason")
port = int(sys.argv[sys.argv.index("--port") + 1])
if "UNREADY" in os.environ:
    print("waiting", file=open(os.environ["UNREADY"], "w"), flush=True)
    signal.pause()
server = http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Emulator]]:
    """Creates the emulator of a checkout named by its folder, for a port, and ends all of them."""
    made: list[Emulator] = []

    def emulator(port: int, folder: str = "checkout", **environ: str) -> Emulator:
        (tmp_path / folder).mkdir(exist_ok=True)
        environment = {**os.environ, **environ, "RTCAI_ENDPOINT": f"http://127.0.0.1:{port}"}
        made.append(Emulator(tmp_path / folder, environment, (sys.executable, "-c", STAND_IN)))
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
    emulator = make(free_port)
    emulator.start()
    first = pid_of(emulator)
    socket.create_connection(("127.0.0.1", free_port)).close()
    make(free_port).start()
    assert pid_of(emulator) == first


def test_it_is_ended_once(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make(free_port)
    emulator.start()
    pid = pid_of(emulator)
    assert emulator.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not emulator.stop()


def test_one_that_is_not_ready_is_replaced(make: Callable[..., Emulator], free_port: int, tmp_path: Path) -> None:
    """An earlier run was interrupted immediately after it had started the emulator."""
    os.mkfifo(tmp_path / "fifo")

    def start_without_success() -> None:
        with pytest.raises(CommandError):
            make(free_port, UNREADY=str(tmp_path / "fifo")).start()

    thread = threading.Thread(target=start_without_success)
    thread.start()
    (tmp_path / "fifo").read_text()
    first = pid_of(make(free_port))
    make(free_port).start()
    thread.join()
    assert pid_of(make(free_port)) != first


def test_a_process_that_does_not_hold_the_lock_is_never_ended(
    make: Callable[..., Emulator], tmp_path: Path, free_port: int
) -> None:
    """The emulator has ended, and another process has its number now."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        emulator = make(free_port)
        (tmp_path / "checkout" / "emulator.lock").write_text(f"{other.pid} {emulator.endpoint}")
        assert emulator.running() is None
        assert not emulator.stop()
        emulator.start()
        assert pid_of(emulator) != other.pid
        assert other.poll() is None
        other.kill()


def test_another_port_moves_it(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make(free_port)
    emulator.start()
    first = pid_of(emulator)
    moved = make(network.free_port())  # not one that the system assigns: another test would get it before it is used
    moved.start()
    assert emulator.running() == (pid_of(emulator), moved.endpoint)
    assert pid_of(emulator) != first


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path, {**os.environ, "RTCAI_ENDPOINT": "http://127.0.0.1:80a"})
    with pytest.raises(CommandError, match="exit code 2"):
        emulator.start()


def test_a_port_taken_by_another_program_is_named(make: Callable[..., Emulator], foreign_port: int) -> None:
    emulator = make(foreign_port)
    with pytest.raises(CommandError, match=f"another program uses port {foreign_port}") as refused:
        emulator.start()
    assert "set RTCAI_DEV_PORT" in str(refused.value)
    assert emulator.running() is None


def test_the_emulator_of_another_checkout_is_left_alone(make: Callable[..., Emulator], free_port: int) -> None:
    other = make(free_port, "other")
    other.start()
    with pytest.raises(CommandError, match="did not start"):
        make(free_port).start()
    assert pid_of(other)


def test_one_that_dies_at_its_start_is_reported_with_its_output(
    make: Callable[..., Emulator], free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator = make(free_port, DIES="1")
    with pytest.raises(CommandError, match="exit code 1"):
        emulator.start()
    assert "cannot go on: the reason\n" in capsys.readouterr().out
    assert emulator.running() is None
