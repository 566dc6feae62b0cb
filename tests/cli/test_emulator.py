import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import parse_location
from tests.cli.journals import note
from tests.cli.test_ls import in_hours
from tests.emulator.api import body, sha1
from tests.emulator.raw import until
from tests.network import free_port
from tests.postgres.server import Server

RTCAI = str(Path(sys.executable).with_name("rtcai"))


class Running:
    """A real `rtcai emulator` that has printed its first line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.first_line = process.stdout.readline()
        self.url = self.first_line.rpartition(" ")[2].strip()
        self.http = httpx.Client(base_url=self.url, trust_env=False)

    def create(self, content: Any = None, *, key: str = "emulator-app-key", secret: str = "emulator-app-secret") -> Any:
        nonce, cur_time = uuid4().hex, str(int(time.time()))
        signature = {"Nonce": nonce, "CurTime": cur_time, "CheckSum": sha1(secret + nonce + cur_time)}
        answer = self.http.post("/v1/api/task/create", json=content or body(), headers={"AppKey": key, **signature})
        return answer.json()

    def tasks(self) -> list[dict[str, Any]]:
        answer: dict[str, list[dict[str, Any]]] = self.http.get("/-/tasks").json()
        return answer["tasks"]

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, rest of stdout, and stderr after a signal."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `rtcai emulator --port 0`. Processes that still run at the end of the test are killed."""
    with ExitStack() as left:

        def started(*options: str) -> Running:
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                [RTCAI, "emulator", "--port", "0", *options], stdout=pipe, stderr=pipe, text=True
            )
            left.enter_context(process)
            left.callback(process.kill)
            running = Running(process)
            left.callback(running.http.close)
            return running

        yield started


def failing(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RTCAI, "emulator", *options], capture_output=True, text=True, check=False, timeout=30)


def test_its_one_line_names_the_url_at_which_it_answers(start: Start) -> None:
    running = start()
    assert re.fullmatch(r"rtcai emulator ready on http://127\.0\.0\.1:\d+\n", running.first_line)
    health = running.http.get("/-/health").json()
    assert (health["status"], health["pid"]) == ("ok", running.process.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0_and_no_noise(start: Start, number: signal.Signals) -> None:
    running = start("--log-level", "warning")
    running.create()
    assert running.end(number) == (0, "", "")


def test_clients_that_never_finish_do_not_hold_up_the_end_nor_make_noise(start: Start) -> None:
    running = start("--log-level", "warning")
    running.tasks()
    url = httpx.URL(running.url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as halfway:
        halfway.sendall(
            b"POST /v1/api/task/create HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        assert halfway.recv(100).startswith(b"HTTP/1.1 100")
        assert running.end() == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_that_wait_do_not_hold_up_the_end_nor_make_noise(start: Start, number: signal.Signals) -> None:
    running = start("--log-level", "warning")
    for kind, parts in (("hold", {"at": "worked"}), ("hang", {"work": False}), ("latency", {"before": 3600})):
        running.http.post("/-/faults", json={"verb": "create", "kind": kind, **parts}).raise_for_status()
    running.http.post("/-/faults", json={"verb": "create", "kind": "hold", "times": 2}).raise_for_status()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(running.create) for _ in range(3)]
        until(lambda: running.http.get("/-/stats").json()["inFlight"] == 3)
        assert running.end(number) == (0, "", "")
        assert all(isinstance(result.exception(30), httpx.TransportError) for result in waiting)


def test_it_listens_on_this_machine_only(start: Start) -> None:
    port = httpx.URL(start().url).port or 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_taken_port_is_one_line_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = failing("--port", str(port))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 is already in use" in run.stderr


def test_it_takes_the_port_that_it_is_given() -> None:
    port = free_port()
    with subprocess.Popen([RTCAI, "emulator", "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert Running(process).url == f"http://127.0.0.1:{port}"
        process.terminate()


def test_it_knows_the_placeholder_credentials(start: Start) -> None:
    running = start()
    assert running.create()["code"] == 200
    assert running.create(key="another")["code"] == 402


def test_credentials_come_from_the_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTCAI_EMULATOR_APP_KEY", "key")
    monkeypatch.setenv("RTCAI_EMULATOR_APP_SECRET", "canary-secret")
    running = start("--log-level", "debug")
    assert running.create(key="key", secret="canary-secret")["code"] == 200
    assert running.create()["code"] == 402
    _, _, log = running.end()
    assert "/v1/api/task/create" in log
    assert "canary-secret" not in log


def test_empty_variables_count_as_not_set(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTCAI_EMULATOR_APP_KEY", "")
    monkeypatch.setenv("RTCAI_EMULATOR_APP_SECRET", "")
    assert start().create()["code"] == 200


def test_options_reach_the_service(start: Start) -> None:
    running = start(
        "--rooms", "required", "--allow-unknown-fields", "--room-missing-code", "1404", "--task-missing-code", "2404"
    )
    assert running.create(body(newField=1))["code"] == 1404


def test_what_its_options_say_can_be_seen_and_changed_while_it_runs(start: Start) -> None:
    running = start(
        "--dedup", "refuse", "--max-rps", "50", "--retry-after", "--rooms", "required", "--start-seconds", "0.5",
        "--end-seconds", "9", "--tasks-outlive-rooms",
    )  # fmt: skip
    settings = {
        "rooms": "required",
        "dedup": "refuse",
        "maxRps": 50,
        "retryAfter": True,
        "startSeconds": 0.5,
        "endSeconds": 9.0,
        "tasksEndWithRoom": False,
    }
    assert running.http.get("/-/settings").json() == settings
    assert running.http.patch("/-/settings", json={"rooms": "auto"}).json() == {**settings, "rooms": "auto"}
    assert running.create()["code"] == 200


def test_further_accounts_come_from_the_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTCAI_EMULATOR_ACCOUNTS", "other=other-secret  third=third-secret")
    running = start()
    assert running.create(key="third", secret="third-secret")["code"] == 200
    assert running.create()["code"] == 200
    assert [task["appKey"] for task in running.tasks()] == ["third", "emulator-app-key"]


@pytest.mark.parametrize("accounts", ["canary", "key=", "=canary", "key=canary other"])
def test_accounts_that_make_no_sense_are_one_line_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, accounts: str
) -> None:
    monkeypatch.setenv("RTCAI_EMULATOR_ACCOUNTS", accounts)
    run = failing("--port", "0")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert "RTCAI_EMULATOR_ACCOUNTS" in run.stderr
    assert "canary" not in run.stderr


def test_it_starts_from_a_seed_and_a_restarted_one_ignores_it(start: Start, tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"tasks": [{"cname": "keynote", "data": body()["data"]}]}))
    options = ["--state", str(tmp_path / "state.json"), "--seed", str(seed)]
    first = start(*options)
    (task,) = first.tasks()
    assert (task["cname"], task["state"]) == ("keynote", "running")
    first.end(signal.SIGKILL)
    assert start(*options).tasks() == [task]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "must be valid JSON"),
        ("[]", "must be an object"),
        ('{"rooms": [{}]}', "rooms.0.cname: Field required"),
        ('{"tasks": [{"cname": "r", "data": {}}]}', "tasks.0.data: no block is set"),
    ],
)
def test_a_seed_that_makes_no_sense_is_one_line(tmp_path: Path, content: str, reason: str) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(content)
    run = failing("--port", "0", "--seed", str(seed))
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert f"the seed {seed} cannot be used: " in run.stderr
    assert reason in run.stderr


