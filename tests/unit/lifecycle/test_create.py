from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import KeepReason, Record, RecordState, StackState, StateAgent
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.lifecycle.diff import diff
from rtcai_pulumi.lifecycle.update import update
from rtcai_pulumi.service.errors import (
    AnswerLost,
    DuplicateRequest,
    JournalError,
    NotPermitted,
    OtherAccount,
    OutcomeUnknown,
    RateLimited,
    RoomNotFound,
    RtcAiError,
    TakenOver,
)
from tests.samples import load, parameters
from tests.unit.lifecycle.fakes import CREATED, Reply, Runs, Service, reply

OWNER = "backend:urn:pulumi:dev::rooms::type::host"
OWNED = parameters(owner=OWNER)
CLOSED = reply(code=200, errmsg="")


def created(task: str = "2a78", cid: int = 7) -> httpx.Response:
    return reply(code=200, requestId="r", cid=cid, result={"taskId": task})


def test_the_outputs_repeat_the_inputs_and_add_what_stops_the_agent(runs: Runs) -> None:
    service = Service(create=reply(**CREATED))
    inputs = parameters(requestId="r-1")
    made = create(
        inputs, runs.next(service), now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), new_id=lambda: "a-b-c"
    )
    assert made.id == "1144707127429101/2a78"
    assert made.outputs == {
        **inputs,
        "cid": "1144707127429101",
        "taskId": "2a78",
        "requestId": "r-1",
        "traceId": "abc",
        "createdAt": "2026-01-02T03:04:05.000Z",
        "appKey": "the-key",
        "endpoint": "http://service.test",
        "mode": "parameters",
    }
    assert service.traces == ["abc"]


def test_the_body_satisfies_the_schema_of_the_service(runs: Runs) -> None:
    service = Service(create=reply(**CREATED))
    inputs = parameters(asr={"asrVendor": 6.0}, replaceStrategy="start-first", waitForRoom=3.0, owner=OWNER)
    made = create(inputs, runs.next(service))
    Draft202012Validator(load("create.schema.json")).validate(service.bodies[0])
    assert service.bodies[0]["requestId"] == made.outputs["requestId"]


@pytest.mark.parametrize(
    ("inputs", "mode"),
    [
        (parameters(), "parameters"),
        ({"cname": "r", "agent": {"agentId": "a", "userId": "u"}}, "agent"),
        ({"cname": "r", "llm": {"enableAgent": True, "agentParam": {}}}, "agent+parameters"),
    ],
)
def test_the_mode_is_an_output(runs: Runs, inputs: dict[str, object], mode: str) -> None:
    assert create(inputs, runs.next(Service(create=reply(**CREATED)))).outputs["mode"] == mode


def test_the_intent_is_on_disk_before_the_request_and_the_result_before_the_answer(runs: Runs) -> None:
    seen: list[RecordState] = []

    def answer() -> httpx.Response:
        seen.extend(record.state for record in run.journal.records(OWNER))
        return created()

    run = runs.next(Service(create=answer))
    create(OWNED, run)
    (record,) = run.journal.records(OWNER)
    assert seen == [RecordState.ASKED]
    assert (record.state, record.task, record.handed) == (RecordState.OPEN, "7/2a78", True)


@pytest.mark.parametrize("answer", [httpx.ReadTimeout, httpx.ReadError, reply(500), reply(code=200), reply(code=431)])
def test_a_lost_create_names_its_ids_is_not_repeated_and_stays_in_the_journal(runs: Runs, answer: Reply) -> None:
    service = Service(create=answer)
    run = runs.next(service)
    with pytest.raises(OutcomeUnknown) as caught:
        create({**OWNED, "requestId": "r-1"}, run)
    text = str(caught.value)
    for part in (
        "There may be an agent in the room",
        "room: keynote",
        "request id: r-1",
        f"trace id: {service.traces[0]}",
    ):
        assert part in text
    assert service.calls == ["create"]
    assert [record.state for record in run.journal.records()] == [RecordState.ASKED]


