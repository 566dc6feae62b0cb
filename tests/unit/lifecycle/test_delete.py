import httpx
import pytest

from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.service.errors import OtherAccount, RtcAiError
from tests.unit.lifecycle.fakes import Service, reply

ID = "7/2a78"
STATE = {"cname": "keynote", "cid": "7", "taskId": "2a78", "appKey": "the-key", "endpoint": "http://service.test"}
REFUSED = reply(code=777, errmsg="not now")


def test_the_task_is_closed_by_room_and_task_number() -> None:
    service = Service(close=reply(code=200, errmsg=""))
    delete(ID, STATE, service.client())
    assert service.bodies == [{"cid": 7, "taskType": 7, "taskId": "2a78"}]


@pytest.mark.parametrize(
    "answer", [reply(code=404), reply(code=5, errmsg="任务不存在"), reply(code=5, errmsg="房间不存在")]
)
def test_a_task_that_is_not_there_any_more_is_as_good(answer: httpx.Response) -> None:
    service = Service(close=answer)
    delete(ID, STATE, service.client())
    assert service.asked == ["close"]


@pytest.mark.parametrize("room", [reply(404, code=404), reply(code=200, cid=8, cname="keynote")])
def test_a_refusal_does_not_matter_where_the_room_is_gone_or_another(room: httpx.Response) -> None:
    service = Service(close=REFUSED, rooms=room)
    delete(ID, STATE, service.client())
    assert service.asked == ["close", "rooms"]


@pytest.mark.parametrize("room", [reply(code=200, cid=7, cname="keynote"), reply(500), httpx.ReadTimeout])
def test_a_refusal_is_an_error_where_the_room_may_be_there(room: httpx.Response) -> None:
    with pytest.raises(RtcAiError, match="not now"):
        delete(ID, STATE, Service(close=REFUSED, rooms=room).client())


@pytest.mark.parametrize(
    "answer", [httpx.ReadTimeout, httpx.ConnectError, reply(500), httpx.Response(200, text="<html>")]
)
def test_a_close_without_an_answer_is_an_error(answer: httpx.Response) -> None:
    with pytest.raises(RtcAiError):
        delete(ID, STATE, Service(close=answer).client())


def test_another_account_is_an_error_and_nothing_is_sent() -> None:
    service = Service(close=reply(code=404))
    with pytest.raises(OtherAccount, match="another-key"):
        delete(ID, STATE, service.client(app_key="another-key"))
    assert service.asked == []
