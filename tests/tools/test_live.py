"""The real service is changed only after a yes on a terminal. In these tests, a separate emulator replaces it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.tools.conftest import tasks_of
from tools.dev.emulator import Emulator
from tools.dev.stack import live

pytestmark = pytest.mark.full("more answers and states; one agent is started and stopped every day")

SECRET = "a-secret-that-nobody-may-see"


@dataclass
class Service:
    """A replacement for the service, started with credentials that only its user knows."""

    endpoint: str

    def rooms(self, state: str = "running") -> list[str]:
        return sorted(task["cname"] for task in tasks_of(self.endpoint) if task["state"] == state)

    def ends_room(self, room: str) -> None:
        httpx.delete(f"{self.endpoint}/-/rooms/{room}", trust_env=False).raise_for_status()


@dataclass
class Checkout:
    """The targets of this checkout with credentials set, and with the state in a temporary folder."""

    root: Path
    state: Path
    environ: dict[str, str]

    def runs(self, verb: str) -> subprocess.CompletedProcess[str]:
        """Run a target without a terminal."""
        argv = [sys.executable, "-m", "tools.dev", verb]
        return subprocess.run(
            argv, cwd=self.root, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def runs_on_a_terminal(self, verb: str, answer: str) -> tuple[int, str]:
        """Run a target on a terminal, answer its questions, and return its exit code and its complete output."""
        ours, theirs = pty.openpty()
        argv = [sys.executable, "-m", "tools.dev", verb]
        with subprocess.Popen(
            argv, cwd=self.root, env=self.environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        ) as child:
            os.close(theirs)
            written, asked = b"", 0
            try:
                while block := os.read(ours, 65536):
                    written += block
                    if (questions := written.count(b'"yes" to continue: ') + written.count(b"[y/N]")) > asked:
                        os.write(ours, f"{answer}\r".encode())
                        asked = questions
            except OSError:
                pass  # on Linux, this means that the other side of the terminal is closed
            os.close(ours)
        return child.returncode, written.decode()

    @property
    def checkpoint(self) -> Path:
        return live(self.environ).checkpoint

    def holds_no_secret(self) -> bool:
        return not any(SECRET.encode() in file.read_bytes() for file in self.state.rglob("*") if file.is_file())


@pytest.fixture
def service(tmp_path: Path, free_port: int, environ: dict[str, str]) -> Iterator[Service]:
    own = {"RTCAI_EMULATOR_APP_KEY": "own-key", "RTCAI_EMULATOR_APP_SECRET": SECRET}
    (tmp_path / "service").mkdir()
    emulator = Emulator(tmp_path / "service", {**environ, **own, "RTCAI_ENDPOINT": f"http://127.0.0.1:{free_port}"})
    emulator.start()
    yield Service(emulator.endpoint)
    emulator.stop()


@pytest.fixture
def checkout(root: Path, tmp_path: Path, environ: dict[str, str], free_port: int) -> Checkout:
    credentials = {"RTCAI_APP_KEY": "own-key", "RTCAI_APP_SECRET": SECRET}
    endpoint = f"http://127.0.0.1:{free_port}"
    settings = {"RTCAI_DEV_DIR": str(tmp_path / "state"), "RTCAI_ENDPOINT": endpoint, "TERM": "xterm"}
    return Checkout(root, tmp_path / "state", {**environ, **credentials, **settings})


@pytest.mark.everyday
def test_without_a_terminal_it_refuses_and_says_how_to_run_it_by_hand(checkout: Checkout) -> None:
    ended = checkout.runs("up")
    assert ended.returncode == 1
    assert "there is no terminal to ask on" in ended.stderr
    assert "RTCAI_ROOM=<room> make up" in ended.stderr
    assert "pulumi up --refresh" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    assert not checkout.state.exists()


@pytest.mark.everyday
def test_with_nothing_to_stop_it_says_so_and_succeeds(checkout: Checkout) -> None:
    ended = checkout.runs("down")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Nothing to stop: stack live is empty.\n", "")


@pytest.mark.everyday
def test_half_of_the_credentials_are_refused(checkout: Checkout) -> None:
    del checkout.environ["RTCAI_APP_KEY"]
    ended = checkout.runs("up")
    assert ended.returncode == 1
    assert "RTCAI_APP_KEY" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


@pytest.mark.everyday
def test_no_room_is_invented(checkout: Checkout) -> None:
    ended = checkout.runs("preview")
    assert ended.returncode == 1
    assert "RTCAI_ROOM" in ended.stderr


@pytest.mark.parametrize("answer", ["", "YES", "yes "])
def test_all_but_a_yes_starts_nothing(checkout: Checkout, service: Service, answer: str) -> None:
    checkout.environ["RTCAI_ROOM"] = "keynote"
    code, written = checkout.runs_on_a_terminal("up", answer)
    assert code == 1
    assert "Not confirmed. Nothing was changed." in written
    assert "Updating (live)" not in written
    assert "Traceback" not in written
    assert service.rooms() == []


@pytest.mark.everyday
@pytest.mark.shows("make up", "make down", "promise 3")
def test_a_yes_starts_one_agent_in_the_named_room_and_another_yes_stops_it(
    checkout: Checkout, service: Service
) -> None:
    checkout.environ["RTCAI_ROOM"] = "keynote"
    code, written = checkout.runs_on_a_terminal("up", "yes")
    assert code == 0, written
    assert "real service" in written
    assert "room 'keynote'" in written
    assert written.index("2 to create") < written.index("Perform this change?") < written.index("2 created")
    assert SECRET not in written
    assert service.rooms() == ["keynote"]

    refused = checkout.runs("down")
    assert refused.returncode == 1
    assert service.rooms() == ["keynote"]

    code, written = checkout.runs_on_a_terminal("down", "yes")
    assert code == 0, written
    assert (service.rooms(), service.rooms("ended")) == ([], ["keynote"])
    assert "Nothing to stop" in checkout.runs("down").stdout
    assert checkout.holds_no_secret()


def test_what_the_user_agrees_to_is_what_is_done(checkout: Checkout, service: Service) -> None:
    checkout.environ["RTCAI_ROOM"] = "keynote"
    assert checkout.runs_on_a_terminal("up", "yes")[0] == 0
    service.ends_room("keynote")
    # Facts that only a refresh finds (the room is gone, and so is the agent) must be printed before the question.
    code, written = checkout.runs_on_a_terminal("up", "")
    assert code == 1
    assert "1 to create" in written
    assert service.rooms() == []


def test_down_repairs_a_half_written_state(checkout: Checkout, service: Service) -> None:
    checkout.environ["RTCAI_ROOM"] = "keynote"
    assert checkout.runs_on_a_terminal("up", "yes")[0] == 0
    checkout.checkpoint.write_text(checkout.checkpoint.read_text()[:500])

    shown = checkout.runs("status")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "keynote" in shown.stdout

    code, written = checkout.runs_on_a_terminal("down", "yes")
    assert code == 0, written
    assert "The state file of stack live is incomplete; restoring the engine's copy." in written
    assert service.rooms() == []


@pytest.mark.parametrize(("answer", "left"), [("yes", []), ("", ["keynote"])])
def test_down_asks_to_stop_an_agent_that_only_the_journal_has(
    checkout: Checkout, service: Service, answer: str, left: list[str]
) -> None:
    lose_the_agent(checkout)
    assert "open" in checkout.runs("status").stdout
    refused = checkout.runs("down")
    assert refused.returncode == 1
    assert "no terminal to ask on" in refused.stderr
    assert service.rooms() == ["keynote"]
    code, written = checkout.runs_on_a_terminal("down", answer)
    assert code == (1 if left else 0), written
    assert service.rooms() == left


def test_the_next_up_stops_an_agent_that_only_the_journal_has(checkout: Checkout, service: Service) -> None:
    lose_the_agent(checkout)
    assert checkout.runs_on_a_terminal("up", "yes")[0] == 0
    assert service.rooms() == ["keynote"]
    assert checkout.runs_on_a_terminal("down", "yes")[0] == 0
    assert service.rooms() == []


def lose_the_agent(checkout: Checkout) -> None:
    """Start an agent and remove it from the state, as a killed run may leave it."""
    checkout.environ["RTCAI_ROOM"] = "keynote"
    assert checkout.runs_on_a_terminal("up", "yes")[0] == 0
    state = json.loads(checkout.checkpoint.read_text())
    state["checkpoint"]["latest"]["resources"] = []
    checkout.checkpoint.write_text(json.dumps(state))
