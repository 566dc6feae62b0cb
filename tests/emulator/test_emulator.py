import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import PortTaken, StateFileUnusable
from tests.cli.without import run_without
from tests.emulator.api import Api, body, close_body
from tests.emulator.raw import sent

# The emulator asks for the rest of it, so the test knows that it has begun to read.
HALF_A_REQUEST = b"POST /v1/api/task/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"

DEFAULTS = {
    "rooms": "auto",
    "dedup": "ignore",
    "maxRps": None,
    "retryAfter": False,
    "startSeconds": 0.0,
    "endSeconds": None,
    "tasksEndWithRoom": True,
}


def started(emulator: Emulator, count: int = 1) -> list[Any]:
    with httpx.Client(base_url=emulator.url, trust_env=False) as http:
        return [Api(emulator, http).create(body(cname=f"room-{number}")) for number in range(count)]


def test_it_answers_as_soon_as_the_block_is_entered() -> None:
    with Emulator() as emulator:
        assert httpx.get(f"{emulator.url}/-/health", trust_env=False).json()["status"] == "ok"


def test_its_url_is_one_of_this_machine_only() -> None:
    with Emulator() as emulator:
        assert urlsplit(emulator.url).hostname == "127.0.0.1"


def test_its_methods_show_what_the_admin_path_shows(api: Api) -> None:
    api.create()
    api.create(body(cname=None))
    answers = {name: api.http.get(f"/-/{name}").json()[name] for name in ("tasks", "rooms", "requests")}
    emulator = api.emulator
    assert answers == {"tasks": emulator.tasks(), "rooms": emulator.rooms(), "requests": emulator.requests()}
    assert len(emulator.requests()) == 2


def test_what_it_shows_can_be_changed_without_harm(api: Api) -> None:
    api.create()
    api.emulator.tasks()[0]["data"].clear()
    api.emulator.requests()[0]["body"].clear()
    assert api.emulator.tasks()[0]["data"] == body()["data"]
    assert api.emulator.requests()[0]["body"] == body()


def test_a_room_can_be_opened_and_ended(emulator: Emulator) -> None:
    cid = emulator.open_room("r")
    assert emulator.open_room("r") == cid
    emulator.end_room("r")
    assert emulator.rooms() == []


def test_a_task_can_be_ended_by_the_ids_that_state_holds(api: Api) -> None:
    created = api.create()
    api.emulator.end_task(str(created["cid"]), created["result"]["taskId"])
    assert [task["state"] for task in api.emulator.tasks()] == ["ended"]


def test_a_room_can_end_without_its_tasks(api: Api) -> None:
    created = api.create()
    api.emulator.end_room(body()["cname"], end_tasks=False)
    assert api.close(close_body(created))["code"] == 200


def test_what_is_not_there_cannot_be_ended(emulator: Emulator) -> None:
    with pytest.raises(LookupError, match="nobody"):
        emulator.end_room("nobody")
    with pytest.raises(LookupError, match="no task"):
        emulator.end_task(1, "t")


def test_what_cannot_be_a_room_s_name_is_a_value_error(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="cname: must be 1 to 64 bytes"):
        emulator.open_room("")


def test_it_leaves_no_thread_and_no_open_file() -> None:
    def left() -> tuple[set[threading.Thread], int]:
        return set(threading.enumerate()), len(list(Path("/dev/fd").iterdir()))

    with Emulator():
        pass
    before = left()
    with Emulator() as emulator:
        started(emulator)
    assert left() == before


def test_requests_that_wait_leave_no_thread_and_no_open_file() -> None:
    def left() -> tuple[set[threading.Thread], int]:
        return set(threading.enumerate()), len(list(Path("/dev/fd").iterdir()))

    with Emulator():
        pass
    before = left()
    with Emulator() as emulator, httpx.Client(base_url=emulator.url, trust_env=False, timeout=60) as http:
        api = Api(emulator, http)
        holds = [emulator.hold("create", at=at) for at in ("arrived", "worked")]
        with sent(api), sent(api):
            for hold in holds:
                hold.wait()
    assert left() == before


def test_the_port_is_closed_after_the_end() -> None:
    with Emulator() as emulator:
        address = urlsplit(emulator.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname or "", address.port or 0))


def test_it_ends_while_clients_are_still_connected() -> None:
    with httpx.Client(trust_env=False) as idle, socket.socket() as halfway:
        halfway.settimeout(30)
        with Emulator() as emulator:
            idle.get(f"{emulator.url}/-/health")
            address = urlsplit(emulator.url)
            halfway.connect((address.hostname, address.port))
            halfway.sendall(HALF_A_REQUEST)
            assert halfway.recv(100).startswith(b"HTTP/1.1 100")
        assert halfway.recv(100) == b""


