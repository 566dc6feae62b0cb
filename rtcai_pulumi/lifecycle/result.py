"""Handles the response to a create: journals it, or closes the task if no process waits for it any more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtcai_pulumi.journal.record import Kept, Record, State
from rtcai_pulumi.lifecycle.recovery_rules import is_taken_care_of
from rtcai_pulumi.service.errors import Facts, JournalError, RtcAiError, TakenOver

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


def note_answer(record: Record, cid: int, task_id: str, run: Run) -> Record:
    """Write the task that the service has just named into the record that was asked with.

    Raises:
        TakenOver: another run answers for the record now, or the engine is gone. The task has been closed again, save
            where that other run was given the same one.
        JournalError: the answer could not be written; the task has been closed again, or the message names it.
        RtcAiError: the task could not be closed; the journal holds it.
    """
    facts = Facts(room=record.cname, cid=cid, task=task_id, request_id=record.request_id, trace_id=record.trace_id)
    try:
        answered = run.journal.answered(record, cid, task_id)
        if answered is not None and run.engine_lives() and not run.is_superseded(answered):
            return answered
        unwanted = answered or _orphan(record, cid, task_id, run)
    except JournalError as error:
        raise _closed_unwritten(record, facts, run, error) from None
    reason = "another run has taken it over" if run.engine_lives() else "the engine that asked for it is gone"
    if unwanted is None:
        raise TakenOver(f"The agent is left to the run that was told of it: {reason}.", facts)
    run.close(unwanted)
    raise TakenOver(f"The agent was stopped as soon as it had started: {reason}.", facts)


def _orphan(record: Record, cid: int, task_id: str, run: Run) -> Record | None:
    """A record of its own for a task whose record is another run's now; None where that run has the same task.

    It is written as closing before anyone looks: so either the other run, which the service may tell the same task,
    sees that it is going to be closed and starts another, or this one sees that the other has it, and leaves it alone.
    """
    trace_id = f"{record.trace_id}-{run.journal.process}"
    orphan = run.journal.add(
        replace(record, trace_id=trace_id, process=run.journal.process, state=State.CLOSING, cid=cid, task_id=task_id)
    )
    journal = run.journal
    if is_taken_care_of(journal.records_of_task(f"{cid}/{task_id}"), process=journal.process, lives=journal.lives):
        journal.leave(orphan)
        return None
    return orphan


def hand_over(record: Record, kept: Kept, run: Run) -> None:
    """Write that an engine is about to be given the task of a record; an adopted one is written so at once.

    Args:
        record: of the task.
        kept: whether the task is to be left alone where its resource is no longer declared.
        run: the journal.

    Raises:
        JournalError: it could not be written; the task has been closed again, or the message names it.
    """
    if record.handed:
        return
    try:
        run.journal.hand_over(record, kept=kept)
    except JournalError as error:
        ids = Facts(room=record.cname, cid=record.cid, task=record.task_id)
        facts = replace(ids, request_id=record.request_id, trace_id=record.trace_id)
        raise _closed_unwritten(record, facts, run, error) from None


def _closed_unwritten(record: Record, facts: Facts, run: Run, error: JournalError) -> JournalError:
    """The error of an answer that cannot be written: its task is closed at once, because nobody would know of it."""
    task = f"{facts.cid}/{facts.task}"
    try:
        run.close_unwritten(replace(record, cid=int(facts.cid or 0), task_id=facts.task))
    except RtcAiError as failure:
        summary = f"An agent runs that no journal knows of: {failure.summary} {error.summary}"
        return JournalError(summary, facts, f"close it: rtcai close {task} --cname ROOM; {error.advice}")
    advice = error.advice
    try:
        if record.state is State.ASKED:
            run.journal.forget(record)
        else:
            run.journal.closed(task)
    except JournalError:
        if record.state is State.ASKED:
            # Asked for again under its trace id, the service might repeat the task that has just been closed.
            advice = f"{advice}; then, before the next up: rtcai forget {record.trace_id}"
    return JournalError(f"The agent was stopped as soon as it had started. {error.summary}", facts, advice)
