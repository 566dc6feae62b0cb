"""The state with which an emulator starts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from tests.emulator.api import Api, body, close_body

DATA = body()["data"]
AGENT = body("agent")["data"]


@pytest.fixture
def other() -> Iterator[Emulator]:
    with Emulator() as other:
        yield other


def test_what_one_emulator_shows_another_can_be_seeded_with(api: Api, other: Emulator) -> None:
    closed = api.create(body("agent", cname="one"), api.signed(**{"X-custom-traceid": "trace"}))
    api.create(body(cname="two"))
    api.close(close_body(closed))
    emulator = api.emulator
    other.seed(rooms=emulator.rooms(), tasks=emulator.tasks(), requests=emulator.requests())
    assert other.tasks() == emulator.tasks()
    assert other.rooms() == emulator.rooms()
    assert other.requests() == emulator.requests()


def test_a_running_task_opens_its_room_and_can_be_closed(api: Api) -> None:
    api.emulator.seed(tasks=[{"cname": "keynote", "data": DATA}])
    (task,), (room,) = api.emulator.tasks(), api.emulator.rooms()
    assert (task["cid"], task["state"], task["mode"]) == (room["cid"], "running", "parameters")
    closing = {"cid": task["cid"], "taskType": 7, "taskId": task["taskId"]}
    assert api.close(closing)["code"] == 200


def test_omitted_fields_are_filled_in_and_given_ones_stay(emulator: Emulator) -> None:
    given = {
        "cname": "keynote",
        "cid": 7,
        "taskId": "t",
        "data": AGENT,
        "mode": "agent",
        "startedAt": "2026-01-02T03:04:05Z",
        "endedAt": "2026-01-02T03:04:06.5Z",
        "endedBy": "itself",
        "requestId": "q",
        "traceId": "trace",
    }
    emulator.seed(tasks=[given])
    (task,) = emulator.tasks()
    returned = {name: value for name, value in task.items() if name in given}
    assert returned | {"startedAt": "", "endedAt": ""} == given | {"startedAt": "", "endedAt": ""}
    assert (task["startedAt"], task["endedAt"]) == ("2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:06.500000Z")
    assert emulator.rooms() == []


def test_a_task_is_in_the_room_that_is_open(emulator: Emulator) -> None:
    cid = emulator.open_room("open")
    emulator.seed(
        rooms=[{"cname": "new", "cid": 9}], tasks=[{"cname": name, "data": AGENT} for name in ("open", "new")]
    )
    assert [task["cid"] for task in emulator.tasks()] == [cid, 9]


def test_a_seed_is_added_to_what_there_is(api: Api) -> None:
    api.create()
    answer = api.http.post("/-/seed", json={"tasks": [{"cname": "r", "data": AGENT}], "requests": [{"path": "/x"}]})
    assert answer.json() == {"rooms": 1, "tasks": 1, "requests": 1}
    assert len(api.emulator.tasks()) == 2
    assert [request["path"] for request in api.emulator.requests()] == ["/v1/api/task/create", "/x"]


def test_requests_are_recorded_and_not_made(emulator: Emulator) -> None:
    emulator.seed(requests=[{"path": "/v1/api/task/create", "body": body(), "code": 402, "latencyMs": 12.5}])
    (request,) = emulator.requests()
    assert (request["code"], request["latencyMs"], request["body"]) == (402, 12.5, body())
    assert emulator.tasks() == []


def test_a_seed_is_kept_in_the_state_file(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.json") as first:
        first.seed(tasks=[{"cname": "r", "data": AGENT}])
        seeded = first.tasks()
    with Emulator(state=tmp_path / "state.json") as second:
        assert second.tasks() == seeded


def test_a_duplicate_of_a_seeded_task_is_one(api: Api) -> None:
    api.emulator.change_settings(dedup="refuse")
    api.emulator.seed(tasks=[{"cname": "r", "data": AGENT, "traceId": "trace"}])
    assert api.create(headers=api.signed(**{"X-custom-traceid": "trace"}))["code"] == 431


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        ([], "must be an object"),
        ({"agents": []}, "agents: unknown field; the fields here are rooms, tasks, requests"),
        ({"rooms": [{}]}, "rooms.0.cname: Field required"),
        ({"rooms": [{"cname": "x" * 65}]}, "rooms.0.cname: must be 1 to 64 bytes"),
        ({"rooms": [{"cname": "r", "cid": 0}]}, "rooms.0.cid: "),
        ({"rooms": [{"cname": "r", "appKey": "nobody"}]}, "rooms.0.appKey: unknown AppKey"),
        (
            {"rooms": [{"cname": "r", "cid": 1}, {"cname": "r", "cid": 2}]},
            "rooms.1.cid: the open room of this",
        ),
        ({"rooms": [{"cname": "r", "x": 1}]}, "rooms.0.x: unknown field"),
        ({"tasks": [{"cname": "r"}]}, "tasks.0.data: Field required"),
        ({"tasks": [{"cname": "r", "data": {}}]}, "tasks.0.data: no block is set"),
        ({"tasks": [{"cname": "r", "data": {**AGENT, "x": 1}}]}, "tasks.0.data.x: "),
        (
            {"tasks": [{"cname": "r", "data": AGENT, "mode": "parameters"}]},
            "tasks.0.mode: must be agent, the mode of data",
        ),
        ({"tasks": [{"cname": "r", "data": AGENT, "startedAt": "soon"}]}, "tasks.0.startedAt: "),
        ({"tasks": [{"cname": "r", "data": AGENT, "startedAt": "2026-01-02", "endedAt": "2026-01-01"}]}, "before"),
        ({"tasks": [{"cname": "r", "data": AGENT, "state": "running", "endedAt": "2999-01-01"}]}, "tasks.0.state: "),
        ({"tasks": [{"cname": "r", "data": AGENT, "endedBy": "close"}]}, "tasks.0.endedBy: "),
        ({"tasks": [{"cname": "r", "data": AGENT, "cid": 1, "taskId": "t"}] * 2}, "tasks.1.taskId: "),
        ({"requests": [{"path": "/", "headers": {"CheckSum": "canary"}}]}, "requests.0.headers.CheckSum"),
    ],
)
def test_a_seed_that_makes_no_sense_is_refused_and_nothing_of_it_is_added(api: Api, seed: Any, reason: str) -> None:
    content = {"tasks": [{"cname": "good", "data": AGENT}], **seed} if isinstance(seed, dict) else seed
    answer = api.http.post("/-/seed", json=content)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert "canary" not in answer.text
    assert api.emulator.tasks() == api.emulator.rooms() == api.emulator.requests() == []


def test_all_its_problems_are_named_at_once(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match=r"rooms\.0\.cname: .*; tasks\.1\.data: no block"):
        emulator.seed(rooms=[{"cname": "x" * 65}], tasks=[{"cname": "r", "data": AGENT}, {"cname": "r", "data": {}}])


def test_unknown_fields_pass_where_the_emulator_lets_them() -> None:
    with Emulator(allow_unknown_fields=True) as emulator:
        emulator.seed(tasks=[{"cname": "r", "data": {**AGENT, "newBlock": {}}}])
        assert len(emulator.tasks()) == 1


def test_a_large_seed_is_taken(emulator: Emulator) -> None:
    with httpx.Client(base_url=emulator.url, trust_env=False) as http:
        many = [{"path": "/x", "body": {"text": "x" * 1000}} for _ in range(2000)]
        assert http.post("/-/seed", json={"requests": many}).json()["requests"] == 2000