@pytest.mark.parametrize("answer", [reply(code=402), reply(code=400), reply(code=404), httpx.ConnectError])
def test_a_create_that_definitely_failed_leaves_no_record(runs: Runs, answer: Reply) -> None:
    run = runs.next(Service(create=answer))
    with pytest.raises(RtcAiError) as caught:
        create(OWNED, run)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert run.journal.records() == []


@pytest.mark.shows("safety no-connection")
def test_a_refused_create_is_repeated_with_the_same_trace_id(runs: Runs) -> None:
    service = Service(create=[reply(429), httpx.ConnectError, reply(code=416), created()])
    create(OWNED, runs.next(service))
    assert service.calls == ["create"] * 4
    assert len(set(service.traces)) == 1


def test_retries_after_too_many_requests_end_in_an_error(runs: Runs) -> None:
    with pytest.raises(RateLimited, match="too many requests"):
        create(parameters(), runs.next(Service(create=reply(429))))


def test_wait_for_room_waits_for_the_room(runs: Runs) -> None:
    missing = reply(code=404, errmsg="房间不存在")
    service = Service(create=[missing, missing, created()])
    create({**OWNED, "waitForRoom": 30.0}, runs.next(service))
    assert service.calls == ["create"] * 3
    assert len([line for line in runs.reports if "the room does not exist yet; waiting for it" in line]) == 1
    with pytest.raises(RoomNotFound):
        create(parameters(), runs.next(Service(create=missing)))


def test_an_agent_that_an_earlier_run_left_is_closed_first(runs: Runs) -> None:
    first = Service(create=created("old"))
    create(OWNED, runs.next(first))
    second = Service(create=created("new"), close=CLOSED)
    made = create(OWNED, runs.next(second))
    assert second.calls == ["close", "create"]
    assert second.bodies[0] == {"cid": 7, "taskType": 7, "taskId": "old"}
    assert made.id == "7/new"


@pytest.mark.parametrize(
    ("inputs", "asked"),
    [
        (OWNED, ["close", "create"]),
        ({**OWNED, "replaceStrategy": "start-first"}, ["create", "close"]),
        ({**OWNED, "options": {"deleteBeforeReplace": False}}, ["create", "close"]),
        ({**OWNED, "cname": "elsewhere"}, ["create", "close"]),
    ],
)
def test_a_replacement_that_looks_like_a_first_create_keeps_its_order(
    runs: Runs, inputs: dict[str, Any], asked: list[str]
) -> None:
    create(OWNED, runs.next(Service(create=created("old"))))
    service = Service(create=created("new"), close=reply(code=200, errmsg=""))
    create(inputs, runs.next(service))
    assert service.calls == asked


def test_an_old_agent_that_cannot_be_closed_does_not_fail_the_create(runs: Runs) -> None:
    create(OWNED, runs.next(Service(create=created("old"))))
    refused = Service(create=created("new"), close=reply(code=777), rooms=reply(code=200, cid=7, cname="keynote"))
    assert create({**OWNED, "replaceStrategy": "start-first"}, runs.next(refused)).id == "7/new"
    assert "the old agent (task 7/old) could not be stopped yet" in runs.reports[-1]


FORMER = "backend:urn:pulumi:dev::rooms::type::moderator"
RENAMED = {**OWNED, "options": {"formerOwners": [FORMER]}}


def with_state(run: Run, **tasks: str) -> Run:
    """A run whose stack has these tasks of room 7, by their names in the program."""
    of_type = urn_of(OWNER).rpartition("::")[0]
    agents = [StateAgent(task=f"7/{task}", urn=f"{of_type}::{name}", outputs={}) for name, task in tasks.items()]
    run.state = lambda _: StackState(agents=agents)
    return run


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_former_name_that_another_resource_has_now_is_left_alone(runs: Runs, is_lost: bool) -> None:
    """The program has kept the alias, and the engine does not use it, because the state has the own name."""
    create(OWNED, runs.next(Service(create=created("old"))))
    other = {**parameters(cname="another"), "owner": FORMER}
    if is_lost:
        lose(runs, other)
    else:
        create(other, runs.next(Service(create=created("theirs"))))
    service = Service(create=created("new"), close=CLOSED)
    run = with_state(runs.next(service), host="old", moderator="theirs")
    assert create(RENAMED, run).id == "7/new"
    assert [body["taskId"] for body in service.bodies if "taskId" in body] == ["old"]
    (record,) = run.journal.records(FORMER)
    assert record.state is (RecordState.ASKED if is_lost else RecordState.OPEN)


