"""`update` with a journal that did not know the agent."""

import pytest

from rtcai_pulumi.lifecycle.update import update
from tests.unit.lifecycle.fakes import Runs, Service
from tests.unit.lifecycle.test_end_time import BEFORE, END, LATER, OPEN_ROOM, at, inputs, started


@pytest.mark.parametrize(("before", "after", "warns"), [(END, LATER, True), (END, END, False), (None, LATER, False)])
def test_an_end_that_is_moved_with_another_journal_is_still_in_the_first_one(
    runs: Runs, before: str | None, after: str, warns: bool
) -> None:
    outputs = started(runs, before)
    run = runs.next(Service(rooms=OPEN_ROOM))
    for record in run.journal.records():
        run.journal.drop(record)  # as if the agent had been started on another machine
    update("7/t", outputs, inputs(after), at(BEFORE, run))
    assert any("its agent was started with another journal" in line for line in runs.reports) is warns
    assert [record.ends_at for record in run.journal.records()] == [after]
