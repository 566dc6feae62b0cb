from typing import Any

import pytest

from rtcai_pulumi.emulator.api.rate_limit import Verb
from tests.emulator.api import Api, body, close_body


@pytest.fixture
def faulty(api: Api) -> Api:
    """An emulator with two rooms of one task each. It answers every request for the first room with code 999."""
    for cname in ("one", "two"):
        api.create(body(cname=cname))
    api.emulator.fault("*", "answer", code=999, cname="one", times=None)
    return api


def ask(api: Api, verb: Verb, number: int) -> Any:
    """A request that names its room; a close names the room's number."""
    task = api.emulator.tasks()[number]
    cname = task["cname"]
    match verb:
        case "create":
            return api.create(body(cname=cname))
        case "close":
            return api.close(close_body({"cid": task["cid"], "result": task}))
        case "room-create":
            return api.post("/v2/api/room", {"channelName": cname, "mode": 2, "uid": 1}).json()
        case "room-delete":
            return api.delete("/v3/api/rooms", cname=cname)
        case "members":
            return api.get("/v3/api/rooms/members", cname=cname)
        case "query":
            return api.get("/v3/api/rooms", cname=cname)


@pytest.mark.parametrize("verb", ["create", "close", "room-create", "room-delete", "members", "query"])
def test_every_request_tells_which_room_it_is_about(faulty: Api, verb: Verb) -> None:
    assert [ask(faulty, verb, number)["code"] for number in range(2)] == [999, 200]


@pytest.mark.parametrize("path", ["/v2/api/rooms/{}", "/v2/api/rooms/{}/members"])
def test_a_room_is_known_by_its_number_too(faulty: Api, path: str) -> None:
    one, two = (task["cid"] for task in faulty.emulator.tasks())
    assert [faulty.get(path.format(cid))["code"] for cid in (one, two)] == [999, 200]


def test_a_task_is_known_by_the_name_of_its_room_when_that_has_ended(faulty: Api) -> None:
    faulty.emulator.end_room("one")
    assert ask(faulty, "close", 0)["code"] == 999


@pytest.mark.parametrize("content", [[], {"cname": ["one"]}, {"cname": 1}, b"no json", {}])
def test_what_names_no_room_is_about_none(faulty: Api, content: Any) -> None:
    assert faulty.create(content)["code"] == 400
    assert faulty.close(content)["code"] == 400


@pytest.mark.parametrize("number", ["x", "9" * 5000, "²"])
def test_what_is_no_number_is_about_no_room(faulty: Api, number: str) -> None:
    assert faulty.get(f"/v2/api/rooms/{number}")["code"] == 400