def test_an_alias_that_is_the_own_name_changes_nothing(runs: Runs) -> None:
    """As after a resource was renamed back, or with one list of aliases for all resources."""
    create(OWNED, runs.next(Service(create=created("old"))))
    service = Service(create=created("new"), close=CLOSED)
    inputs = {**OWNED, "options": {"formerOwners": [OWNER, FORMER]}}
    create(inputs, with_state(runs.next(service), host="old"))
    assert service.calls == ["close", "create"]


def test_what_a_killed_run_left_under_a_former_name_is_recovered_if_nothing_else_has_that_name(runs: Runs) -> None:
    lose(runs, {**OWNED, "owner": FORMER})
    create(OWNED, runs.next(Service(create=created("old"))))
    service = Service(create=[created("lost"), created("new")], close=CLOSED)
    run = with_state(runs.next(service), host="old")
    assert create({**RENAMED, "tts": {"ttsVendor": 6, "speed": 2}}, run).id == "7/new"
    assert {body["taskId"] for body in service.bodies if "taskId" in body} == {"lost", "old"}


def test_a_resource_that_is_replaced_while_it_is_renamed_stops_its_agent(runs: Runs) -> None:
    create({**OWNED, "owner": FORMER}, runs.next(Service(create=created("old"))))
    service = Service(create=created("new"), close=CLOSED)
    assert create(RENAMED, with_state(runs.next(service), moderator="old")).id == "7/new"
    assert service.calls == ["close", "create"]


def test_an_agent_that_this_run_has_found_unchanged_is_not_stopped_under_a_former_name(runs: Runs) -> None:
    """If the state cannot be read, nothing else tells that another resource has that name now."""
    create({**OWNED, "owner": FORMER}, runs.next(Service(create=created("theirs"))))
    service = Service(create=created("new"))
    run = runs.next(service)
    run.tasks_to_keep.add("7/theirs")
    create(RENAMED, run)
    assert service.calls == ["create"]


def test_an_agent_of_another_owner_is_left_alone(runs: Runs) -> None:
    create(OWNED, runs.next(Service(create=created("old"))))
    service = Service(create=created("new"))
    create({**OWNED, "owner": "other:urn"}, runs.next(service))
    create(parameters(), runs.next(Service(create=created("no owner"))))
    create(parameters(), runs.next(Service(create=created("no owner either"))))
    assert service.calls == ["create"]


def lose(runs: Runs, inputs: dict[str, object]) -> str:
    """A create whose answer is lost; returns its trace id."""
    service = Service(create=httpx.ReadTimeout)
    with pytest.raises(AnswerLost) as caught:
        create(inputs, runs.next(service))
    first, again = (
        "run `pulumi up` again; it repeats the request with the same trace id.",
        "If it fails again: check in",
    )
    assert caught.value.advice.startswith(f"{first} {again} your app whether an agent is in room ")
    return service.traces[0]


def test_a_first_request_that_is_a_duplicate_is_not_to_be_repeated(runs: Runs) -> None:
    with pytest.raises(DuplicateRequest, match="The service reports a duplicate") as caught:
        create(OWNED, runs.next(Service(create=reply(code=417))))
    assert caught.value.advice.startswith("check in your app whether an agent is in room keynote.")


def test_a_lost_create_is_repeated_with_its_ids_and_kept(runs: Runs) -> None:
    trace = lose(runs, {**OWNED, "requestId": "r-1"})
    service = Service(create=created("found"), rooms=reply(code=200, cid=7, cname="keynote"))
    made = create({**OWNED, "requestId": "r-2"}, runs.next(service))
    assert made.id == "7/found"
    assert service.calls == ["create", "rooms"]
    assert service.traces[0] == trace
    assert service.bodies[0]["requestId"] == "r-1"
    assert "there will be two agents" in runs.reports[0]
    assert trace in runs.reports[0]


