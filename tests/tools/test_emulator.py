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
from tools.dev.processes import command_lines
from tools.dev.target import RefusalError

STAND_IN = """
import http.server, json, os, sys
if "DIES" in os.environ:
    sys.exit("cannot go on: the reason")
if "WAITS" in os.environ:
    open(os.environ["WAITS"]).read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        tasks = {"tasks": [{"taskId": "t", "cid": 1, "cname": "room", "mode": "agent", "state": "running"}]}
        body = json.dumps({"status": "ok", "pid": os.getpid()} if self.path == "/-/health" else tasks).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
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
    assert not command_lines().get(pid)
    assert not emulator.stop()


def test_one_that_is_not_ready_yet_is_waited_for(make: Callable[..., Emulator], free_port: int, tmp_path: Path) -> None:
    """An earlier run was interrupted immediately after it had started the emulator."""
    os.mkfifo(tmp_path / "fifo")
    emulator = make(WAITS=str(tmp_path / "fifo"))
    thread = threading.Thread(target=emulator.start, args=(free_port,))
    thread.start()
    with (tmp_path / "fifo").open("w"):  # opened when the emulator waits
        first = pid_of(emulator)
        other = threading.Thread(target=make().start, args=(free_port,))
        other.start()
    thread.join()
    other.join()
    assert pid_of(emulator) == first


def test_a_process_that_only_names_the_state_file_is_never_ended(
    make: Callable[..., Emulator], tmp_path: Path, free_port: int
) -> None:
    state = tmp_path / "checkout" / "emulator-state.json"
    argv = [sys.executable, "-c", "input()", str(state), "--port", str(free_port), "--state", f"{state}.old"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as other:
        assert make().running() is None
        assert not make().stop()
        make().start(free_port)
        assert pid_of(make()) != other.pid
        assert other.poll() is None
        other.kill()


def test_a_shell_that_was_given_the_command_is_not_the_emulator(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make()
    emulator.start(free_port)
    line = command_lines()[pid_of(emulator)]
    emulator.stop()
    with subprocess.Popen(["sh", "-c", f"read line; : {line} --end"], stdin=subprocess.PIPE) as other:
        assert emulator.running() is None
        assert not emulator.stop()
        assert other.poll() is None
        other.kill()


def test_another_port_moves_it(make: Callable[..., Emulator], free_port: int) -> None:
    emulator = make()
    emulator.start(free_port)
    first = pid_of(emulator)
    other = network.free_port()  # not one that the system assigns: another test would get it before it is used
    make().start(other)
    assert emulator.running() == (pid_of(emulator), other)
    assert not command_lines().get(first)


def test_a_port_taken_by_another_program_is_named(make: Callable[..., Emulator], foreign_port: int) -> None:
    emulator = make()
    with pytest.raises(
        RefusalError, match=f"Port {foreign_port}, which the emulator needs, is in use by another program"
    ) as refused:
        emulator.start(foreign_port)
    assert f"RTCAI_DEV_PORT={foreign_port % 65535 + 1}" in str(refused.value)
    assert emulator.running() is None


def test_the_emulator_of_another_checkout_is_left_alone(make: Callable[..., Emulator], free_port: int) -> None:
    other = make("other")
    other.start(free_port)
    with pytest.raises(RefusalError, match=f"process {pid_of(other)}, an emulator but not this checkout's"):
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
