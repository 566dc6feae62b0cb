"""The end of an agent, in every verb: nothing that is over is started, and it stays in the state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.config.values import UNKNOWN
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import NOBODY, KeepReason, Record, RecordState, RoomRecord, StackState, StateAgent
from rtcai_pulumi.lifecycle.close import close_task, close_task_unless_changed
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.lifecycle.diff import Difference, diff
from rtcai_pulumi.lifecycle.end_time import describe_end, describe_span, has_ended, may_stop
from rtcai_pulumi.lifecycle.foresee import foresee
from rtcai_pulumi.lifecycle.read import read
from rtcai_pulumi.lifecycle.room import create_room, diff_room, foresee_room, read_room, update_room
from rtcai_pulumi.lifecycle.update import update
from rtcai_pulumi.service.errors import EndBeforeStart, EndPassed, RtcAiError, TakenOver
from tests.samples import parameters
from tests.unit.lifecycle.fakes import Runs, Service, add_lost_create, add_open_task, reply

OWNER = "backend:urn:pulumi:dev::rooms::type::host"
NOON = datetime(2026, 10, 13, 12, tzinfo=UTC)
END = "2026-10-13T18:00:00Z"
LATER = "2026-10-13T21:00:00Z"
BEFORE, AFTER = NOON, NOON + timedelta(hours=7)
CREATED = reply(code=200, requestId="r", cid=7, result={"taskId": "t"})
CLOSED = reply(code=200, errmsg="")
OPEN_ROOM = reply(code=200, cid=7, cname="keynote")
NO_ROOM = reply(404, code=404)


def inputs(ends_at: str | None = END, **more: Any) -> dict[str, Any]:
    return parameters(owner=OWNER, **({"endsAt": ends_at} if ends_at else {}), **more)


def at(time: datetime, run: Run) -> Run:
    """The run, at a time of the clock."""
    run.now = lambda: time
    return run


def started(runs: Runs, ends_at: str | None = END) -> dict[str, Any]:
    """The outputs of an agent that a run started at noon."""
    return create(inputs(ends_at), at(NOON, runs.next(Service(create=CREATED)))).outputs


def stopped(runs: Runs, ends_at: str | None = END) -> dict[str, Any]:
    """The outputs of an agent that was started at noon and stopped since."""
    outputs = started(runs, ends_at)
    run = runs.next(Service(close=CLOSED))
    (record,) = run.journal.records()
    close_task(record, run)
    return outputs


def difference(olds: dict[str, Any], news: dict[str, Any], run: Run) -> Difference:
    return diff("7/t", olds, news, run)


NO_CHANGE = Difference()


@pytest.mark.parametrize(
    ("ends_at", "now", "ended"),
    [(END, BEFORE, False), (END, datetime(2026, 10, 13, 18, tzinfo=UTC), True), (END, AFTER, True), ("", AFTER, False)],
)
def test_an_end_has_passed_from_its_moment_on(ends_at: str, now: datetime, ended: bool) -> None:
    assert has_ended(ends_at, now) is ended


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (7830, "2 h 10 min"),
        (90061, "1 d 1 h"),
        (86400, "1 d"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float, said: str) -> None:
    assert describe_span(seconds) == said


def test_an_end_is_described_from_now() -> None:
    assert describe_end(END, NOON) == "ends in 6 h"
    assert describe_end(END, AFTER) == "over for 1 h"
    assert describe_end("", NOON) == ""


# create


def test_the_journal_has_the_end_in_utc(runs: Runs) -> None:
    outputs = started(runs, "2026-10-13T20:00:00+02:00")
    (record,) = runs.next(Service()).journal.records()
    assert record.ends_at == END
    assert outputs["endsAt"] == "2026-10-13T20:00:00+02:00"


def test_the_end_is_never_sent(runs: Runs) -> None:
    service = Service(create=CREATED)
    create(inputs(), at(NOON, runs.next(service)))
    (body,) = service.bodies
    assert "endsAt" not in str(body)
    assert END not in str(body)


def test_a_create_after_the_end_sends_nothing_and_says_why(runs: Runs) -> None:
    service = Service()
    with pytest.raises(EndPassed) as refused:
        create(inputs(), at(AFTER, runs.next(service)))
    assert service.calls == []
    assert "endsAt, was 2026-10-13T18:00:00Z (over for 1 h)" in refused.value.summary
    assert "set endsAt (Python: ends_at) to a later time, or remove it" in refused.value.advice
    assert refused.value.facts.room == "keynote"


def test_a_wait_for_the_room_ends_with_the_agent_s_time(runs: Runs) -> None:
    service = Service(create=NO_ROOM)
    run = runs.next(service)
    run.now = lambda: NOON + timedelta(hours=5, minutes=59, seconds=50 + runs.now)
    with pytest.raises(EndPassed):
        create(inputs(waitForRoom=600), run)
    assert 8 < runs.now < 20
    assert run.journal.records() == []


def test_a_create_after_the_end_stops_what_a_killed_run_left(runs: Runs) -> None:
    add_lost_create(runs.next(Service()), OWNER)
    service = Service(create=CREATED, close=CLOSED, rooms=OPEN_ROOM)
    run = at(AFTER, runs.next(service))
    with pytest.raises(EndPassed):
        create(inputs(), run)
    assert service.calls == ["create", "close"]
    assert [record.state for record in run.journal.records()] == [RecordState.CLOSED]


def test_a_replace_of_an_agent_that_is_over_is_refused_and_leaves_it_alone(runs: Runs) -> None:
    started(runs)
    service = Service()
    run = at(AFTER, runs.next(service))
    with pytest.raises(EndPassed):
        create(inputs(), run)
    assert service.calls == []
    assert [record.state for record in run.journal.records()] == [RecordState.OPEN]


def test_a_response_that_is_kept_gets_the_end_of_today_s_program(runs: Runs) -> None:
    record = Record.for_create(
        *_agent(LATER), runs.next(Service()).journal.process, iter(["trace", "request"]).__next__
    )
    runs.next(Service()).journal.add(record)
    run = at(NOON, runs.next(Service(create=CREATED, rooms=OPEN_ROOM)))
    create(inputs(END), run)
    (kept,) = run.journal.records()
    assert (kept.trace_id, kept.ends_at) == ("trace", END)


def _agent(ends_at: str) -> tuple[Any, Any]:
    return DesiredAgent(inputs(ends_at)), Service().client().settings


def test_an_agent_in_a_room_that_a_sweep_is_ending_is_stopped_again(runs: Runs) -> None:
    service = Service(create=CREATED, close=CLOSED)
    run = at(NOON, runs.next(service))
    room = RoomRecord(app_key="the-key", room_endpoint="http://service.test", cid=7, cname="keynote", owner=NOBODY)
    run.journal.record_room(room)
    with pytest.raises(TakenOver, match="is ending its room"):
        create(inputs(), run)
    assert service.calls == ["create", "close"]
    assert [record.state for record in run.journal.records()] == [RecordState.CLOSED]


def test_nothing_is_started_while_a_sweep_stops_the_old_agent(runs: Runs) -> None:
    started(runs)
    service = Service(create=CREATED)
    run = at(AFTER, runs.next(service))
    sweeper = runs.concurrent(Service())
    (old,) = run.journal.records()
    assert sweeper.journal.begin_close_unless_changed(old)
    with pytest.raises(TakenOver, match="another command is stopping the old agent"):
        create(inputs(LATER), run)
    assert service.calls == []
    sweeper.journal.record_close("7/t")
    create(inputs(LATER), run)
    assert service.calls == ["create"]


# diff


def test_an_agent_that_was_stopped_before_its_end_is_started_again(runs: Runs) -> None:
    outputs = stopped(runs)
    assert difference(outputs, inputs(), at(BEFORE, runs.next(Service()))).replaces == ("taskId",)


def test_an_agent_that_was_stopped_and_is_over_is_not_a_change(runs: Runs) -> None:
    outputs = stopped(runs)
    assert difference(outputs, inputs(), at(AFTER, runs.next(Service()))) == NO_CHANGE


def test_an_agent_that_is_over_and_unknown_to_this_journal_is_not_a_change(runs: Runs, tmp_path: Path) -> None:
    outputs = started(runs)
    runs.location = tmp_path / "another.db"
    assert difference(outputs, inputs(), at(AFTER, runs.next(Service()))) == NO_CHANGE


def test_an_agent_that_is_over_and_being_stopped_is_not_a_change(runs: Runs) -> None:
    outputs = started(runs)
    run = runs.next(Service())
    run.journal.begin_close(run.journal.records()[0])
    assert difference(outputs, inputs(), at(AFTER, runs.next(Service()))) == NO_CHANGE


def test_a_changed_configuration_of_an_agent_that_is_over_starts_nothing_and_is_reported(runs: Runs) -> None:
    outputs = stopped(runs)
    news = inputs(tts={"speed": 2})
    assert difference(outputs, news, at(AFTER, runs.next(Service()))) == NO_CHANGE
    (line,) = runs.reports[-1:]
    assert "room keynote: its agent is over for 1 h, so the change of tts starts nothing" in line


def test_an_agent_that_is_over_and_still_runs_is_reported_with_the_command(runs: Runs) -> None:
    outputs = started(runs)
    difference(outputs, inputs(), at(AFTER, runs.next(Service())))
    assert "may still be running; `rtcai sweep --over --all` stops it" in runs.reports[-1]


def test_an_agent_that_no_sweep_stops_is_not_reported(runs: Runs) -> None:
    outputs = started(runs)
    run = at(AFTER, runs.next(Service()))
    run.journal.claim("7/t", owner=OWNER, kept=KeepReason.REFUSED, ends_at=END)
    difference(outputs, inputs(), run)
    assert not any("may still be running" in line for line in runs.reports)


@pytest.mark.parametrize("ends_at", [LATER, None], ids=["extended", "removed"])
def test_an_extended_end_starts_an_agent_if_it_was_stopped(runs: Runs, ends_at: str | None) -> None:
    outputs = stopped(runs)
    assert difference(outputs, inputs(ends_at), at(AFTER, runs.next(Service()))).replaces == ("taskId",)


@pytest.mark.parametrize("stop", [True, False], ids=["stopped", "still running"])
def test_an_end_that_is_not_known_yet_is_an_update(runs: Runs, stop: bool) -> None:
    outputs = stopped(runs) if stop else started(runs)
    service = Service()
    found = difference(outputs, {**inputs(None), "endsAt": UNKNOWN}, at(AFTER, runs.next(service)))
    assert (found.replaces, found.needs_recovery) == ((), True)
    assert service.calls == []


@pytest.mark.parametrize("ends_at", [LATER, None], ids=["extended", "removed"])
def test_an_extended_end_keeps_an_agent_that_still_runs(runs: Runs, ends_at: str | None) -> None:
    outputs = started(runs)
    service = Service(rooms=OPEN_ROOM)
    run = at(AFTER, runs.next(service))
    run.known_settings = lambda: run.client.settings
    found = difference(outputs, inputs(ends_at), run)
    assert (found.replaces, found.needs_recovery) == ((), True)


def test_an_extended_end_starts_an_agent_whose_room_is_gone(runs: Runs) -> None:
    outputs = started(runs)
    run = at(AFTER, runs.next(Service(rooms=NO_ROOM)))
    run.known_settings = lambda: run.client.settings
    assert difference(outputs, inputs(LATER), run).replaces == ("taskId",)


def test_an_extended_end_of_an_agent_that_this_journal_does_not_know_starts_one(runs: Runs, tmp_path: Path) -> None:
    outputs = started(runs)
    runs.location = tmp_path / "another.db"
    assert difference(outputs, inputs(LATER), at(AFTER, runs.next(Service()))).replaces == ("taskId",)


def test_a_configuration_changed_while_it_was_over_is_found_when_the_end_is_extended(runs: Runs) -> None:
    outputs = started(runs)
    news = inputs(END, tts={"speed": 2})
    run = at(AFTER, runs.next(Service(rooms=OPEN_ROOM)))
    run.known_settings = lambda: run.client.settings
    assert difference(outputs, news, run) == NO_CHANGE
    stored = update("7/t", outputs, inputs("2026-10-13T18:30:00Z", tts={"speed": 2}), run)
    assert (stored["endsAt"], stored["tts"]) == ("2026-10-13T18:30:00Z", outputs["tts"])
    assert difference(stored, inputs(LATER, tts={"speed": 2}), run).replaces == ("tts",)


@pytest.mark.parametrize("ends_at", [LATER, None, "2026-10-13T15:00:00Z"], ids=["extended", "removed", "shortened"])
def test_a_changed_end_alone_is_an_update_that_starts_and_stops_nothing(runs: Runs, ends_at: str | None) -> None:
    outputs = started(runs)
    service = Service()
    run = at(BEFORE, runs.next(service))
    found = difference(outputs, inputs(ends_at), run)
    assert (found.replaces, found.needs_recovery) == ((), True)
    stored = update("7/t", outputs, inputs(ends_at), run)
    assert service.calls == []
    assert run.journal.records()[0].ends_at == (ends_at or "")
    assert difference(stored, inputs(ends_at), run) == NO_CHANGE


def test_another_form_of_the_same_end_is_not_a_change(runs: Runs) -> None:
    outputs = started(runs)
    assert difference(outputs, inputs("2026-10-13T20:00:00+02:00"), at(BEFORE, runs.next(Service()))) == NO_CHANGE


def test_an_end_before_the_start_is_refused_with_its_path(runs: Runs) -> None:
    outputs = started(runs)
    with pytest.raises(EndBeforeStart, match="endsAt: 2025-10-13T18:00:00Z is before the start of the agent, 2026-"):
        difference(outputs, inputs("2025-10-13T18:00:00Z"), at(BEFORE, runs.next(Service())))


def test_an_end_that_was_stored_before_is_not_refused(runs: Runs) -> None:
    outputs = {**started(runs), "endsAt": "2025-10-13T18:00:00Z"}
    assert not difference(outputs, inputs("2025-10-13T18:00:00Z"), at(BEFORE, runs.next(Service()))).replaces


@pytest.mark.parametrize(("hours", "said"), [(5, True), (4.9, False), (6, False)])
def test_an_agent_that_ends_within_the_hour_is_named(runs: Runs, hours: float, said: bool) -> None:
    outputs = started(runs)
    runs.reports.clear()
    difference(outputs, inputs(), at(NOON + timedelta(hours=hours), runs.next(Service())))
    assert ("room keynote: its agent ends in 1 h (endsAt 2026-10-13T18:00:00Z)" in runs.reports) is said


def test_a_new_agent_that_ends_within_the_hour_is_named(runs: Runs) -> None:
    create(inputs("2026-10-13T12:30:00Z"), at(NOON, runs.next(Service(create=CREATED))))
    assert runs.reports == ["room keynote: its agent ends in 30 min (endsAt 2026-10-13T12:30:00Z)"]


# update, read, delete, foresee


def test_an_update_that_loses_against_a_sweep_fails(runs: Runs) -> None:
    outputs = started(runs)
    sweeper = runs.next(Service(close=CLOSED))
    (record,) = sweeper.journal.records()
    run = at(AFTER, runs.concurrent(Service(rooms=OPEN_ROOM)))
    assert difference(outputs, inputs(LATER), run).replaces == ()
    assert close_task_unless_changed(record, sweeper)
    with pytest.raises(TakenOver, match="stopped while its end was being moved"):
        update("7/t", outputs, inputs(LATER), run)
    assert difference(outputs, inputs(LATER), run).replaces == ("taskId",)


def test_an_update_that_loses_against_a_sweep_fails_if_the_journal_alone_has_the_end(runs: Runs) -> None:
    outputs = {name: value for name, value in started(runs).items() if name != "endsAt"}
    sweeper = runs.next(Service(close=CLOSED))
    (record,) = sweeper.journal.records()
    run = at(AFTER, runs.concurrent(Service()))
    assert close_task_unless_changed(record, sweeper)
    with pytest.raises(TakenOver, match="stopped while its end was being moved"):
        update("7/t", outputs, inputs(None), run)


def test_a_sweep_that_loses_against_an_update_sends_nothing(runs: Runs) -> None:
    outputs = started(runs)
    service = Service()
    sweeper = runs.next(service)
    (record,) = sweeper.journal.records()
    update("7/t", outputs, inputs(LATER), at(AFTER, runs.concurrent(Service(rooms=OPEN_ROOM))))
    assert not close_task_unless_changed(record, sweeper)
    assert service.calls == []
    assert sweeper.journal.records()[0].state is RecordState.OPEN


def test_a_close_that_is_refused_leaves_the_record_as_it_was(runs: Runs) -> None:
    started(runs)
    run = runs.next(Service(close=reply(code=611), rooms=OPEN_ROOM))
    (record,) = run.journal.records()
    with pytest.raises(RtcAiError):
        close_task_unless_changed(record, run)
    assert run.journal.records()[0].state is RecordState.OPEN


@pytest.mark.parametrize("answer", [OPEN_ROOM, NO_ROOM], ids=["room open", "room gone"])
def test_a_refresh_keeps_an_agent_that_is_over(runs: Runs, answer: httpx.Response) -> None:
    outputs = started(runs)
    assert not read("7/t", outputs, at(AFTER, runs.next(Service(rooms=answer)))).gone


def test_a_refresh_keeps_an_agent_that_is_over_and_was_stopped_without_a_request(runs: Runs) -> None:
    outputs = stopped(runs)
    service = Service()
    assert not read("7/t", outputs, at(AFTER, runs.next(service))).gone
    assert service.calls == []
    assert read("7/t", outputs, at(BEFORE, runs.next(service))).gone


def test_a_delete_of_an_agent_that_was_stopped_sends_nothing(runs: Runs) -> None:
    outputs = stopped(runs)
    service = Service()
    delete("7/t", outputs, at(AFTER, runs.next(service)))
    assert service.calls == []


def test_a_first_create_of_an_agent_that_is_over_fails_its_check(runs: Runs) -> None:
    assert foresee(inputs(), at(BEFORE, runs.next(Service()))) == []
    run = at(AFTER, runs.next(Service()))
    (problem,) = foresee(inputs(), run)
    assert str(problem).startswith("endsAt: is 2026-10-13T18:00:00Z (over for 1 h), and an agent is not started after")
    run.destroys_stack = True
    assert foresee(inputs(), run) == []
    assert runs.reports == []


def test_a_lost_create_of_an_agent_that_is_over_is_left_to_create(runs: Runs) -> None:
    add_lost_create(runs.next(Service()), OWNER)
    assert foresee(inputs(), at(AFTER, runs.next(Service()))) == []
    (line,) = runs.reports
    assert line.startswith("warning: room keynote: endsAt is 2026-10-13T18:00:00Z (over for 1 h), and an earlier")


@pytest.mark.parametrize("in_state", [True, False])
def test_a_replacement_of_an_agent_that_is_over_is_refused_before_anything_is_deleted(
    runs: Runs, in_state: bool
) -> None:
    agent = StateAgent(task="7/t", urn=urn_of(OWNER), outputs={})
    run = at(AFTER, runs.next(Service()))
    run.state = lambda _: StackState(agents=[agent] if in_state else [])
    problems = [str(problem) for problem in foresee(inputs(), run)]
    assert [problem.startswith("endsAt: was 2026-10-13T18:00:00Z (over for 1 h)") for problem in problems] == [in_state]
    assert runs.reports == []
    assert foresee(inputs(), at(BEFORE, run)) == []


# the room of an event

ROOM = {"cname": "keynote", "takeOver": True, "owner": OWNER, "endsAt": END}


OPENED = {**ROOM, "cid": "7", "appKey": "the-key", "roomEndpoint": "http://service.test"}
"""The outputs of that room in the state."""


def test_a_room_whose_agent_is_over_is_not_opened(runs: Runs) -> None:
    service = Service()
    with pytest.raises(EndPassed):
        create_room(ROOM, at(AFTER, runs.next(service)))
    assert service.calls == []


def test_a_first_create_of_a_room_whose_agent_is_over_fails_its_check(runs: Runs) -> None:
    run = at(AFTER, runs.next(Service()))
    (problem,) = foresee_room(ROOM, run)
    assert str(problem).startswith("endsAt: is 2026-10-13T18:00:00Z (over for 1 h), and a room is not opened after")
    assert foresee_room(ROOM, at(BEFORE, run)) == []


def end_room(run: Run) -> None:
    room = RoomRecord(app_key="the-key", room_endpoint="http://service.test", cid=7, cname="keynote", owner=NOBODY)
    run.journal.record_room(room)


def test_a_room_that_was_ended_after_its_agent_stays_ended(runs: Runs) -> None:
    run = at(AFTER, runs.next(Service(rooms=NO_ROOM)))
    end_room(run)
    assert diff_room("7", OPENED, ROOM, run) == (False, [])
    assert not read_room(OPENED, run).gone
    assert diff_room("7", OPENED, {**ROOM, "endsAt": UNKNOWN}, run) == (True, [])
    assert diff_room("7", OPENED, {**ROOM, "endsAt": LATER}, run) == (True, ["cid"])
    assert diff_room("7", OPENED, ROOM, at(BEFORE, run)) == (True, ["cid"])
    assert read_room(OPENED, run).gone


def test_a_changed_end_of_an_ended_room_does_not_make_it_open(runs: Runs) -> None:
    run = at(AFTER, runs.next(Service()))
    end_room(run)
    earlier = {**ROOM, "endsAt": "2026-10-13T17:00:00Z", "cname": "other"}
    assert diff_room("7", OPENED, earlier, run) == (True, [])
    stored = update_room("7", OPENED, earlier, run)
    assert (stored["endsAt"], stored["cname"]) == ("2026-10-13T17:00:00Z", "keynote")
    assert diff_room("7", stored, {**ROOM, "endsAt": LATER}, run) == (True, ["cid"])


def test_an_extended_end_opens_a_room_that_has_ended_by_itself(runs: Runs) -> None:
    run = at(AFTER, runs.next(Service(rooms=NO_ROOM)))
    run.known_settings = lambda: run.client.settings
    assert diff_room("7", OPENED, {**ROOM, "endsAt": LATER}, run) == (True, ["cid"])
    run.connect = lambda: Service(rooms=OPEN_ROOM).client()
    assert diff_room("7", OPENED, {**ROOM, "endsAt": LATER}, run) == (True, [])


# sweep


@pytest.mark.parametrize("kept", [KeepReason.NO, KeepReason.RETAINED, KeepReason.DISOWNED])
def test_a_sweep_stops_what_is_over_after_the_grace(runs: Runs, kept: KeepReason) -> None:
    record = replace(add_open_task(runs.next(Service()), "t", OWNER), ends_at=END, kept=kept)
    assert not may_stop(record, BEFORE)
    assert may_stop(record, AFTER)
    assert may_stop(record, AFTER, timedelta(hours=1))
    assert not may_stop(record, AFTER, timedelta(hours=1, seconds=1))
    assert not may_stop(replace(record, state=RecordState.CLOSED), AFTER)
    assert not may_stop(replace(record, kept=KeepReason.REFUSED), AFTER)
    assert not may_stop(replace(record, ends_at=""), AFTER)
