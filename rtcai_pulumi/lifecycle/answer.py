"""What becomes of the answer to a request for an agent: written down, or closed where nobody waits for it any more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtcai_pulumi.lifecycle.record import Record, State
from rtcai_pulumi.service.errors import Facts, TakenOver

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.run import Run


def note_answer(record: Record, cid: int, task_id: str, run: Run) -> Record:
    """Write the task that the service has just named into the record that was asked with.

    Raises:
        TakenOver: another run answers for the record now, or the engine is gone; the task has been closed again.
        RtcAiError: the same, and the task could not be closed; the journal holds it.
    """
    answered = run.journal.answered(record, cid, task_id)
    if answered is not None and run.engine_lives():
        return answered
    if answered is None:
        # The record is another run's now. What this request started gets a record of its own, so that the other run
        # sees it closed where the service repeats its answer.
        trace_id = f"{record.trace_id}-{run.journal.process}"
        orphan = replace(
            record, trace_id=trace_id, process=run.journal.process, state=State.OPEN, cid=cid, task_id=task_id
        )
        answered = run.journal.add(orphan)
    run.close(answered)
    reason = "another run has taken it over" if run.engine_lives() else "the engine that asked for it is gone"
    facts = Facts(room=record.cname, cid=cid, task=task_id, trace_id=record.trace_id)
    message = f"The agent was stopped as soon as it had started: {reason}."
    raise TakenOver(message, facts)