@pytest.mark.parametrize("retained", [True, False])
def test_a_kept_response_is_retained_as_the_program_says_now(runs: Runs, retained: bool) -> None:
    before = {**OWNED, "options": {"retainOnDelete": not retained}}
    with pytest.raises(AnswerLost):
        create(before, runs.next(Service(create=httpx.ReadTimeout)))
    run = runs.next(Service(create=reply(**CREATED), rooms=reply(code=200, cid=CREATED["cid"], cname=OWNED["cname"])))
    create({**OWNED, "options": {"retainOnDelete": retained}}, run)
    assert [record.kept is KeepReason.RETAINED for record in run.journal.records()] == [retained]


def test_a_lost_create_of_another_configuration_is_closed(runs: Runs) -> None:
    trace = lose(runs, OWNED)
    service = Service(create=[created("found"), created("new")], close=CLOSED)
    made = create(parameters(owner=OWNER, tts={"speed": 2}), runs.next(service))
    assert service.calls == ["create", "close", "create"]
    assert service.traces[0] == trace
    assert service.traces[2] != trace
    assert made.id == "7/new"


def test_a_lost_create_in_another_room_is_repeated_in_that_room(runs: Runs) -> None:
    lose(runs, OWNED)
    service = Service(create=[created("found"), created("new")], close=CLOSED)
    create({**OWNED, "cname": "elsewhere"}, runs.next(service))
    assert [body.get("cname") for body in service.bodies] == ["keynote", None, "elsewhere"]


def test_a_response_with_a_task_closed_since_is_not_kept(runs: Runs) -> None:
    trace = lose(runs, OWNED)
    run = runs.next(Service())
    (asked,) = run.journal.records(OWNER)
    late = run.journal.add(replace(asked, trace_id=f"{trace}-9", process=run.journal.process))
    answered = run.journal.record_response(late, 7, "found")
    assert answered is not None
    run.journal.record_close("7/found")
    service = Service(create=[created("found"), created("new")])
    assert create(OWNED, runs.next(service)).id == "7/new"


def test_an_older_journal_does_not_stop_the_agent_that_the_engine_has(runs: Runs) -> None:
    """The request was repeated before, and its answer is in the state; the journal with that was lost."""
    lose(runs, OWNED)
    service = Service(create=created("found"))
    run = with_state(runs.next(service), host="found")
    outputs = {**OWNED, "appKey": "the-key", "endpoint": "http://service.test"}
    assert diff("7/found", outputs, OWNED, run).needs_recovery
    update("7/found", outputs, OWNED, run)
    assert service.calls == ["create"]
    assert not diff("7/found", outputs, OWNED, runs.next(Service())).needs_recovery


def test_a_replacement_with_an_older_journal_starts_another_agent(runs: Runs) -> None:
    """With the task of the old agent, the engine would stop the new one when it deletes the old one."""
    lose(runs, OWNED)
    service = Service(create=[created("found"), created("new")], close=CLOSED)
    run = with_state(runs.next(service), host="found")
    assert create(OWNED, run).id == "7/new"
    delete("7/found", OWNED, run)
    assert service.calls == ["create", "close", "create"]


def test_a_response_that_another_resource_has_is_left_alone(runs: Runs) -> None:
    lose(runs, OWNED)
    service = Service(create=[created("found"), created("new")])
    assert create(OWNED, with_state(runs.next(service), moderator="found")).id == "7/new"
    assert service.calls == ["create", "create"]


def test_a_duplicate_without_its_task_fails_the_create(runs: Runs) -> None:
    trace = lose(runs, OWNED)
    service = Service(create=reply(code=431))
    run = runs.next(service)
    with pytest.raises(DuplicateRequest, match="has already received this request to start the agent") as caught:
        create(OWNED, run)
    advice = caught.value.advice
    assert "run `pulumi up` again" not in advice, "it would fail the same way"
    assert advice.startswith("check in your app whether an agent is in room keynote. If it is, end the room with")
    assert "`rtcai end-room keynote`" in advice
    assert advice.endswith(f"Then run `rtcai forget {trace}`; the next `pulumi up` starts a new agent")
    assert service.calls == ["create"]
    assert [record.state for record in run.journal.records()] == [RecordState.ASKED]


