"""Recovers the unfinished records of a resource: closes tasks, or sends creates again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.wire import create_body
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.close import close_task
from rtcai_pulumi.lifecycle.context import require_account
from rtcai_pulumi.lifecycle.recovery_rules import Step, is_closed, is_leftover, is_over, is_replaced_elsewhere
from rtcai_pulumi.lifecycle.result import record_response
from rtcai_pulumi.service.errors import (
    DuplicateRequest,
    NotAuthenticated,
    OtherAccount,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RoomNotFound,
    RtcAiError,
    WrongEndpoint,
)
from rtcai_pulumi.service.retry import ONCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rtcai_pulumi.lifecycle.context import Run


def recover(steps: Iterable[tuple[Record, Step]], inputs: Mapping[str, Any], run: Run) -> Record | None:
    """Recover each record; if another process still works on one, wait until it has finished.

    Args:
        steps: the records, and the step for each, as `recovery_rules` returned them.
        inputs: the current configuration. A create that is sent again under its old trace id needs a whole body.
        run: the service and the journal.

    Returns:
        The record whose response serves as the response of the current create; None if a new request is needed.

    Raises:
        RtcAiError: an agent may still be in the room; nothing new may be started next to it.
    """
    kept = None
    for record, step in steps:
        if step is Step.CLOSE_LAST:
            continue
        taken = _take_over(record, run)
        if taken is None:
            continue
        run.lost.add(taken.trace_id)  # if this fails, a repeated call must find the record, although it is ours now
        try:
            kept = _recover_one(taken, step, inputs, run) or kept
        except OtherAccount as error:
            ends = f"rtcai release {taken.task}" if taken.task else f"rtcai forget {taken.trace_id}"
            advice = f"{error.advice}; where no agent can be there any more, `{ends}` ends this"
            raise type(error)(error.summary, error.facts, advice) from None
        run.lost.discard(taken.trace_id)
    return kept


def close_last(steps: Iterable[tuple[Record, Step]], run: Run) -> None:
    """Close the tasks that were to be closed once the new agent runs.

    A task that cannot be closed is reported as a warning and not as an error, because the new agent must be stored in
    the state. If the state has the old task, the engine deletes it next; if not, the next `pulumi up` closes it.
    """
    for record, step in steps:
        if step is Step.CLOSE_LAST:
            try:
                if taken := _take_over(record, run):
                    close_task(taken, run)
            except RtcAiError as error:
                run.report(f"warning: room {record.cname}: the agent before (task {record.task}) still runs. {error}")


def filter_by_state(
    steps: Iterable[tuple[Record, Step]], owners: Collection[str], cname: str, run: Run
) -> list[tuple[Record, Step]]:
    """Select the steps that belong to this resource, by the state of the stack; the other tasks are not ours any more.

    An engine had some of these tasks. If it replaces this resource without any sign to the provider, the state has the
    task under this resource's name. If not, a user has moved the task to another name or stack (`state rename`, `state
    move`, `stack rename`), has removed it from the state, or has stopped it on another machine. Only the room can
    decide between these cases: in the same room two agents would talk to each other, so the old one is closed; in
    another room it is left alone.

    Args:
        steps: the steps that `recovery_rules.steps_before_create` returned.
        owners: the names of the resource that is created: its own, and its aliases.
        cname: its room.
        run: the state, and the journal.
    """
    steps = list(steps)
    if not any(_is_returned(record) for record, _ in steps):
        return steps
    state = run.state(next(iter(owners)))
    holders = {agent.task: agent.urn for agent in state.agents} if state else {}
    urns = {urn_of(owner) for owner in owners}
    found = []
    for record, step in steps:
        holder = holders.get(str(record.task))
        if not _is_returned(record) or holder in urns:
            found.append((record, step))
        elif holder is not None or (record.stored and record.cname != cname):
            run.journal.disown(record)
            _warn_of_another(record, holder, cname, run)
        else:
            if state is not None and record.stored:
                run.elsewhere.add(str(record.task))
            found.append((record, step))
    return found


def _is_returned(record: Record) -> bool:
    return record.state is RecordState.OPEN and record.handed


def _warn_of_another(record: Record, holder: str | None, cname: str, run: Run) -> None:
    if holder is None:
        run.report(
            f"room {record.cname}: task {record.task} is left alone: it had this resource's name, and the state names "
            f"it no more. Where no other name or stack has it, `rtcai close {record.task}` stops it"
        )
    elif record.cname == cname:
        run.report(
            f"warning: room {cname}: task {record.task} of {holder} is in it, too: two agents will talk to each other"
        )


def _recover_one(record: Record, step: Step, inputs: Mapping[str, Any], run: Run) -> Record | None:
    """Recover one record that this process now owns; returns the record if its response is kept."""
    if record.state is not RecordState.ASKED:
        close_leftover(record, run)
        return None
    answered = _repeat_create(record, inputs, run)
    return answered if answered is not None and _keeps_response(answered, step, run) else None


def close_leftover(record: Record, run: Run) -> None:
    """Close a task that an earlier run left.

    If another machine's run has dealt with it, the service's refusal is reported once, and no run tries again.

    Raises:
        RtcAiError: the agent may still be in the room.
    """
    if record.task in run.gone:
        run.journal.record_close(str(record.task))
        return
    run.report(f"room {record.cname}: closing task {record.task}, which an earlier run started")
    try:
        close_task(record, run)
    except (NotAuthenticated, RateLimited, WrongEndpoint):
        raise
    except Refused as error:
        replaced = is_replaced_elsewhere(record, run.journal.records(record.owner))
        if not replaced and record.task not in run.elsewhere:
            raise
        run.journal.record_refusal(record)
        run.report(
            f"warning: room {record.cname}: task {record.task}, which another machine's run has replaced or stopped, "
            "cannot be closed, and is not tried again; `rtcai ls` shows it as refused, "
            f"`rtcai close {record.task}` tries once more. {error}"
        )


def _take_over(record: Record, run: Run) -> Record | None:
    """Take over a record; None if there is nothing left to recover, or a later run owns it."""
    current: Record | None = record
    while current is not None:
        current = run.wait_for_process(current)
        if current is None or not is_leftover(current, process=run.journal.process, lost=run.lost):
            return None
        taken = run.journal.take_over(current)
        if taken is not None:
            return taken
        current = run.journal.record(record.trace_id)  # another process has just started to close it
    return None


def _keeps_response(answered: Record, step: Step, run: Run) -> bool:
    """Whether the response serves as the response of the current create; if not, the task is closed."""
    task = str(answered.task)
    others = [other for other in run.journal.records(answered.owner) if other.trace_id != answered.trace_id]
    # The service may have repeated the response of a task that was closed since, or whose room has ended.
    if is_closed(others, task):
        run.journal.record_close(task)
        return False
    if step is Step.ASK_AND_KEEP and not is_over(others, task) and not run.is_room_gone(answered):
        return True
    close_task(answered, run)
    return False


def _repeat_create(record: Record, inputs: Mapping[str, Any], run: Run) -> Record | None:
    """Send a create again under its own trace id, because its response never arrived.

    A service that detects duplicates by that id responds with the task of the first request. It is not documented that
    this service does so; so the user gets a warning that says what to check.

    Returns:
        The record with its task; None if there is no task, because its room is gone.

    Raises:
        TakenOver: no engine waits for the result any more; the task has been closed again.
        RtcAiError: it is not known whether there is an agent; the record stays.
    """
    require_account(record, run.client.settings)
    run.report(
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
        cid, task_id = run.retrier.run(attempt, ONCE, run.make_wait_reporter(record.cname))
    except RoomNotFound:
        run.journal.forget(record)
        return None
    except DuplicateRequest as error:
        raise type(error)(_KNOWN_BUT_NOT_TOLD, error.facts, _lost_advice(error)) from None
    except OutcomeUnknown as error:
        raise explain_lost_create(error) from None
    return record_response(record, cid, task_id, run)


def explain_lost_create(error: OutcomeUnknown) -> OutcomeUnknown:
    """The error of a create whose outcome is unknown, with advice."""
    summary = f"{error.summary} An agent may be in the room that no state knows of."
    return type(error)(summary, error.facts, _lost_advice(error))


def _lost_advice(error: OutcomeUnknown) -> str:
    return (
        "run up again: the journal remembers this create and asks for it again. If that fails too, look into the room: "
        "where an agent is there, end the room (this throws out everybody), or have the service's support end it by "
        f"its ids; then `rtcai forget {error.facts.trace_id}`, and the next up starts the agent afresh"
    )


_KNOWN_BUT_NOT_TOLD: Final = (
    "An earlier create of this agent was accepted, and the service does not tell its task. An agent may be in the room "
    "that no state knows of."
)
