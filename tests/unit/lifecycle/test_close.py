"""Closing a task that only the user knows; `test_delete` has the rules of the other closes."""

from dataclasses import replace

import pytest

from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.close import close_unrecorded_task
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.service.errors import RoomNotFound, ServerFailed
from tests.unit.lifecycle.fakes import Runs, Service, add_open_task, reply

NO_TASK = reply(code=404, errmsg="task does not exist")
NO_ROOM = reply(code=404, errmsg="room does not exist")
REFUSED = reply(code=414, errmsg="wrong signature")


def states(run: Run) -> list[RecordState]:
    return [record.state for record in run.journal.records()]


def named_by_user(run: Run) -> Record:
    """A record as `rtcai close --cname` makes it, for a task that the journal does not know."""
    record = add_open_task(run, "task", "")
    run.journal.drop(record)
    return replace(record, state=RecordState.CLOSING)


def test_a_user_s_task_that_is_gone_is_recorded_as_closed(runs: Runs) -> None:
    run = runs.next(Service(close=NO_TASK))
    close_unrecorded_task(named_by_user(run), run)
    assert states(run) == [RecordState.CLOSED]


def test_a_missing_room_of_a_user_s_task_must_be_confirmed(runs: Runs) -> None:
    run = runs.next(Service(close=NO_ROOM, rooms=REFUSED))
    with pytest.raises(RoomNotFound):
        close_unrecorded_task(named_by_user(run), run)
    assert states(run) == []
    run = runs.next(Service(close=NO_ROOM, rooms=NO_ROOM))
    close_unrecorded_task(named_by_user(run), run)
    assert states(run) == [RecordState.CLOSED]


def test_an_unknown_outcome_keeps_the_record_of_a_user_s_task(runs: Runs) -> None:
    run = runs.next(Service(close=reply(500)))
    with pytest.raises(ServerFailed):
        close_unrecorded_task(named_by_user(run), run)
    assert states(run) == [RecordState.CLOSING]
