import base64
import json
from typing import Any

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.api.auth import BasicToken, compute_signature
from rtcai_pulumi.emulator.clock import Clock
from tests.emulator.api import JSON, Api, assert_form, body, close_body, sha1, token_of
from tests.samples import load

VECTORS = load("vectors.json")["basicToken"]["vectors"]
CREATE = "/ai/task/create"
CNAME = body()["cname"]


def create(api: Api, headers: dict[str, str], **changes: Any) -> Any:
    return api.post(CREATE, body(**changes), headers).json()


def assert_refused(answer: Any, header: str, api: Api) -> None:
    assert_form(answer, "error")
    assert answer["code"] == 402
    assert header in answer["errmsg"]
    assert api.emulator.tasks() == []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_signature_of_every_vector_is_computed(vector: dict[str, Any]) -> None:
    token = BasicToken("", vector["curTimeMs"], vector["ttl"])
    signature = compute_signature(
        vector["appKey"], vector["appSecret"], vector["channelName"], str(vector["uid"]), token
    )
    assert signature == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_opens_its_room_at_its_time(vector: dict[str, Any]) -> None:
    cname = vector["channelName"]
    headers = {"AppKey": vector["appKey"], "Token": vector["token"], "Cname": cname, "Uid": str(vector["uid"])}
    clock = Clock(lambda: vector["curTimeMs"] / 1000)
    with Emulator(app_key=vector["appKey"], app_secret=vector["appSecret"], clock=clock) as emulator:
        answer = httpx.post(
            emulator.url + CREATE,
            json=body(cname=cname or "any"),
            headers=httpx.Headers(headers, encoding="utf-8"),
            trust_env=False,
        ).json()
    assert_form(answer, "createSuccess")


def test_a_task_is_created_and_closed_with_a_token(api: Api) -> None:
    created = create(api, api.with_token(CNAME))
    assert_form(created, "createSuccess")
    closed = api.post("/ai/task/close", close_body(created), api.with_token(CNAME)).json()
    assert_form(closed, "closeSuccess")


def test_a_token_is_good_for_many_requests(api: Api) -> None:
    headers = api.with_token(CNAME)
    assert [create(api, headers)["code"] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("missing", ["AppKey", "Token", "Cname", "Uid"])
def test_a_missing_header_is_refused_by_name(api: Api, missing: str) -> None:
    assert_refused(create(api, api.with_token(CNAME, **{missing: None})), f"{missing}: missing", api)


@pytest.mark.parametrize("header", [{"AppKey": "another"}, {"Uid": "10001"}, {"Uid": "010000"}, {"Cname": "other"}])
def test_a_token_made_for_something_else_is_refused(api: Api, header: dict[str, str]) -> None:
    assert_refused(create(api, api.with_token(CNAME, **header)), "header", api)


def test_a_token_signed_with_another_secret_is_refused(api: Api) -> None:
    now_ms = api.emulator.clock.now_ms()
    token = token_of(sha1(f"{api.emulator.app_key}10000{now_ms}600{CNAME}wrong"), now_ms, 600)
    assert_refused(create(api, api.with_token(CNAME, Token=token)), "Token", api)


def test_a_uid_that_is_no_number_is_refused(api: Api) -> None:
    assert_refused(create(api, api.with_token(CNAME, Uid="ten")), "Uid", api)


def test_a_token_is_refused_once_its_ttl_is_over(api: Api) -> None:
    headers = api.with_token(CNAME, ttl=60, cur_time_ms=api.emulator.clock.now_ms() - 60_000)
    assert_refused(create(api, headers), "expired", api)


def test_a_token_is_good_until_its_ttl_is_over(api: Api) -> None:
    headers = api.with_token(CNAME, ttl=60, cur_time_ms=api.emulator.clock.now_ms() - 50_000)
    assert create(api, headers)["code"] == 200


def test_a_token_from_the_far_future_is_refused(api: Api) -> None:
    headers = api.with_token(CNAME, cur_time_ms=api.emulator.clock.now_ms() + 310_000)
    assert_refused(create(api, headers), "ahead", api)


@pytest.mark.parametrize("ttl", [0, -1, 86401])
def test_a_ttl_outside_1_to_86400_is_refused(api: Api, ttl: int) -> None:
    assert_refused(create(api, api.with_token(CNAME, ttl=ttl)), "ttl", api)


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 5000,
        json.dumps({"signature": "\ud800", "curTime": 1, "ttl": 1}).encode(),
        json.dumps({"signature": "s", "curTime": 1.5, "ttl": 1}).encode(),
        json.dumps({"signature": "s", "curTime": 1, "ttl": True}).encode(),
        json.dumps({"signature": "s", "curTime": "1", "ttl": 1}).encode(),
    ],
)
def test_a_token_that_is_no_basic_token_is_refused(api: Api, content: bytes) -> None:
    token = base64.b64encode(content).decode()
    assert_refused(create(api, api.with_token(CNAME, Token=token)), "Token: not a basic token", api)


@pytest.mark.parametrize("token", ["", "***", "YQ", "é"])
def test_a_token_that_is_no_base64_is_refused(api: Api, token: str) -> None:
    assert_refused(create(api, api.with_token(CNAME, Token=token)), "Token: not a basic token", api)


def test_a_token_of_one_room_creates_in_no_other(api: Api) -> None:
    assert_refused(create(api, api.with_token(CNAME), cname="other"), "Cname", api)


def test_a_token_without_a_room_is_good_for_any(api: Api) -> None:
    rooms = ["one", "two"]
    assert [create(api, api.with_token("", made_for=""), cname=cname)["code"] for cname in rooms] == [200, 200]
    assert create(api, api.with_token("one", made_for=""), cname="one")["code"] == 200


def test_cname_binds_also_where_the_token_is_good_for_any_room(api: Api) -> None:
    assert_refused(create(api, api.with_token("one", made_for=""), cname="two"), "Cname", api)


def test_a_token_of_one_room_closes_no_task_in_another(api: Api) -> None:
    created = api.create(body(cname="theirs"))
    answer = api.post("/ai/task/close", close_body(created), api.with_token("mine")).json()
    assert answer["code"] == 402
    assert [task["state"] for task in api.emulator.tasks()] == ["running"]


def test_a_room_name_outside_ascii_is_sent_as_utf_8(api: Api) -> None:
    assert create(api, api.with_token("会议室1"), cname="会议室1")["code"] == 200


def test_a_signature_of_the_server_flavour_is_no_token(api: Api) -> None:
    assert_refused(api.post(CREATE, body(), {**api.signed(), "Content-Type": JSON}).json(), "Token", api)
