"""Recovers the unfinished records of a resource: closes tasks, or sends creates again."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.config.problems import TWO_AGENTS
from rtcai_pulumi.config.wire import create_body
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import Record, RecordState, keep_reason_of
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.lifecycle.close import close_task
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
    from collections.abc import Iterable, Sequence

    from rtcai_pulumi.config.canonical import DesiredAgent
    from rtcai_pulumi.lifecycle.context import Run


def recover(
    steps: Iterable[tuple[Record, Step]], agent: DesiredAgent, run: Run, *, task_to_keep: str = ""
) -> Record | None:
    """Recover each record; if another process still works on one, wait until it has finished.

    Args:
        steps: the records, and the step for each, as `recovery_rules` returned them.
        agent: the current configuration. A create that is sent again under its old trace id needs a whole body.
        run: the service and the journal.
        task_to_keep: the task that the engine knows and keeps, as ``{cid}/{taskId}``.

    Returns:
        The record whose response serves as the response of the current create; None if a new request is needed.

    Raises:
        RtcAiError: an agent may still be in the room; nothing new may be started next to it.
    """
    reusable = None
    for record, step in steps:
        if step is Step.CLOSE_LAST:
            continue
        owned = _take_over(record, run)
        if owned is None:
            continue
        # If this fails, a repeated call must find the record, although it is ours now.
        run.unrecovered.add(owned.trace_id)
        try:
            reusable = _recover_one(owned, step, agent, run, task_to_keep) or reusable
        except OtherAccount as error:
            command = f"rtcai release {owned.task}" if owned.task else f"rtcai forget {owned.trace_id}"
            advice = f"{error.advice}; if this agent cannot be running any more, remove its record with `{command}`"
            raise type(error)(error.summary, error.facts, advice, error.settings) from None
        run.unrecovered.discard(owned.trace_id)
    return reusable


def close_last(steps: Iterable[tuple[Record, Step]], run: Run) -> None:
    """Close the tasks that were to be closed once the new agent runs.

    A task that cannot be closed is reported as a warning and not as an error, because the new agent must be stored in
    the state. If the state has the old task, the engine deletes it next; if not, the next `pulumi up` closes it.
    """
    for record, step in steps:
        if step is Step.CLOSE_LAST:
            try:
                if owned := _take_over(record, run):
                    close_task(owned, run)
            except RtcAiError as error:
                run.report(
                    f"warning: room {record.cname}: the old agent (task {record.task}) could not be stopped yet. "
                    f"Pulumi stops it later in this run, or at the next `pulumi up`. {error}"
                )


def filter_by_state(
    steps: Iterable[tuple[Record, Step]], owners: Sequence[str], cname: str, run: Run
) -> list[tuple[Record, Step]]:
    """Select the steps that belong to this resource, by the state of the stack; the other tasks no longer belong to it.

    An engine had some of these tasks. If it replaces this resource without any sign to the provider, the state has the
    task under this resource's name. If not, a user has moved the task to another name or stack (`state rename`, `state
    move`, `stack rename`), has removed it from the state, or has stopped it on another machine. Only the room can
    decide between these cases: in the same room two agents would talk to each other, so the old one is closed; in
    another room it is left alone.

    A program may keep an alias after the resource was renamed, and give the former name to another resource. The engine
    looks for a resource under its own name first. So if the state has both names, they are two resources.

    Args:
        steps: the steps that `recovery_rules.steps_before_create` returned.
        owners: the names of the resource that is created: its own, then its aliases.
        cname: its room.
        run: the state, and the journal.
    """
    own, *former = owners
    steps = list(steps)
    if not any(_is_returned(record) or record.owner in former for record, _ in steps):
        return steps
    state = run.state(own)
    holders = {agent.task: agent.urn for agent in state.agents} if state else {}
    names = set(holders.values())
    others = {owner for owner in former if urn_of(owner) in names} if urn_of(own) in names else set()
    steps = [(record, step) for record, step in steps if record.owner not in others]
    urns = {urn_of(owner) for owner in owners if owner not in others}
    selected = []
    for record, step in steps:
        holder = holders.get(str(record.task))
        if not _is_returned(record) or holder in urns:
            selected.append((record, step))
        elif record.owner in former and record.task in run.tasks_to_keep:
            continue  # another resource of this run has that name and the task
        elif holder is not None or (record.stored and record.cname != cname):
            run.journal.disown(record)
            _warn_of_another(record, holder, cname, run, is_state_known=state is not None)
        else:
            if state is not None and record.stored:
                run.tasks_missing_from_state.add(str(record.task))
            selected.append((record, step))
    return selected


def _is_returned(record: Record) -> bool:
    return record.state is RecordState.OPEN and record.handed


def _warn_of_another(record: Record, holder: str | None, cname: str, run: Run, *, is_state_known: bool) -> None:
    if holder is None:
        why = "the state no longer contains it" if is_state_known else "the state of the stack cannot be read"
        run.report(
            f"warning: room {record.cname}: task {record.task} keeps running. It was started for "
            f"{urn_of(record.owner)}, but {why}. If you did not rename the resource or move it to another stack, run "
            f"`rtcai close {record.task}`."
        )
    elif record.cname == cname:
        run.report(
            f"warning: room {cname}: task {record.task} of {holder} is in this room, too. {TWO_AGENTS} Give one of "
            "them another room, or remove one."
        )


def _recover_one(record: Record, step: Step, agent: DesiredAgent, run: Run, task_to_keep: str) -> Record | None:
    """Recover one record that this process now owns; returns the record if its response is kept."""
    if record.state is not RecordState.ASKED:
        close_leftover(record, run)
        return None
    answered = _repeat_create(record, agent, run)
    if answered is None:
        return None
    if answered.task == task_to_keep:
        # The journal is older than the state, as after a machine died before it had saved the newest copy.
        run.journal.record_return(answered, kept=keep_reason_of(agent.inputs), ends_at=agent.ends_at)
        return None
    return answered if _keeps_response(answered, step, agent, run) else None


def close_leftover(record: Record, run: Run) -> None:
    """Close a task that an earlier run left.

    If another machine's run has dealt with it, the service's refusal is reported once, and no run tries again.

    Raises:
        RtcAiError: the agent may still be in the room.
    """
    if record.task in run.gone_tasks:
        run.journal.record_close(str(record.task))
        return
    run.report(f"room {record.cname}: stopping task {record.task} of an earlier run: it is not needed any more")
    try:
        close_task(record, run)
    except (NotAuthenticated, RateLimited, WrongEndpoint):
        raise
    except Refused as error:
        replaced = is_replaced_elsewhere(record, run.journal.records(record.owner))
        if not replaced and record.task not in run.tasks_missing_from_state:
            raise
        run.journal.record_refusal(record)
        run.report(
            f"warning: room {record.cname}: the service refuses to stop task {record.task}. A run on another machine "
            "has probably replaced or stopped it already. Later runs will not try again. `rtcai ls` shows it as "
            f"refused; `rtcai close {record.task}` tries once more. {error}"
        )


def _take_over(record: Record, run: Run) -> Record | None:
    """Take over a record; None if there is nothing left to recover, or a later run owns it."""
    current: Record | None = record
    while current is not None:
        current = run.wait_for_process(current)
        if current is None or not is_leftover(current, process=run.journal.process, unrecovered=run.unrecovered):
            return None
        owned = run.journal.take_over(current)
        if owned is not None:
            return owned
        current = run.journal.record(record.trace_id)  # another process has just started to close it
    return None


def _keeps_response(answered: Record, step: Step, agent: DesiredAgent, run: Run) -> bool:
    """Whether the response serves as the response of the current create; if not, the task is closed.

    If the journal is older than the state, the request was repeated before, and the state has its task.
    """
    task, journal = str(answered.task), run.journal
    others = [other for other in journal.records(answered.owner) if other.trace_id != answered.trace_id]
    # The service may have repeated the response of a task that was closed since, or whose room has ended.
    if is_closed(others, task):
        journal.record_close(task)
        return False
    holder = run.find_in_state(task, answered.owner)
    if holder is not None and holder.urn not in {urn_of(answered.owner), urn_of(agent.owner)}:
        journal.disown(answered)
        return False
    # If the state has it under this name, the engine is just replacing it.
    is_kept = step is Step.REPEAT_AND_KEEP and holder is None and not is_over(others, task)
    if is_kept and not run.is_room_gone(answered):
        return True
    close_task(answered, run)
    return False


def _repeat_create(record: Record, agent: DesiredAgent, run: Run) -> Record | None:
    """Send a create again under its own trace id, because its response never arrived.

    A service that detects duplicates by that id responds with the task of the first request. It is not documented that
    this service does so; so the user gets a warning that says what to check.

    Returns:
        The record with its task; None if its room is gone, and with it the task.

    Raises:
        TakenOver: no engine waits for the result any more; the task has been closed again.
        RtcAiError: it is not known whether there is an agent; the record stays.
    """
    require_account(record, run.client.settings)
    run.report(
        f"warning: room {record.cname}: an earlier request to start this agent got no response (request id "
        f"{record.request_id}, trace id {record.trace_id}). It is now repeated with the same trace id. If the service "
        "treats it as a new request, there will be two agents. Check the room; if there are two, "
        f"`rtcai end-room {quote(record.cname)}` ends it and disconnects everyone."
    )
    body = create_body(record.cname, agent.data, record.request_id)
    client = run.client

    def attempt() -> tuple[int, str]:
        task = client.create_task(
            body, trace_id=record.trace_id, before_sending=lambda: run.require_still_wanted(record)
        )
        return task.cid, task.task_id

    try:
        cid, task_id = run.retrier.run(attempt, ONCE, run.make_wait_reporter(record.cname))
    except RoomNotFound:
        run.journal.forget(record)
        return None
    except DuplicateRequest as error:
        raise type(error)(_NO_TASK_RETURNED, error.facts, _how_to_end(error)) from None
    except OutcomeUnknown as error:
        raise explain_lost_create(error) from None
    return record_response(record, cid, task_id, run)


def explain_lost_create(error: OutcomeUnknown) -> OutcomeUnknown:
    """The error of a create whose outcome is unknown, with advice.

    A repeated request may find its task. After a duplicate it would not: the service would report the duplicate again.
    """
    summary, advice = f"{error.summary} {_UNKNOWN_AGENT}", _how_to_end(error)
    if not isinstance(error, DuplicateRequest):
        advice = f"run `pulumi up` again; it repeats the request with the same trace id. If it fails again: {advice}"
    return type(error)(summary, error.facts, advice)


def _how_to_end(error: OutcomeUnknown) -> str:
    room = error.facts.room or ""
    return (
        f"check in your app whether an agent is in room {room}. If it is, end the room with "
        f"`rtcai end-room {quote(room)}` (this disconnects everyone), or ask the service's support to stop it, with "
        f"the request id and trace id above. Then run `rtcai forget {error.facts.trace_id}`; the next `pulumi up` "
        "starts a new agent"
    )


_UNKNOWN_AGENT: Final = "There may be an agent in the room that no stack manages."
_NO_TASK_RETURNED: Final = (
    f"The service has already received this request to start the agent, but does not return the task. {_UNKNOWN_AGENT}"
)
