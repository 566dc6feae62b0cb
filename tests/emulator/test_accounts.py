"""Several AppKeys in one emulator: each has its own secret, rooms, tasks and limits."""

from collections.abc import Iterator

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from tests.emulator.api import Api, body, close_body, sha1


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(app_key="first", app_secret="1", accounts={"second": "2"}) as emulator:
        yield emulator


@pytest.fixture
def second(emulator: Emulator) -> Iterator[Api]:
    """The same emulator, called by the second account."""

    class Second(Api):
        def signed(self, **changes: str | None) -> dict[str, str]:
            headers = super().signed(**changes)
            checksum = sha1("2" + headers["Nonce"] + headers["CurTime"])
            return headers | {"AppKey": "second", "CheckSum": changes.get("CheckSum") or checksum}

    with httpx.Client(base_url=emulator.url, trust_env=False) as http:
        yield Second(emulator, http)


def test_each_has_its_own_secret(api: Api, second: Api) -> None:
    assert api.create()["code"] == second.create()["code"] == 200
    headers = api.signed()
    assert second.create(headers=headers | {"AppKey": "second"})["code"] == 402


def test_a_room_of_the_same_name_is_another_room(api: Api, second: Api) -> None:
    first, other = api.create(), second.create()
    assert first["cid"] != other["cid"]
    assert [room["appKey"] for room in api.emulator.rooms()] == ["first", "second"]
    assert [task["appKey"] for task in api.emulator.tasks()] == ["first", "second"]


def test_neither_sees_or_ends_what_is_the_other_s(api: Api, second: Api) -> None:
    mine = api.create(body(cname="mine"))
    assert second.close(close_body(mine))["errmsg"] == "任务不存在"
    assert second.get("/v3/api/rooms", cname="mine")["errmsg"] == "房间不存在"
    assert second.get(f"/v2/api/rooms/{mine['cid']}")["errmsg"] == "房间不存在"
    assert second.delete(f"/v2/api/rooms/{mine['cid']}")["errmsg"] == "房间不存在"
    assert [task["state"] for task in api.emulator.tasks()] == ["running"]
    assert api.close(close_body(mine))["code"] == 200


def test_a_room_that_must_be_open_must_be_open_in_the_own_account(api: Api, second: Api) -> None:
    api.emulator.change_settings(rooms="required")
    api.emulator.open_room("r")
    assert second.create(body(cname="r"))["errmsg"] == "房间不存在"
    api.emulator.open_room("r", app_key="second")
    assert second.create(body(cname="r"))["code"] == 200


def test_the_rate_limit_is_each_account_s(api: Api, second: Api) -> None:
    api.emulator.change_settings(max_rps=1)
    frozen = api.emulator.clock.now()
    api.emulator.clock.source = lambda: frozen
    assert [api.create()["code"], second.create()["code"], api.create()["code"]] == [200, 200, 429]


def test_unknown_appkeys_share_one_window(api: Api) -> None:
    api.emulator.change_settings(max_rps=1)
    frozen = api.emulator.clock.now()
    api.emulator.clock.source = lambda: frozen
    codes = [api.create(headers=api.signed(AppKey=f"made-up-{number}"))["code"] for number in range(2)]
    assert codes == [402, 429]


def test_a_room_is_ended_in_the_account_that_is_named(api: Api, second: Api) -> None:
    api.create(body(cname="r"))
    second.create(body(cname="r"))
    api.emulator.end_room("r", app_key="second")
    assert [task["state"] for task in api.emulator.tasks()] == ["running", "ended"]
    assert api.http.delete("/-/rooms/r?appKey=second").status_code == 404
    assert api.http.delete("/-/rooms/r?appKey=first").status_code == 200


def test_an_account_that_there_is_not_is_named_with_those_there_are(api: Api) -> None:
    with pytest.raises(LookupError, match="unknown AppKey 'third'; the known AppKeys are second, first"):
        api.emulator.open_room("r", app_key="third")
    assert api.http.put("/-/rooms/r?appKey=third").status_code == 404
