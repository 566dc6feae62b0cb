from typing import NoReturn

import httpx
import pytest

from rtcai_pulumi.lifecycle.read import read
from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.errors import OtherAccount, SettingsError
from tests.unit.lifecycle.fakes import Service, reply

ID = "7/2a78"
STATE = {"cname": "keynote", "cid": "7", "taskId": "2a78", "appKey": "the-key", "endpoint": "http://service.test"}


def test_a_room_that_is_still_there_keeps_the_task() -> None:
    reading = read(ID, STATE, Service(rooms=reply(code=200, cid=7, cname="keynote", stats=2)).connect())
    assert (reading.gone, reading.warning) == (False, None)


@pytest.mark.parametrize(
    "answer",
    [reply(404, code=404), reply(code=1, errmsg="房间不存在"), reply(code=200, cid=8, cname="keynote")],
)
def test_a_room_that_is_gone_or_another_takes_the_task_with_it(answer: httpx.Response) -> None:
    assert read(ID, STATE, Service(rooms=answer).connect()).gone


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadTimeout,
        httpx.ConnectError,
        httpx.Response(404, text="nginx"),
        httpx.Response(200, text="{"),
        reply(500),
        reply(429),
        reply(code=402),
        reply(code=200),
        reply(code=200, cid=9, cname="another room"),
        reply(code=200, cid=7, cname="keynote", stats=3),
    ],
)
def test_doubt_is_never_gone_and_is_told(answer: httpx.Response) -> None:
    reading = read(ID, STATE, Service(rooms=answer).connect())
    assert not reading.gone
    assert "keynote" in (reading.warning or "")


def test_missing_credentials_are_doubt() -> None:
    def connect() -> NoReturn:
        message = "no credentials"
        raise SettingsError(message)

    reading = read(ID, STATE, connect)
    assert not reading.gone
    assert "no credentials" in (reading.warning or "")


@pytest.mark.parametrize(("key", "endpoint"), [("another", "http://service.test"), ("the-key", "http://other.test")])
def test_another_account_is_an_error_that_names_both(key: str, endpoint: str) -> None:
    service = Service(rooms=reply(404, code=404))

    def connect() -> Client:
        return service.client(key, endpoint)

    with pytest.raises(OtherAccount) as caught:
        read(ID, STATE, connect)
    assert {key, endpoint} & {"another", "http://other.test"} <= set(caught.value.summary.replace(",", " ").split())
    assert service.asked == []
