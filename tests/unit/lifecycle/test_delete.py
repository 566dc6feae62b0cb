from typing import Any

import httpx
import pytest

from rtcai_pulumi.journal.record import KeepReason, RecordState
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.service.errors import ConnectionFailed, OtherAccount, RtcAiError
from tests.samples import parameters
from tests.unit.lifecycle.fakes import Reply, Runs, Service, add_lost_create, add_open_task, reply

pytestmark = pytest.mark.shows("safety close-lost")

ID = "7/2a78"
STATE = {**parameters(), "cid": "7", "taskId": "2a78", "appKey": "the-key", "endpoint": "http://service.test"}
REFUSED = reply(code=777, errmsg="not now")
CLOSED = reply(code=200, errmsg="")


def states(run: Run) -> list[RecordState]:
    return [record.state for record in run.journal.records()]


def test_the_task_is_closed_by_room_and_task_number(runs: Runs) -> None:
    service = Service(close=CLOSED)
    run = runs.next(service)
    delete(ID, STATE, run)
    assert service.bodies == [{"cid": 7, "taskType": 7, "taskId": "2a78"}]
    assert states(run) == [RecordState.CLOSED]


def test_a_task_that_the_journal_knows_as_closed_needs_no_request(runs: Runs) -> None:
    delete(ID, STATE, runs.next(Service(close=CLOSED)))
    service = Service()
    delete(ID, STATE, runs.next(service))
    assert service.calls == []


@pytest.mark.parametrize(
    "answer", [reply(code=404), reply(code=5, errmsg="任务不存在"), reply(code=5, errmsg="房间不存在")]
)
def test_a_task_that_no_longer_exists_counts_as_closed(runs: Runs, answer: httpx.Response) -> None:
    service = Service(close=answer)
    delete(ID, STATE, runs.next(service))
    assert service.calls == ["close"]


@pytest.mark.parametrize("room", [reply(404, code=404), reply(code=200, cid=8, cname="keynote")])
def test_a_refused_close_does_not_matter_if_the_room_is_gone(runs: Runs, room: httpx.Response) -> None:
    service = Service(close=REFUSED, rooms=room)
    delete(ID, STATE, runs.next(service))
    assert service.calls == ["close", "rooms"]


@pytest.mark.parametrize("room", [reply(code=200, cid=7, cname="keynote"), reply(500), httpx.ReadTimeout])
def test_a_refused_close_is_an_error_and_the_record_open_again(runs: Runs, room: Reply) -> None:
    run = runs.next(Service(close=REFUSED, rooms=room))
    with pytest.raises(RtcAiError, match="not now"):
        delete(ID, STATE, run)
    assert states(run) == [RecordState.OPEN]


@pytest.mark.parametrize("answer", [httpx.ReadTimeout, httpx.ConnectError, reply(500), reply(429), reply(code=503)])
def test_a_close_is_repeated_until_it_has_a_response(runs: Runs, answer: Reply) -> None:
    service = Service(close=[answer, answer, CLOSED])
    run = runs.next(service)
    delete(ID, STATE, run)
    assert service.calls == ["close"] * 3
    assert states(run) == [RecordState.CLOSED]


def test_a_refusal_after_an_unknown_outcome_leaves_it_closing(runs: Runs) -> None:
    """The first request may have closed the task. A state that still names it is then out of date."""
    run = runs.next(Service(close=[httpx.ReadTimeout, REFUSED], rooms=reply(code=200, cid=7, cname="keynote")))
    with pytest.raises(RtcAiError, match="not now"):
        delete(ID, STATE, run)
    assert states(run) == [RecordState.CLOSING]


def test_a_refusal_leaves_it_closing_if_an_earlier_run_closed_it(runs: Runs) -> None:
    with pytest.raises(RtcAiError):
        delete(ID, STATE, runs.next(Service(close=reply(500))))
    run = runs.next(Service(close=REFUSED, rooms=reply(code=200, cid=7, cname="keynote")))
    with pytest.raises(RtcAiError, match="not now"):
        delete(ID, STATE, run)
    assert states(run) == [RecordState.CLOSING]