def test_a_lost_create_whose_room_is_gone_is_gone_with_it(runs: Runs) -> None:
    lose(runs, OWNED)
    service = Service(create=[reply(code=404), created("new")])
    assert create(OWNED, runs.next(service)).id == "7/new"


def test_nothing_starts_next_to_an_agent_that_cannot_be_closed(runs: Runs) -> None:
    create(OWNED, runs.next(Service(create=created("old"))))
    service = Service(close=reply(code=777), rooms=reply(code=200, cid=7, cname="keynote"))
    with pytest.raises(RtcAiError, match="refused to stop the agent"):
        create(OWNED, runs.next(service))
    assert "create" not in service.calls


def test_a_task_of_another_account_is_an_error_that_names_both(runs: Runs) -> None:
    create(OWNED, runs.next(Service(create=created("old"))))
    with pytest.raises(OtherAccount, match="another-key"):
        create(OWNED, runs.next(Service(), app_key="another-key"))


def test_no_request_is_sent_once_the_engine_is_gone(runs: Runs) -> None:
    service = Service(create=created())
    run = runs.next(service, engine_lives=lambda: False)
    with pytest.raises(TakenOver, match="`pulumi` process that requested it has ended"):
        create(OWNED, run)
    assert service.calls == []
    # Nothing was sent. The next run must not repeat the request, and the journal must still have it for `rtcai
    # pending`.
    assert [(record.task, record.state) for record in run.journal.records(OWNER)] == [(None, RecordState.CLOSED)]
    later = runs.next(service)
    create(OWNED, later)
    assert service.calls == ["create"]
    assert service.traces == [later.journal.records(OWNER)[1].trace_id]


def asked_by(journal: Journal) -> Record:
    """The record of a create that a process has just sent."""
    record = Record(
        trace_id=f"t-{journal.process}",
        owner=OWNER,
        app_key="the-key",
        endpoint="http://service.test",
        room_endpoint="http://service.test",
        cname="keynote",
        request_id="r",
        digest="d",
        process=journal.process,
    )
    return journal.add(record)


def start_later(runs: Runs) -> None:
    """A later run that starts an agent of the same owner at the same time."""
    later = runs.concurrent(Service()).journal
    later.record_response(asked_by(later), 7, "later")


def test_no_request_is_sent_once_a_later_run_has_an_agent_of_its_own(runs: Runs) -> None:
    """The stack was unlocked while this run's engine still worked on it."""
    run = runs.next(service := Service())
    start_later(runs)
    with pytest.raises(TakenOver, match="a later run of this stack manages it now"):
        create(OWNED, run)
    assert service.calls == []
    assert [record.task for record in run.journal.records(OWNER) if record.is_unfinished] == ["7/later"]


def test_nothing_comes_between_the_check_for_later_runs_and_the_request(runs: Runs) -> None:
    """Not even a look at the clock: the later run begins while this one compares its end with the time."""
    run = runs.next(service := Service())
    later_runs: list[bool] = []

    def now() -> datetime:
        if not later_runs and run.journal.records(OWNER):
            later_runs.append(True)
            start_later(runs)
        return datetime.now(UTC)

    run.now = now
    with pytest.raises(TakenOver, match="a later run of this stack manages it now"):
        create(OWNED, run)
    assert later_runs
    assert service.calls == []


def test_a_late_task_is_closed_if_a_later_run_has_an_agent(runs: Runs) -> None:
    def answered() -> httpx.Response:
        start_later(runs)
        return created("mine")

    service = Service(create=answered, close=CLOSED)
    run = runs.next(service)
    with pytest.raises(TakenOver, match="stopped immediately after it had started"):
        create(OWNED, run)
    assert service.calls == ["create", "close"]
    assert [record.task for record in run.journal.records(OWNER) if record.is_unfinished] == ["7/later"]


