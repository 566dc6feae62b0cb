from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.api.auth import Nonces, compute_checksum
from rtcai_pulumi.emulator.clock import Clock
from tests.emulator.api import Api, assert_form
from tests.samples import load

VECTORS = load("vectors.json")["checkSum"]["vectors"]


def at(seconds: float) -> Clock:
    return Clock(lambda: seconds)


def assert_refused(answer: Any, header: str, api: Api) -> None:
    assert_form(answer, "error")
    assert answer["code"] == 402
    assert header in answer["errmsg"]
    assert api.emulator.tasks() == []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_checksum_of_every_vector_is_computed(vector: dict[str, str]) -> None:
    assert compute_checksum(vector["appSecret"], vector["nonce"], vector["curTime"]) == vector["checkSum"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_vector_is_accepted_at_its_time(vector: dict[str, str]) -> None:
    names = {"nonce": "Nonce", "curTime": "CurTime", "checkSum": "CheckSum"}
    headers = {"AppKey": "key", **{header: vector[name] for name, header in names.items()}}
    clock = at(float(vector["curTime"]))
    with Emulator(app_key="key", app_secret=vector["appSecret"], clock=clock) as emulator:
        answer = httpx.get(f"{emulator.url}/v3/api/rooms?cname=r", headers=headers, trust_env=False).json()
    assert answer["code"] == 404


def test_a_wrong_checksum_is_refused(api: Api) -> None:
    assert_refused(api.create(headers=api.signed(CheckSum="0" * 40)), "CheckSum", api)


def test_a_checksum_in_capitals_is_refused(api: Api) -> None:
    right = api.signed()
    assert_refused(api.create(headers={**right, "CheckSum": right["CheckSum"].upper()}), "CheckSum", api)


def test_a_checksum_of_another_time_is_refused(api: Api) -> None:
    right = api.signed()
    later = str(int(right["CurTime"]) + 1)
    assert_refused(api.create(headers={**right, "CurTime": later}), "CheckSum", api)


@pytest.mark.parametrize("offset", [-302, 302])
def test_a_time_more_than_five_minutes_off_is_refused(api: Api, offset: int) -> None:
    cur_time = str(int(api.emulator.clock.now()) + offset)
    assert_refused(api.create(headers=api.signed(CurTime=cur_time)), "CurTime", api)


@pytest.mark.parametrize("offset", [-295, 295])
def test_a_time_within_five_minutes_is_accepted(api: Api, offset: int) -> None:
    cur_time = str(int(api.emulator.clock.now()) + offset)
    assert api.create(headers=api.signed(CurTime=cur_time))["code"] == 200


@pytest.mark.parametrize("offset", [-600.0, 600.0])
def test_the_emulators_own_clock_decides(api: Api, offset: float) -> None:
    right = api.signed()
    api.emulator.clock.offset = offset
    assert_refused(api.create(headers=right), "CurTime", api)


@pytest.mark.parametrize("wrong", ["", "now", "1700000000.5", "-5", "0x10", "１７００００００００", "9" * 13])
def test_a_time_that_is_no_decimal_number_is_refused(api: Api, wrong: str) -> None:
    assert_refused(api.create(headers={**api.signed(), "CurTime": wrong}), "CurTime", api)


def test_a_nonce_is_accepted_once(api: Api) -> None:
    headers = api.signed()
    assert api.get("/v3/api/rooms", cname="r")["code"] == 404
    assert api.http.get("/v3/api/rooms?cname=r", headers=headers).json()["code"] == 404
    assert_refused(api.create(headers=headers), "Nonce", api)


def test_a_nonce_of_a_wrongly_signed_request_is_not_used_up(api: Api) -> None:
    api.create(headers=api.signed(Nonce="n", CheckSum="0" * 40))
    assert api.create(headers=api.signed(Nonce="n"))["code"] == 200


@pytest.mark.parametrize("length", [0, 129])
def test_a_nonce_outside_1_to_128_characters_is_refused(api: Api, length: int) -> None:
    nonce = "n" * length
    headers = {**api.signed(), "Nonce": nonce}
    assert_refused(api.create(headers=headers), "Nonce", api)


def test_an_unknown_app_key_is_refused(api: Api) -> None:
    assert_refused(api.create(headers=api.signed(AppKey="another")), "AppKey", api)


@pytest.mark.parametrize("missing", ["AppKey", "Nonce", "CurTime", "CheckSum"])
def test_a_missing_header_is_refused_by_name(api: Api, missing: str) -> None:
    headers = {name: value for name, value in api.signed().items() if name != missing}
    assert_refused(api.create(headers=headers), f"{missing}: missing", api)


def test_a_header_sent_twice_is_refused(api: Api) -> None:
    headers = [*api.signed().items(), ("Nonce", "second")]
    answer = api.http.post("/v1/api/task/create", content=b"{}", headers=headers).json()
    assert_form(answer, "error")
    assert "Nonce: sent more than once" in answer["errmsg"]


def test_a_header_that_is_no_utf_8_is_refused(api: Api) -> None:
    headers = {name.encode(): value.encode() for name, value in api.signed().items()}
    answer = api.http.get("/v3/api/rooms?cname=r", headers={**headers, b"AppKey": b"\xff"}).json()
    assert_form(answer, "error")
    assert "AppKey" in answer["errmsg"]


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.http.get("/v3/api/rooms?cname=r"),
        lambda api: api.http.get("/v2/api/rooms/1/members"),
        lambda api: api.http.delete("/v3/api/rooms?cname=r"),
        lambda api: api.post("/v2/api/room", {}, {}),
        lambda api: api.post("/v1/api/task/create", {}, {}),
        lambda api: api.post("/v1/api/task/close", {}, {}),
    ],
)
def test_no_operation_answers_without_a_signature(api: Api, call: Callable[[Api], httpx.Response]) -> None:
    assert call(api).json()["code"] == 402


def test_a_nonce_is_remembered_as_long_as_its_checksum_could_be_sent_again() -> None:
    nonces = Nonces()
    assert nonces.use("key", "n", 1000.0)
    assert not nonces.use("key", "n", 1600.0)
    assert nonces.use("key", "n", 1601.0)


def test_two_app_keys_may_use_the_same_nonce() -> None:
    nonces = Nonces()
    assert nonces.use("one", "n", 1000.0)
    assert nonces.use("two", "n", 1000.0)
