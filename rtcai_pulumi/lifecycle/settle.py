"""Carries out what `settling` decides: closes, or asks again for, what earlier runs left of an owner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.wire import create_body
from rtcai_pulumi.lifecycle.record import Record, State
from rtcai_pulumi.lifecycle.run import require_account
from rtcai_pulumi.lifecycle.settling import Step, is_over
from rtcai_pulumi.service.errors import DuplicateRequest, OutcomeUnknown, RoomNotFound
from rtcai_pulumi.service.retry import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtcai_pulumi.lifecycle.run import Run

_ASK_POLICY: Final = Policy(repeats_unknown_outcomes=False)


def settle(steps: Iterable[tuple[Record, Step]], inputs: Mapping[str, Any], run: Run) -> Record | None:
    """Deal with each record; what one process has begun, that process may finish first.

    Args:
        steps: what `settling` decided.
        inputs: the configuration that is asked with; asking under another create's trace id needs a whole body.
        run: the service and the journal.

    Returns:
        The record whose answer is the answer of the create that settles; None where a request of its own is needed.

    Raises:
        RtcAiError: something is left that may be an agent in the room; nothing new may be started beside it.
    """
    kept = None
    for record, step in steps:
        current = run.settled_by_its_process(record)
        if current is None or not current.unfinished:
            continue
        taken = run.journal.take_over(current)
        if taken is None:
            continue  # its process was faster: it has closed it, or it belongs to a third one
        if taken.state is not State.ASKED:
            run.tell(f"room {taken.cname}: closing task {taken.task}, which an interrupted run left")
            run.close(taken)
        elif (answered := _ask_again(taken, inputs, run)) is not None:
            if step is Step.ASK_AND_KEEP:
                kept = answered
            else:
                run.close(answered)
    return kept


def _ask_again(record: Record, inputs: Mapping[str, Any], run: Run) -> Record | None:
    """Ask under the trace id of a create that was never answered.

    A service that drops duplicates by that id answers with the task of the first request. That this one does is not
    documented, so that the user is told what to look for.

    Returns:
        The record with its task; None where there is none: its room is gone, or the task is closed already.
    """
    require_account(record, run.client.settings)
    run.tell(
        f"warning: room {record.cname}: an earlier create was never answered (request id {record.request_id}, trace "
        f"id {record.trace_id}). It is asked for again under the same trace id. Where the service does not know it as "
        "the same request, a second agent may be in the room: look, and end the room if so."
    )
    body = {**create_body(inputs, record.request_id), "cname": record.cname}
    client = run.client

    def attempt() -> tuple[int, str]:
        task = client.create_task(
            body, trace_id=record.trace_id, before_sending=lambda: run.require_turn(record.trace_id)
        )
        return task.cid, task.task_id

    try:
        cid, task_id = run.retrier.run(attempt, _ASK_POLICY)
    except RoomNotFound:
        run.journal.mark(record, State.CLOSED)
        return None
    except DuplicateRequest as error:
        raise type(error)(_KNOWN_BUT_NOT_TOLD, error.facts, LOST_ADVICE) from None
    except OutcomeUnknown as error:
        raise lost(error) from None
    known = [other for other in run.journal.records(record.owner) if other.trace_id != record.trace_id]
    answered = run.journal.answered(record, cid, task_id) or replace(record, cid=cid, task_id=task_id, state=State.OPEN)
    if is_over(known, f"{cid}/{task_id}"):
        # The service has repeated the answer of a task that was closed in the meantime.
        run.journal.mark(record, State.CLOSED)
        return None
    return answered


def lost(error: OutcomeUnknown) -> OutcomeUnknown:
    """The error of a create whose outcome nobody can tell, with what to do about it."""
    return type(error)(f"{error.summary} An agent may be in the room that no state knows of.", error.facts, LOST_ADVICE)


LOST_ADVICE: Final = (
    "run up again: the journal remembers this create and asks for it again. If that fails too, look into the room: "
    "where an agent is there, end the room (this throws out everybody), or have the service's support end it by its ids"
)
_KNOWN_BUT_NOT_TOLD: Final = (
    "An earlier create of this agent was accepted, and the service does not tell its task. An agent may be in the room "
    "that no state knows of."
)