def test_a_taken_port_is_an_error_that_names_it(emulator: Emulator) -> None:
    port = urlsplit(emulator.url).port or 0
    with pytest.raises(PortTaken, match=f"port {port} "), Emulator(port=port):
        pass


def test_a_port_can_be_used_again_at_once() -> None:
    # If this side closes the connection, its port stays busy for a minute, unless an option prevents that.
    with httpx.Client(trust_env=False) as connected, Emulator() as first:
        connected.get(f"{first.url}/-/health")
        port = urlsplit(first.url).port or 0
    with Emulator(port=port) as second:
        assert second.url == first.url


def test_it_continues_from_its_state_file(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.json") as first:
        created = started(first, 2)
        first.end_task(created[0]["cid"], created[0]["result"]["taskId"])
        before = first.tasks()
    with Emulator(state=str(tmp_path / "state.json")) as second, httpx.Client(base_url=second.url) as http:
        assert second.tasks() == before
        assert [room["cid"] for room in second.rooms()] == [answer["cid"] for answer in created]
        assert Api(second, http).close(close_body(created[1]))["code"] == 200


def test_a_reset_empties_the_state_file(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.json") as first:
        started(first)
        first.reset()
    with Emulator(state=tmp_path / "state.json") as second:
        assert second.tasks() == []


def test_a_state_file_that_cannot_be_used_leaves_no_socket_behind(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(StateFileUnusable), Emulator(state=tmp_path / "state.json"):
        pass
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_outside_its_block_it_says_how_to_use_it() -> None:
    with pytest.raises(RuntimeError, match="with Emulator"):
        Emulator().tasks()


def test_it_cannot_be_started_twice_at_once(emulator: Emulator) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        emulator.__enter__()


def test_it_can_be_started_again_after_its_end() -> None:
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            started(emulator)
            assert len(emulator.tasks()) == 1


def test_faults_are_set_by_keyword_and_removed_by_number(api: Api) -> None:
    number = api.emulator.fault("create", "answer", status=503, code=514, errmsg="busy", times=None, cname="r", skip=1)
    assert api.emulator.faults() == [
        {
            "id": number,
            "verb": "create",
            "kind": "answer",
            "skip": 1,
            "cname": "r",
            "status": 503,
            "code": 514,
            "errmsg": "busy",
            "times": None,
            "left": None,
            "applied": 0,
        }
    ]
    api.emulator.remove_fault(number)
    assert api.emulator.faults() == []
    with pytest.raises(LookupError, match=f"fault {number} does not exist"):
        api.emulator.remove_fault(number)


def test_a_fault_that_makes_no_sense_is_refused_and_sets_none(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="status: unknown field"):
        emulator.fault("create", "reset", status=500)
    with pytest.raises(ValueError, match="times: "):
        emulator.hold("create", times=0)
    assert emulator.faults() == []


def test_settings_are_changed_by_keyword(emulator: Emulator) -> None:
    emulator.change_settings(dedup="refuse", max_rps=7)
    assert emulator.settings() == {**DEFAULTS, "dedup": "refuse", "maxRps": 7}
    with pytest.raises(
        ValueError, match="maxRps: unknown field; the fields here are rooms, dedup, max_rps, retry_after"
    ):
        emulator.change_settings(maxRps=1)  # type: ignore[call-arg]  # the mistake that is tested


def test_it_starts_with_the_settings_it_was_given_also_the_second_time() -> None:
    emulator = Emulator(
        rooms="required", dedup="replay", max_rps=5, retry_after=True, start_seconds=1.5, end_seconds=60,
        tasks_end_with_room=False,
    )  # fmt: skip
    for _ in range(2):
        with emulator:
            assert emulator.settings() == {
                "rooms": "required",
                "dedup": "replay",
                "maxRps": 5,
                "retryAfter": True,
                "startSeconds": 1.5,
                "endSeconds": 60.0,
                "tasksEndWithRoom": False,
            }
            emulator.change_settings(dedup="ignore")


def test_a_wrong_choice_of_rooms_is_refused() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        Emulator(rooms="sometimes")  # type: ignore[arg-type]  # the mistake that is tested


def test_credentials_and_clock_are_those_it_was_given() -> None:
    clock = Clock(lambda: 1_700_000_000.0)
    with Emulator(app_key="key", app_secret="secret", clock=clock) as emulator:
        assert (emulator.app_key, emulator.app_secret) == ("key", "secret")
        assert started(emulator)[0]["code"] == 200
        assert emulator.tasks()[0]["startedAt"] == "2023-11-14T22:13:20.000000Z"


@pytest.mark.parametrize("missing", ["jinja2", "starlette", "uvicorn"])
def test_without_its_extra_the_import_names_it(missing: str) -> None:
    run = run_without(missing, "import rtcai_pulumi.emulator")
    assert run.returncode == 1
    assert f'the emulator needs {missing}: pip install "rtcai-pulumi[emulator]"' in run.stderr