def test_no_request_is_sent_once_another_run_owns_the_record(runs: Runs) -> None:
    def taken_over_meanwhile() -> httpx.Response:
        other = runs.concurrent(Service())
        other.journal.take_over(other.journal.records(OWNER)[0])
        return reply(429)

    service = Service(create=[taken_over_meanwhile, created()])
    with pytest.raises(TakenOver, match="a later run of this stack manages it now"):
        create(OWNED, runs.next(service))
    assert service.calls == ["create"]


@pytest.mark.shows("safety late-answer")
def test_a_task_that_a_later_run_received_too_keeps_running(runs: Runs) -> None:
    def answered_to_both() -> httpx.Response:
        later = runs.concurrent(Service())
        taken = later.journal.take_over(later.journal.records(OWNER)[0])
        assert taken is not None
        later.journal.record_response(taken, 7, "same")
        later.journal.record_return(taken, kept=KeepReason.NO)
        return created("same")

    service = Service(create=answered_to_both)
    run = runs.next(service)
    with pytest.raises(TakenOver, match="keeps running: a later run of this stack received the same task"):
        create(OWNED, run)
    assert service.calls == ["create"]
    assert [record.state for record in run.journal.records_of_task("7/same")] == [RecordState.OPEN]


@pytest.mark.shows("safety full-disk")
@pytest.mark.parametrize(("what", "left"), [("record_response", []), ("record_return", [RecordState.CLOSED])])
def test_a_task_that_cannot_be_journaled_is_closed_and_named(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, what: str, left: list[RecordState]
) -> None:
    service = Service(create=created("known"), close=CLOSED)
    run = runs.next(service)

    def full(*_: object, **__: object) -> None:
        raise JournalError("The journal cannot be used: database or disk is full.", advice="make room")

    monkeypatch.setattr(run.journal, what, full)
    with pytest.raises(JournalError, match="stopped immediately after it had started") as caught:
        create(OWNED, run)
    assert service.calls == ["create", "close"]
    assert (caught.value.facts.task, caught.value.facts.cid) == ("known", 7)
    assert [record.state for record in run.journal.records(OWNER)] == left


