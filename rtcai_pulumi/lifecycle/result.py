"""Handles the response to a create: journals it, or closes the task if no process waits for it any more."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from rtcai_pulumi.lifecycle.close import close_task, close_without_journal
from rtcai_pulumi.lifecycle.context import explain_take_over
from rtcai_pulumi.lifecycle.recovery_rules import is_managed
from rtcai_pulumi.service.errors import Facts, JournalError, RtcAiError, TakenOver

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


def record_response(record: Record, cid: int, task_id: str, run: Run) -> Record:
    """Write the task from the service's response into the record of the create.

    Raises:
        TakenOver: another run owns the record now, or the engine is gone. The task has been closed again, except if
            that other run received the same task.
        JournalError: the response could not be written; the task has been closed again, or the message names it.
        RtcAiError: the task could not be closed; the journal has it.
    """
    facts = Facts(room=record.cname, cid=cid, task=task_id, request_id=record.request_id, trace_id=record.trace_id)
    try:
        answered = run.journal.record_response(record, cid, task_id)
        if answered is not None and run.engine_lives() and not run.is_superseded(answered):
            return answered
        unwanted = answered or _record_orphan(record, cid, task_id, run)
    except JournalError as error:
        raise _close_unrecorded(record, facts, run, error) from None
    if unwanted is None:
        summary = "The agent keeps running: a later run of this stack received the same task and manages it."
        raise TakenOver(summary, facts)
    reason, advice = explain_take_over(engine_lives=run.engine_lives())
    close_task(unwanted, run)
    raise TakenOver(f"The agent was stopped immediately after it had started: {reason}.", facts, advice)


def _record_orphan(record: Record, cid: int, task_id: str, run: Run) -> Record | None:
    """A separate record for a task whose record belongs to another run now; None if that run has the same task.

    The service may return the same task to the other run. The new record is written as closing before either run
    checks: so either the other run sees that the task will be closed and starts another one, or this run sees that the
    other run has the task, and leaves it alone.
    """
    trace_id = f"{record.trace_id}-{run.journal.process}"
    orphan = run.journal.add(
        replace(
            record, trace_id=trace_id, process=run.journal.process, state=RecordState.CLOSING, cid=cid, task_id=task_id
        )
    )
    journal = run.journal
    if is_managed(journal.records_of_task(str(orphan.task)), process=journal.process, lives=journal.is_running):
        journal.undo_close(orphan)
        return None
    return orphan


def record_return(record: Record, kept: KeepReason, ends_at: str, run: Run) -> None:
    """Write that the task of a record is about to be returned to an engine; an adopted task has this from the start.

    Args:
        record: the task's record.
        kept: whether the task keeps running when its resource is removed from the program.
        ends_at: when the agent is to end; empty if it has no end.
        run: the journal.

    Raises:
        JournalError: it could not be written; the task has been closed again, or the message names it.
    """
    if record.handed:
        return
    try:
        run.journal.record_return(record, kept=kept, ends_at=ends_at)
    except JournalError as error:
        ids = Facts(room=record.cname, cid=record.cid, task=record.task_id)
        facts = replace(ids, request_id=record.request_id, trace_id=record.trace_id)
        raise _close_unrecorded(record, facts, run, error) from None


def _close_unrecorded(record: Record, facts: Facts, run: Run, error: JournalError) -> JournalError:
    """The error of a response that cannot be written: its task is closed now, because no record would have it."""
    started = replace(record, cid=int(facts.cid or 0), task_id=facts.task)
    task = str(started.task)
    try:
        close_without_journal(started, run)
    except RtcAiError as failure:
        summary = (
            "An agent is running, but it could not be recorded in the journal or stopped. "
            f"{error.summary} {failure.summary}"
        )
        # The command writes to the journal, too.
        command = f"rtcai close {task} --cname {quote(record.cname)}"
        how = f"Then stop the agent with `{command}`, or stop it now with another journal: `{command} --journal FILE`"
        return JournalError(summary, facts, f"{error.advice or 'make the journal writable again'}. {how}")
    advice = error.advice
    try:
        if record.state is RecordState.ASKED:
            run.journal.forget(record)
        else:
            run.journal.record_close(task)
    except JournalError:
        if record.state is RecordState.ASKED:
            # If the create is sent again under its trace id, the service might repeat the task that was just closed.
            advice = f"{advice}; then run `rtcai forget {record.trace_id}` before you run `pulumi up` again"
    return JournalError(f"The agent was stopped immediately after it had started. {error.summary}", facts, advice)
