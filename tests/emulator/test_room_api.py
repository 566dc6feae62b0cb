from typing import Any

import pytest

from tests.emulator.api import Api, assert_form, body, close_body

CNAME = body()["cname"]


def open_room(api: Api, **changes: Any) -> Any:
    content = {"channelName": CNAME, "mode": 2, "uid": 1, **changes}
    return api.post("/v2/api/room", content).json()


def paths(cid: int) -> list[tuple[str, dict[str, str]]]:
    """Both ways to name a room: in the path and in the query."""
    return [(f"/v2/api/rooms/{cid}", {}), ("/v3/api/rooms", {"cname": CNAME})]


def assert_no_room(answer: Any) -> None:
    assert_form(answer, "error")
    assert (answer["code"], answer["errmsg"]) == (404, "房间不存在")


def test_a_created_room_is_shown_by_number_and_by_name(api: Api) -> None:
    created = open_room(api)
    assert created["code"] == 200
    for path, query in paths(created["cid"]):
        answer = api.get(path, **query)
        assert answer["code"] == 200
        assert (answer["cid"], answer["cname"], answer["uid"]) == (created["cid"], CNAME, 1)
        assert (answer["total"], answer["stats"], answer["destroytime"]) == (0, 1, 0)


def test_a_create_of_a_task_goes_into_the_open_room(api: Api) -> None:
    assert open_room(api)["cid"] == api.create()["cid"]


def test_opening_an_open_room_keeps_its_number(api: Api) -> None:
    assert open_room(api)["cid"] == open_room(api)["cid"]


def test_a_room_tells_when_it_was_opened_in_milliseconds_of_the_emulators_clock(api: Api) -> None:
    before = api.emulator.clock.now_ms()
    open_room(api)
    opened = api.get("/v3/api/rooms", cname=CNAME)["createtime"]
    assert before <= opened <= api.emulator.clock.now_ms()


def test_a_running_agent_counts_as_a_member_until_it_is_closed(api: Api) -> None:
    created = api.create()
    during = api.get("/v3/api/rooms", cname=CNAME)
    api.close(close_body(created))
    after = api.get("/v3/api/rooms", cname=CNAME)
    assert [(answer["total"], answer["stats"]) for answer in (during, after)] == [(1, 2), (0, 1)]
    assert after["cid"] == created["cid"]


@pytest.mark.parametrize(
    "change",
    [
        {"channelName": ""},
        {"channelName": "房" * 22},
        {"channelName": 5},
        {"mode": 1},
        {"mode": True},
        {"mode": "2"},
        {"uid": -1},
        {"uid": 2**64},
        {"uid": "1"},
        {"more": 1},
    ],
)
def test_a_wrong_room_body_is_refused_at_its_path(api: Api, change: dict[str, Any]) -> None:
    answer = open_room(api, **change)
    assert_form(answer, "error")
    assert answer["code"] == 400
    assert f"{next(iter(change))}: " in answer["errmsg"]
    assert api.emulator.rooms() == []


@pytest.mark.parametrize("missing", ["channelName", "mode", "uid"])
def test_a_field_missing_from_a_room_body_is_named(api: Api, missing: str) -> None:
    content = {name: value for name, value in {"channelName": CNAME, "mode": 2, "uid": 1}.items() if name != missing}
    assert f"{missing}: required" in api.post("/v2/api/room", content).json()["errmsg"]


def test_the_greatest_uid_is_accepted(api: Api) -> None:
    open_room(api, uid=2**64 - 1)
    assert api.get("/v3/api/rooms", cname=CNAME)["uid"] == 2**64 - 1


def test_members_are_the_running_agents(api: Api) -> None:
    created, _ = api.create(), api.create()
    for path, query in paths(created["cid"]):
        answer = api.get(f"{path}/members", **query)
        assert (answer["code"], answer["errmsg"], answer["cid"], answer["cname"]) == (200, "", created["cid"], CNAME)
        assert answer["total"] == len(answer["members"]) == 2
        assert all(set(member) == {"uid", "starttime", "userRole"} for member in answer["members"])