def test_an_agent_that_can_be_neither_recorded_nor_stopped_is_named(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(create=created("known"), close=reply(code=777), rooms=reply(code=200, cid=7, cname="big hall"))
    run = runs.next(service)

    def full(*_: object, **__: object) -> None:
        raise JournalError("The journal cannot be used: database or disk is full.", advice="make room")

    monkeypatch.setattr(run.journal, "record_response", full)
    with pytest.raises(JournalError) as caught:
        create({**OWNED, "cname": "big hall"}, run)
    assert caught.value.summary.startswith(
        "An agent is running, but it could not be recorded in the journal or stopped. The journal cannot be used"
    )
    command = "rtcai close 7/known --cname 'big hall'"
    assert caught.value.advice.startswith(f"make room. Then stop the agent with `{command}`, or ")
    assert caught.value.advice.endswith(f"`{command} --journal FILE`")


def test_an_agent_whose_engine_is_gone_is_closed_immediately(runs: Runs) -> None:
    service = Service(create=created(), close=CLOSED)
    run = runs.next(service, engine_lives=lambda: not service.calls)  # it ends while the create is sent
    with pytest.raises(TakenOver, match="stopped immediately after it had started"):
        create(OWNED, run)
    assert service.calls == ["create", "close"]
    assert [record.state for record in run.journal.records()] == [RecordState.CLOSED]


def test_a_late_task_of_a_taken_over_record_gets_its_own_record(runs: Runs) -> None:
    def taken_over_meanwhile() -> httpx.Response:
        other = runs.concurrent(Service())
        other.journal.take_over(other.journal.records(OWNER)[0])
        return created("late")

    service = Service(create=taken_over_meanwhile, close=CLOSED)
    run = runs.next(service)
    with pytest.raises(TakenOver):
        create(OWNED, run)
    assert service.calls == ["create", "close"]
    states = {record.task: record.state for record in run.journal.records(OWNER)}
    assert states == {None: RecordState.ASKED, "7/late": RecordState.CLOSED}


def test_a_create_of_another_running_process_is_waited_for(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old process gets its answer while the new one waits. Its engine is gone, so it closes the task itself."""
    old = runs.next(Service()).journal
    intent = asked_by(old)
    service = Service(create=created("new"))
    run = runs.concurrent(service)

    def sleep(seconds: float) -> None:
        runs.now += seconds
        if runs.now > 1 and (answered := old.record_response(intent, 7, "old")):
            old.record_close(str(answered.task))

    run.sleep = sleep
    monkeypatch.setattr(run.journal, "is_running", lambda _: True)  # within one process, locks show nothing
    assert create(OWNED, run).id == "7/new"
    assert service.calls == ["create"]
    assert runs.now < 5


def test_a_running_task_is_adopted_instead_of_starting_one(runs: Runs) -> None:
    service = Service(rooms=reply(code=200, cid=7, cname="keynote"))
    run = runs.next(service)
    made = create({**OWNED, "adopt": "7/by-hand"}, run)
    assert made.id == "7/by-hand"
    assert service.calls == ["rooms"]
    (record,) = run.journal.records(OWNER)
    assert (record.state, record.task) == (RecordState.OPEN, "7/by-hand")


@pytest.mark.parametrize("room", [reply(code=404), reply(code=200, cid=8, cname="keynote")])
def test_a_task_whose_room_is_gone_cannot_be_adopted(runs: Runs, room: httpx.Response) -> None:
    with pytest.raises(RoomNotFound, match="Task 7/by-hand cannot be adopted: room keynote"):
        create({**OWNED, "adopt": "7/by-hand"}, runs.next(Service(rooms=room)))


def test_a_task_that_was_managed_before_is_not_adopted_again(runs: Runs) -> None:
    create({**OWNED, "adopt": "7/by-hand"}, runs.next(Service(rooms=reply(code=200, cid=7, cname="keynote"))))
    service = Service(close=CLOSED, create=created("new"))
    assert create({**OWNED, "adopt": "7/by-hand"}, runs.next(service)).id == "7/new"
    assert service.calls == ["close", "create"]


def test_a_separate_room_api_is_an_output(runs: Runs) -> None:
    derived = create(parameters(), runs.next(Service(create=created())))
    started = create(parameters(), runs.next(Service(create=created("x")), room_endpoint="http://other.test"))
    assert "roomEndpoint" not in derived.outputs
    assert started.outputs["roomEndpoint"] == "http://other.test"


@pytest.mark.shows("safety kill-in-adopt")
def test_an_interrupted_adoption_leaves_no_second_agent(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Journal.add

    def killed_after_it(journal: Journal, record: Record) -> Record:
        add(journal, record)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "add", killed_after_it)
    with pytest.raises(KeyboardInterrupt):
        create({**OWNED, "adopt": "7/by-hand"}, runs.next(Service(rooms=reply(code=200, cid=7, cname="keynote"))))
    monkeypatch.undo()
    service = Service(create=created("new"), close=CLOSED)
    assert create({**OWNED, "adopt": "7/by-hand"}, runs.next(service)).id == "7/new"
    assert service.calls == ["close", "create"]


def test_an_adoption_waits_for_a_busy_service(runs: Runs) -> None:
    busy: list[Reply] = [reply(429), httpx.ReadError, reply(503), reply(code=200, cid=7, cname="keynote")]
    assert create({**OWNED, "adopt": "7/by-hand"}, runs.next(Service(rooms=busy))).id == "7/by-hand"


@pytest.mark.shows("safety adopt-of-another")
def test_a_task_of_another_resource_is_not_adopted_with_a_warning(runs: Runs) -> None:
    create({**OWNED, "owner": "backend:another"}, runs.next(Service(create=created("theirs"))))
    service = Service(create=created("mine"))
    assert create({**OWNED, "adopt": "7/theirs"}, runs.next(service)).id == "7/mine"
    assert service.calls == ["create"]
    (warning,) = runs.reports
    assert "adopt is ignored and a new agent is started, because task 7/theirs belongs to " in warning
    assert "or keep the old one: run `rtcai release 7/theirs`, then `pulumi up --replace " in warning


def test_a_task_adopted_according_to_the_state_is_not_adopted_again(runs: Runs) -> None:
    service = Service(create=created("new"))
    run = runs.next(service)
    outputs = {**OWNED, "adopt": "7/by-hand", "appKey": "the-key", "endpoint": "http://service.test"}
    diff("7/later", outputs, {**parameters(cname="elsewhere"), "adopt": "7/by-hand"}, run)
    assert create({**OWNED, "adopt": "7/by-hand"}, run).id == "7/new"
    assert service.calls == ["create"]


def test_a_task_in_the_state_is_not_adopted_again_by_a_journal_that_does_not_know_it(runs: Runs) -> None:
    service = Service(create=created("new"))
    assert create({**OWNED, "adopt": "7/by-hand"}, with_state(runs.next(service), host="by-hand")).id == "7/new"
    assert service.calls == ["create"]
    assert runs.reports == []


def test_a_task_that_the_state_has_for_another_resource_is_not_adopted_with_a_warning(runs: Runs) -> None:
    service = Service(create=created("new"))
    create({**OWNED, "adopt": "7/by-hand"}, with_state(runs.next(service), moderator="by-hand"))
    assert service.calls == ["create"]
    (warning,) = runs.reports
    assert "because task 7/by-hand belongs to urn:pulumi:dev::rooms::type::moderator." in warning


def test_a_retained_agent_is_adopted_in_the_run_that_removes_its_resource(runs: Runs) -> None:
    service = Service(rooms=reply(code=200, cid=7, cname="keynote"))
    run = runs.next(service)
    retained = StateAgent(task="7/kept", urn=urn_of(FORMER), outputs={"options": {"retainOnDelete": True}})
    run.state = lambda _: StackState(agents=[retained])
    assert create({**OWNED, "adopt": "7/kept"}, run).id == "7/kept"


def test_an_agent_that_was_adopted_again_is_not_stopped_with_the_old_resource(runs: Runs) -> None:
    """On another machine, if the state cannot be read."""
    service = Service(rooms=reply(code=200, cid=7, cname="keynote"))
    run = runs.next(service)
    made = create({**OWNED, "adopt": "7/by-hand"}, run)
    delete(made.id, made.outputs, run)
    assert service.calls == ["rooms"]


def test_every_other_agent_in_the_room_is_named(runs: Runs) -> None:
    create({**OWNED, "owner": "backend:urn:theirs"}, runs.next(Service(create=created("theirs"))))
    with pytest.raises(AnswerLost):
        create({**OWNED, "owner": "backend:urn:lost"}, runs.next(Service(create=httpx.ReadError)))
    create({**parameters(cname="another"), "owner": "backend:urn:another"}, runs.next(Service(create=created("x", 8))))
    runs.reports.clear()
    create(OWNED, runs.next(Service(create=created("mine"))))
    theirs, lost = runs.reports
    assert "task 7/theirs of urn:theirs" in theirs
    assert "a request to start the agent of urn:lost (trace id " in lost
    assert ") got no response. If no program declares that resource any more" in lost


def test_only_a_create_after_a_stop_reports_a_room_without_agent(runs: Runs) -> None:
    refusing = Service(create=reply(code=611), close=CLOSED)
    with pytest.raises(NotPermitted) as first:
        create(OWNED, runs.next(refusing))
    assert "has no agent now" not in str(first.value)
    made = create(OWNED, runs.next(Service(create=created())))
    for answer, words in (
        (reply(code=611), "The room has no agent now, because the old one was stopped before."),
        (httpx.ReadError, "There may be an agent in the room that no stack manages. The old agent was stopped before."),
    ):
        run = runs.next(Service(create=answer, close=CLOSED))
        delete(made.id, made.outputs, run)
        with pytest.raises(RtcAiError) as second:
            create(OWNED, run)
        assert words in str(second.value)
        made = create(OWNED, runs.next(Service(create=created("next"), close=CLOSED)))