def test_a_close_without_a_response_is_an_error_and_stays_closing(runs: Runs) -> None:
    run = runs.next(Service(close=reply(500)))
    with pytest.raises(RtcAiError):
        delete(ID, STATE, run)
    assert states(run) == [RecordState.CLOSING]
    delete(ID, STATE, runs.next(Service(close=CLOSED)))


def test_another_account_is_an_error_and_nothing_is_sent(runs: Runs) -> None:
    service = Service(close=reply(code=404))
    with pytest.raises(OtherAccount, match="another-key"):
        delete(ID, STATE, runs.next(service, app_key="another-key"))
    assert service.calls == []


def test_another_room_api_does_not_make_a_refusal_a_success(runs: Runs) -> None:
    service = Service(close=REFUSED, rooms=reply(404, code=404))
    with pytest.raises(RtcAiError, match="not now"):
        delete(ID, STATE, runs.next(service, room_endpoint="http://other.test"))
    assert service.calls == ["close"]


def started(runs: Runs, task: str) -> dict[str, Any]:
    answer = reply(code=200, requestId="r", cid=7, result={"taskId": task})
    return create(parameters(owner="b:urn"), runs.next(Service(create=answer))).outputs


def test_a_leftover_that_no_engine_received_is_closed_too(runs: Runs) -> None:
    outputs = started(runs, "known")
    add_lost_create(runs.next(Service()), "b:urn")
    service = Service(close=CLOSED, create=reply(code=200, cid=7, result={"taskId": "left"}))
    delete("7/known", outputs, runs.next(service))
    assert service.calls == ["close", "create", "close"]
    assert service.bodies[2]["taskId"] == "left"


def test_the_other_task_of_a_start_first_replacement_keeps_running(runs: Runs) -> None:
    outputs = started(runs, "old")
    add_open_task(runs.next(Service()), "new", "b:urn")
    service = Service(close=CLOSED)
    delete("7/old", outputs, runs.next(service))
    assert [body["taskId"] for body in service.bodies] == ["old"]


@pytest.mark.shows("safety close-not-sent")
def test_a_close_that_was_never_sent_leaves_the_record_open(runs: Runs) -> None:
    """Otherwise the next `up` of an unchanged program would treat the agent as being closed, and replace it."""
    run = runs.next(Service(close=httpx.ConnectError))
    with pytest.raises(ConnectionFailed):
        delete(ID, STATE, run)
    assert states(run) == [RecordState.OPEN]


def test_a_close_that_may_have_been_sent_leaves_it_closing(runs: Runs) -> None:
    run = runs.next(Service(close=[httpx.ReadTimeout, *[httpx.ConnectError] * 6]))
    with pytest.raises(ConnectionFailed):
        delete(ID, STATE, run)
    assert states(run) == [RecordState.CLOSING]


@pytest.mark.parametrize("lives", [False, True])
def test_after_a_rename_leftovers_of_both_names_are_recovered(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    """The engine keeps the outputs of an unchanged resource, so also an old name that another resource may have now."""
    outputs = started(runs, "known")
    runs.next(Service()).journal.claim("7/known", owner="b:renamed", kept=KeepReason.NO)
    for owner in ("b:renamed", "b:urn"):
        add_lost_create(runs.next(Service()), owner)
    left = iter(["one", "two"])
    answer = lambda: reply(code=200, cid=7, result={"taskId": next(left)})  # noqa: E731  one answer after the other
    run = runs.next(service := Service(close=CLOSED, create=answer))
    (asked,) = run.journal.records("b:urn")
    monkeypatch.setattr(run.journal, "is_running", lambda process: lives and process == asked.process)
    delete("7/known", outputs, run)
    assert service.calls == ["close", *["create", "close"] * (1 if lives else 2)]
    assert run.journal.records("b:urn")[0].is_unfinished == lives