def test_a_seed_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    run = failing("--port", "0", "--seed", str(tmp_path / "seed.json"))
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "cannot be read: No such file" in run.stderr


def test_a_restarted_emulator_continues_where_it_stopped(start: Start, tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    first = start("--state", state)
    first.create()
    before = first.tasks()
    first.end()
    assert start("--state", state).tasks() == before


def test_a_corrupt_state_file_is_one_line_and_is_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"version": 1}')
    run = failing("--port", "0", "--state", str(state))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.count("\n") == 1
    assert str(state) in run.stderr
    assert state.read_text() == '{"version": 1}'


@pytest.mark.parametrize("answered", [1, 40, 120])
def test_a_kill_in_the_middle_of_many_writes_loses_no_answered_task(
    start: Start, tmp_path: Path, answered: int
) -> None:
    state = str(tmp_path / "state.json")
    running = start("--state", state, "--log-level", "error")
    told: list[str] = []

    def create_until_killed(worker: int) -> None:
        while True:
            try:
                answer = running.create(body(cname=f"room-{worker}"))
            except httpx.TransportError:
                return
            told.append(answer["result"]["taskId"])
            if len(told) == answered:
                running.process.kill()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create_until_killed, range(8)))
    with Emulator(state=state) as again:
        kept = {task["taskId"] for task in again.tasks()}
    assert len(told) >= answered
    assert set(told) <= kept


@pytest.mark.parametrize(
    "wrong",
    [
        ["--port", "65536"],
        ["--port", "-1"],
        ["--port", "x"],
        ["--rooms", "some"],
        ["--log-level", "loud"],
        ["--dedup", "always"],
        ["--max-rps", "0"],
    ],
)
def test_a_wrong_value_is_a_usage_error_that_names_the_option(wrong: list[str]) -> None:
    run = failing(*wrong)
    assert (run.returncode, run.stdout) == (2, "")
    assert wrong[0] in run.stderr


def test_help_says_where_to_look_and_which_credentials_it_knows() -> None:
    help_text = failing("--help").stdout
    for word in (
        "/-/tasks",
        "/-/requests",
        "emulator-app-key",
        "RTCAI_EMULATOR_APP_SECRET",
        "--state",
        "/-/faults",
        "--max-rps",
    ):
        assert word in help_text


@pytest.mark.parametrize("storage", ["file", "database"])
def test_its_page_shows_the_end_that_the_journal_knows(
    start: Start, tmp_path: Path, database_server: Server, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    journal_variable = str(tmp_path / "journal.db") if storage == "file" else database_server.url()
    location = parse_location(journal_variable)
    monkeypatch.setenv("RTCAI_JOURNAL", journal_variable)
    running = start()
    running.create()
    [task] = [f"{task['cid']}/{task['taskId']}" for task in running.tasks()]
    assert "ends in" not in running.http.get("/").text
    with Journal(location) as journal:
        note(journal, task, url=running.url, ends_at=in_hours(2.1))
    until(lambda: "ends in 2 h" in running.http.get("/").text)
    assert running.end()[2].count("WARNING") == 0


def test_a_page_leaves_a_missing_journal_missing(start: Start, tmp_path: Path) -> None:
    running = start("--journal", str(tmp_path / "missing" / "journal.db"))
    for _ in range(3):
        assert running.http.get("/").status_code == 200
    assert running.end()[0] == 0
    assert not (tmp_path / "missing").exists()


def test_a_journal_that_cannot_be_read_is_a_warning(start: Start, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("not a database, but long enough to be read as one" * 40)
    running = start("--journal", str(tmp_path / "journal.db"))
    assert running.http.get("/").status_code == 200
    assert running.process.stderr is not None
    warning = next(line for line in running.process.stderr if "WARNING" in line)
    assert "The live page cannot show when agents end: The journal" in warning
