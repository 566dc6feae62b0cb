"""Recovery of an earlier run's records while that run, or a later one, still works. `tests.model` found each case."""

from dataclasses import replace

import httpx
import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.service.errors import AnswerLost, OtherAccount, Refused, TakenOver
from tests.samples import parameters
from tests.unit.lifecycle.fakes import Runs, Service, add_open_task, reply

pytestmark = pytest.mark.shows("safety orphan-and-later-run", "safety duplicate-repeated")

OWNER = "backend:urn:pulumi:dev::rooms::type::host"
OWNED = parameters(owner=OWNER)
CLOSED = reply(code=200, errmsg="")
ROOM = reply(code=200, cid=7, cname="keynote")
NO_ROOM = reply(code=404, errmsg="房间不存在")


def created(task: str) -> httpx.Response:
    return reply(code=200, requestId="r", cid=7, result={"taskId": task})


def lose(runs: Runs) -> None:
    with pytest.raises(AnswerLost):
        create(OWNED, runs.next(Service(create=httpx.ReadTimeout)))


def states(journal: Journal) -> list[tuple[str | None, RecordState]]:
    return [(record.task, record.state) for record in journal.records(OWNER)]


def taken_over_by(run: Run) -> Record:
    """Let a later run take over the only record."""
    taken = run.journal.take_over(run.journal.records(OWNER)[0])
    assert taken is not None
    return taken


def test_a_repeated_create_is_closed_if_the_engine_is_gone(runs: Runs) -> None:
    lose(runs)
    service = Service(create=created("found"), close=CLOSED)
    run = runs.next(service, engine_lives=lambda: not service.calls)  # it ends while the create is sent
    with pytest.raises(TakenOver, match="the `pulumi` process that requested it has ended"):
        create(OWNED, run)
    assert service.calls == ["create", "close"]
    assert states(run.journal) == [("7/found", RecordState.CLOSED)]


def test_a_repeated_create_closes_nothing_of_a_later_run(runs: Runs) -> None:
    """Otherwise this run would record its close for the task of the later run, which then no run would close."""
    lose(runs)

    def answered_later() -> httpx.Response:
        later = runs.concurrent(Service())
        assert later.journal.record_response(taken_over_by(later), 7, "later") is not None
        return created("mine")

    service = Service(create=answered_later, close=CLOSED)
    run = runs.next(service)
    with pytest.raises(TakenOver, match="a later run of this stack manages it now"):
        create(parameters(owner=OWNER, tts={"speed": 2}), run)
    assert [body.get("taskId") for body in service.bodies] == [None, "mine"]
    assert states(run.journal) == [("7/later", RecordState.OPEN), ("7/mine", RecordState.CLOSED)]


@pytest.mark.parametrize("room", [NO_ROOM, reply(code=200, cid=8, cname="keynote")])
def test_a_repeated_response_of_an_ended_room_is_not_kept(runs: Runs, room: httpx.Response) -> None:
    lose(runs)
    service = Service(create=[created("ended"), created("new")], rooms=room, close=NO_ROOM)
    run = runs.next(service)
    assert create(OWNED, run).id == "7/new"
    assert states(run.journal) == [("7/ended", RecordState.CLOSED), ("7/new", RecordState.OPEN)]


def test_a_doubt_about_the_room_keeps_the_response(runs: Runs) -> None:
    lose(runs)
    assert create(OWNED, runs.next(Service(create=created("found"), rooms=reply(500)))).id == "7/found"


def test_a_repeated_response_that_is_closing_is_closed_first(runs: Runs) -> None:
    lose(runs)
    run = runs.next(service := Service(create=[created("found"), created("new")], close=CLOSED))
    (asked,) = run.journal.records(OWNER)
    orphan = replace(asked, trace_id="t-orphan", process=run.journal.process, state=RecordState.CLOSING)
    run.journal.add(replace(orphan, cid=7, task_id="found"))
    assert create(OWNED, run).id == "7/new"
    assert service.calls == ["create", "close", "create"]


def test_a_missing_room_removes_no_record_of_a_later_run(runs: Runs) -> None:
    lose(runs)

    def taken() -> httpx.Response:
        taken_over_by(runs.concurrent(Service()))
        return NO_ROOM

    service = Service(create=[taken, created("new")])
    run = runs.next(service)
    with pytest.raises(TakenOver, match="a later run of this stack manages it now"):
        create(OWNED, run)
    assert service.calls == ["create"]
    assert states(run.journal) == [(None, RecordState.ASKED), (None, RecordState.CLOSED)]