def test_members_can_be_asked_for_by_uid_and_role(api: Api) -> None:
    created, _ = api.create(), api.create()
    one = str(api.get("/v3/api/rooms/members", cname=CNAME)["members"][0]["uid"])
    asked = [
        api.get(f"/v2/api/rooms/{created['cid']}/members/{one}"),
        api.get("/v3/api/rooms/members", cname=CNAME, uid=one),
        api.get("/v3/api/rooms/members", cname=CNAME, userRole="0"),
        api.get("/v3/api/rooms/members", cname=CNAME, userRole="1"),
        api.get("/v3/api/rooms/members", cname=CNAME, uid="1"),
    ]
    assert [answer["total"] for answer in asked] == [1, 1, 2, 0, 0]


@pytest.mark.parametrize("form", [0, 1])
def test_deleting_a_room_ends_it_and_its_tasks(api: Api, form: int) -> None:
    created = api.create()
    path, query = paths(created["cid"])[form]
    answer = api.delete(path, **query)
    assert (answer["code"], answer["errmsg"]) == (200, "")
    assert [task["state"] for task in api.emulator.tasks()] == ["ended"]
    for path, query in paths(created["cid"]):
        assert_no_room(api.get(path, **query))
        assert_no_room(api.delete(path, **query))


def test_deleting_a_room_leaves_other_rooms_alone(api: Api) -> None:
    api.create(body(cname="other"))
    api.create()
    api.delete("/v3/api/rooms", cname=CNAME)
    assert [task["state"] for task in api.emulator.tasks()] == ["running", "ended"]


@pytest.mark.parametrize("path", ["/v3/api/rooms", "/v3/api/rooms/members"])
def test_a_room_that_was_never_open_is_no_room(api: Api, path: str) -> None:
    assert_no_room(api.get(path, cname="nobody"))


@pytest.mark.parametrize("path", ["/v2/api/rooms/5", "/v2/api/rooms/5/members"])
def test_a_number_that_no_room_has_is_no_room(api: Api, path: str) -> None:
    assert_no_room(api.get(path))


def test_the_number_of_an_ended_room_is_no_room_when_its_name_is_open_again(api: Api) -> None:
    first = open_room(api)["cid"]
    api.emulator.end_room(CNAME)
    second = open_room(api)["cid"]
    assert_no_room(api.get(f"/v2/api/rooms/{first}"))
    assert api.get("/v3/api/rooms", cname=CNAME)["cid"] == second


@pytest.mark.parametrize("cname", ["a b", "ä&=+?#/", "会议室1", "100%"])
def test_any_name_can_be_asked_for_url_encoded(api: Api, cname: str) -> None:
    open_room(api, channelName=cname)
    assert api.get("/v3/api/rooms", cname=cname)["cname"] == cname


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v2/api/rooms/abc", "cid"),
        ("/v2/api/rooms/-1", "cid"),
        (f"/v2/api/rooms/{'9' * 5000}", "cid"),
        ("/v2/api/rooms/%D9%A1", "cid"),
        ("/v2/api/rooms/1?cname=r", "cname"),
        ("/v3/api/rooms", "cname"),
        ("/v3/api/rooms?cname=", "cname"),
        ("/v3/api/rooms?cname=r&uid=1", "uid"),
        ("/v3/api/rooms?cname=r&cname=s", "twice"),
    ],
)
def test_a_wrong_query_is_refused_by_name(api: Api, path: str, named: str) -> None:
    answer = api.http.get(path, headers=api.signed()).json()
    assert_form(answer, "error")
    assert answer["code"] == 400
    assert named in answer["errmsg"]


def test_a_member_number_that_is_none_is_refused(api: Api) -> None:
    api.create()
    assert "uid" in api.get("/v3/api/rooms/members", cname=CNAME, uid="x")["errmsg"]


def test_a_query_with_a_body_is_refused(api: Api) -> None:
    answer = api.http.request("GET", "/v3/api/rooms?cname=r", content=b"{}", headers=api.signed()).json()
    assert answer["code"] == 400
    assert "must not have a body" in answer["errmsg"]
