from typing import NoReturn

import httpx
import pytest

from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.diff import diff
from rtcai_pulumi.lifecycle.read import read
from rtcai_pulumi.service.errors import OtherAccount, SettingsError
from tests.samples import parameters
from tests.unit.lifecycle.fakes import Runs, Service, reply

pytestmark = pytest.mark.shows("safety unsure-room-api")

ID = "7/2a78"
STATE = {"cname": "keynote", "cid": "7", "taskId": "2a78", "appKey": "the-key", "endpoint": "http://service.test"}


def test_a_room_that_is_still_there_keeps_the_task(runs: Runs) -> None:
    reading = read(ID, STATE, runs.next(Service(rooms=reply(code=200, cid=7, cname="keynote", stats=2))))
    assert (reading.gone, reading.warning) == (False, None)


@pytest.mark.parametrize(
    "answer",
    [reply(404, code=404), reply(code=1, errmsg="房间不存在"), reply(code=200, cid=8, cname="keynote")],
)
def test_a_room_that_is_gone_or_another_means_the_task_is_gone(runs: Runs, answer: httpx.Response) -> None:
    assert read(ID, STATE, runs.next(Service(rooms=answer))).gone


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
def test_doubt_keeps_the_state_with_a_warning(runs: Runs, answer: httpx.Response) -> None:
    reading = read(ID, STATE, runs.next(Service(rooms=answer)))
    assert not reading.gone
    assert "keynote" in (reading.warning or "")


def test_missing_credentials_are_doubt(runs: Runs) -> None:
    def connect() -> NoReturn:
        message = "no credentials"
        raise SettingsError(message)

    run = runs.next(Service())
    run.connect = connect
    reading = read(ID, STATE, run)
    assert not reading.gone
    assert "no credentials" in (reading.warning or "")


def test_a_passing_fault_is_waited_out(runs: Runs) -> None:
    service = Service(rooms=[reply(503), httpx.ReadTimeout, reply(code=404)])
    assert read(ID, STATE, runs.next(service)).gone


@pytest.mark.parametrize(("key", "value"), [("appKey", "another-key"), ("endpoint", "http://other.test")])
def test_another_account_is_an_error_that_names_both(runs: Runs, key: str, value: str) -> None:
    service = Service(rooms=reply(404, code=404))
    with pytest.raises(OtherAccount) as caught:
        read(ID, {**STATE, key: value}, runs.next(service))
    assert value in caught.value.summary
    assert STATE[key] in caught.value.summary
    assert service.calls == []


def test_a_gone_task_is_reported_and_nothing_is_written(runs: Runs) -> None:
    """A preview also calls `read`. The next create finds the task as unfinished and closes it without effect."""
    answer = reply(code=200, requestId="r", cid=7, result={"taskId": "2a78"})
    made = create(parameters(owner="b:urn"), runs.next(Service(create=answer)))
    run = runs.next(Service(rooms=reply(code=404)))
    assert read(made.id, made.outputs, run).gone
    assert [record.state for record in run.journal.records()] == [RecordState.OPEN]
    run.journal.record_close(made.id)
    silent = Service()
    assert read(made.id, made.outputs, runs.next(silent)).gone
    assert silent.calls == []


def test_another_room_api_is_not_believed(runs: Runs) -> None:
    service = Service(rooms=reply(404, code=404))
    with pytest.raises(OtherAccount, match=r"RTCAI_ROOM_ENDPOINT is http://other\.test"):
        read(ID, STATE, runs.next(service, room_endpoint="http://other.test"))
    assert service.calls == []
    stored = {**STATE, "roomEndpoint": "http://other.test"}
    assert read(ID, stored, runs.next(service, room_endpoint="http://other.test")).gone


def test_a_create_closes_first_a_task_that_was_read_unchanged(runs: Runs) -> None:
    """`pulumi up --refresh --replace URN`: the engine deletes the old agent last."""
    task = reply(code=200, requestId="r", cid=7, result={"taskId": "old"})
    owned = parameters(owner="b:urn")
    old = create(owned, runs.next(Service(create=task)))
    room = reply(code=200, cid=7, cname="keynote")
    new = reply(code=200, requestId="r", cid=7, result={"taskId": "new"})
    run = runs.next(service := Service(rooms=room, create=new, close=reply(code=200)))
    assert not read(old.id, old.outputs, run).gone
    assert diff(old.id, old.outputs, owned, run).replaces == ()
    create(owned, run)
    assert service.calls == ["rooms", "close", "create"]