def test_a_plugin_without_engine_closes_nothing_of_a_later_run(runs: Runs) -> None:
    """The plugin starts its recovery only now, after the close that its engine asked for."""
    old = runs.next(Service(create=created("first"), close=CLOSED))
    outputs = create(OWNED, old).outputs
    later = runs.concurrent(Service()).journal
    (first,) = later.records(OWNER)
    started = later.add(
        replace(first, trace_id="t-later", process=later.process, state=RecordState.ASKED, handed=False)
    )
    assert later.record_response(started, 7, "later") is not None
    delete("7/first", outputs, old)
    assert states(later) == [("7/first", RecordState.CLOSED), ("7/later", RecordState.OPEN)]


def test_an_agent_that_is_closing_is_closed_before_another_starts(runs: Runs) -> None:
    create(OWNED, runs.next(Service(create=created("old"))))
    earlier = runs.next(Service()).journal
    run = runs.concurrent(service := Service(close=CLOSED, create=created("new")))
    look = run.journal.records
    (stale,) = look(OWNER)
    assert earlier.begin_close(stale)  # after this run has read the record
    read_before = [[stale]]
    read = lambda owner=None: read_before.pop() if read_before else look(owner)  # noqa: E731
    run.journal.records = read  # type: ignore[method-assign]
    assert create(OWNED, run).id == "7/new"
    assert service.calls == ["close", "create"]


def test_a_task_returned_under_one_record_is_not_closed_by_another(runs: Runs) -> None:
    """An old plugin recorded the answer that this run kept as one that no process waits for, and was then killed."""
    outputs = create(OWNED, runs.next(Service(create=created("first")))).outputs
    run = runs.next(Service())
    kept = add_open_task(run, "kept", OWNER)
    run.journal.add(replace(kept, trace_id="t-orphan", process=1, handed=False))
    service = Service(close=CLOSED)
    delete("7/first", outputs, runs.next(service))
    assert [body["taskId"] for body in service.bodies] == ["first"]


def test_a_refused_close_of_a_leftover_leaves_its_record_open(runs: Runs) -> None:
    outputs = create(OWNED, runs.next(Service(create=created("first")))).outputs
    run = runs.next(Service(close=reply(code=777), rooms=ROOM))
    with pytest.raises(Refused):
        delete("7/first", outputs, run)
    assert states(run.journal) == [("7/first", RecordState.OPEN)]


@pytest.mark.parametrize("left", ["known", "unanswered"])
def test_a_leftover_of_another_account_names_the_command(runs: Runs, left: str) -> None:
    """The account may be gone permanently: an emulator's account, or one that was entered by mistake."""
    if left == "known":
        create(OWNED, runs.next(Service(create=created("old"))))
        command = "`rtcai release 7/old`"
    else:
        lose(runs)
        command = "`rtcai forget "
    with pytest.raises(OtherAccount) as caught:
        create(OWNED, runs.next(Service(), app_key="another-key"))
    assert command in (caught.value.advice or "")


REFUSED = reply(code=777, errmsg="not now")


def test_a_repeated_create_closes_what_it_could_not_close_before(runs: Runs) -> None:
    """As when an error hook has the engine call it again: by then, this process owns the record."""
    add_open_task(runs.next(Service()), "old", OWNER)
    service = Service(create=created("new"), close=[REFUSED, CLOSED], rooms=ROOM)
    run = runs.next(service)
    with pytest.raises(Refused, match="not now"):
        create(OWNED, run)
    assert create(OWNED, run).id == "7/new"
    assert service.calls == ["close", "rooms", "close", "create"]
    assert states(run.journal) == [("7/old", RecordState.CLOSED), ("7/new", RecordState.OPEN)]
    assert run.unrecovered == set()


def test_a_repeated_delete_closes_what_it_could_not_close_before(runs: Runs) -> None:
    run = runs.next(Service())
    add_open_task(run, "known", OWNER)
    left = replace(add_open_task(run, "left", OWNER), handed=False)
    run.journal.drop(left)
    run.journal.add(left)
    service = Service(close=[CLOSED, REFUSED, CLOSED], rooms=ROOM)
    run = runs.next(service)
    outputs = {**OWNED, "cid": "7", "taskId": "known", "appKey": "the-key", "endpoint": "http://service.test"}
    with pytest.raises(Refused, match="not now"):
        delete("7/known", outputs, run)
    delete("7/known", outputs, run)
    assert service.calls == ["close", "close", "rooms", "close"]
    assert states(run.journal) == [("7/known", RecordState.CLOSED), ("7/left", RecordState.CLOSED)]
