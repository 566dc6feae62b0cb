"""`create`: exactly one agent for its resource, and the data that the state needs to stop it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.config.conversation import former_owners, roommates, starts_first
from rtcai_pulumi.config.problems import TWO_AGENTS
from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.owner import is_same_stack, name_of, urn_of
from rtcai_pulumi.journal.record import NOBODY, KeepReason, Record, RecordState, StateAgent, keep_reason_of
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.lifecycle.close import close_task
from rtcai_pulumi.lifecycle.end_time import may_start, report_end, require_time_left
from rtcai_pulumi.lifecycle.recovery import close_last, explain_lost_create, filter_by_state, recover
from rtcai_pulumi.lifecycle.recovery_rules import Step, steps_after_delete, steps_before_create
from rtcai_pulumi.lifecycle.result import record_response, record_return
from rtcai_pulumi.service.errors import (
    EndPassed,
    Facts,
    JournalError,
    OutcomeUnknown,
    RoomNotFound,
    RtcAiError,
    TakenOver,
)
from rtcai_pulumi.service.retry import HARMLESS, Policy
from rtcai_pulumi.service.settings import room_endpoint_of

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


def adopt_task(agent: DesiredAgent, run: Run, new_id: Callable[[], str]) -> Record | None:
    """Adopt a running task that this stack did not start; None if the input names none, or if it was managed before.

    Raises:
        RtcAiError: its room is gone, or has another number: there is nothing to adopt.
    """
    task = agent.inputs.get("adopt")
    if not task or task in run.adopted_tasks:  # this replaces an agent that was adopted before
        return None
    records = run.journal.records_of_task(str(task))
    retained = next((record for record in records if record.is_unfinished and record.kept is KeepReason.RETAINED), None)
    if records and (retained is None or task in run.tasks_to_keep or _is_declared(retained, agent)):
        other = next((each for each in records if each.is_unfinished and each.owner != agent.owner), None)
        if other is not None:
            _warn_of_ignored_adopt(str(task), urn_of(other.owner) or "another resource", agent, run)
        return None
    if not records and (holder := run.find_in_state(str(task), agent.owner)) and not _is_given_up(holder, agent):
        # Another machine's journal knows it. With `--replace`, the engine does not pass the old resource.
        if holder.urn not in map(urn_of, _owners_of(agent)):
            _warn_of_ignored_adopt(str(task), holder.urn, agent, run)
        return None
    reference, cname = TaskReference.parse(str(task)), agent.cname
    facts = Facts(room=cname, cid=reference.cid, task=reference.task_id)
    advice = "set adopt to a task that runs in this room, or remove adopt to start a new agent"
    try:
        room = run.retrier.run(lambda: run.client.query_room(cname), HARMLESS, run.make_wait_reporter(cname))
    except RoomNotFound:
        summary = f"Task {task} cannot be adopted: room {cname} does not exist."
        raise RoomNotFound(summary, facts, advice) from None
    if room.cid != reference.cid:
        summary = f"Task {task} cannot be adopted: room {cname} now has the cid {room.cid}, not {reference.cid}."
        raise RoomNotFound(summary, facts, advice)
    if retained is not None:
        kept = keep_reason_of(agent.inputs)
        return run.journal.adopt(retained, owner=agent.owner, kept=kept, ends_at=agent.ends_at)
    # In one write: the next run would send a create for a record without a task, which would start a second agent.
    record = Record.for_create(agent, run.client.settings, run.journal.process, new_id)
    adopted = replace(record, state=RecordState.OPEN, cid=reference.cid, task_id=reference.task_id, handed=True)
    adopted = run.journal.add(adopted)
    run.newly_adopted.add(str(task))
    return adopted


def _warn_of_ignored_adopt(task: str, urn: str, agent: DesiredAgent, run: Run) -> None:
    """Warn that a new agent starts instead of the adopted one.

    A change of `adopt` alone changes nothing, so the resource must be replaced to adopt the task later.
    """
    run.report(
        f"warning: room {agent.cname}: adopt is ignored and a new agent is started, because task {task} belongs to "
        f"{urn}. If `rtcai ls` still lists that task after this run, and no program declares {urn} any "
        f"more, two agents are running. Stop the old one with `rtcai close {task}`; or keep the old one: run "
        f"`rtcai release {task}`, then `pulumi up --replace {quote(urn_of(agent.owner))}`."
    )


def _is_declared(retained: Record, agent: DesiredAgent) -> bool:
    """Whether the program still declares a retained agent's resource, for which `diff` may not have been called yet."""
    return is_same_stack(retained.owner, agent.owner) and name_of(retained.owner) in roommates(agent.inputs)


def _is_given_up(holder: StateAgent, agent: DesiredAgent) -> bool:
    """Whether an agent in the state is retained, and its resource is not in the program any more."""
    name = name_of(holder.urn)
    return keep_reason_of(holder.outputs) is KeepReason.RETAINED and name not in roommates(agent.inputs)


def _owners_of(agent: DesiredAgent) -> list[str]:
    """The names of an agent's resource: its own, then its aliases, of which one may be its own name."""
    return list(dict.fromkeys([agent.owner, *former_owners(agent.inputs)]))


ADDED_OUTPUTS: Final = ("requestId", "cid", "taskId", "traceId", "createdAt", "appKey", "endpoint", "mode")
"""The outputs that a create adds to the inputs."""


@dataclass(frozen=True, slots=True)
class StartedAgent:
    """A started agent, as the engine stores it."""

    id: str
    """``{cid}/{taskId}``."""
    outputs: dict[str, Any]
    """The inputs under their names, and the outputs that the service and this module add."""


def create(
    inputs: Mapping[str, Any],
    run: Run,
    *,
    now: Callable[[], datetime] | None = None,
    new_id: Callable[[], str] = lambda: str(uuid4()),
) -> StartedAgent:
    """Recover unfinished records of this resource, then start one agent. Both are journaled before the result is
    returned.

    Raises:
        EndPassed: the agent is over, so it was not started.
        OutcomeUnknown: it is not known whether an agent was started. The message names room, request id and trace id,
            and the journal keeps them.
        TakenOver: no engine waits for the result any more; no agent was left running.
        RtcAiError: no agent was started.
    """
    agent = DesiredAgent(inputs)
    _require_time_left(agent, run)
    steps = _find_leftovers(agent, run) if agent.owner else []
    recovered = recover(steps, agent, run)
    try:
        record = recovered or adopt_task(agent, run, new_id) or _start_agent(agent, run, new_id)
        _require_room_stays(record, agent, run)
        record_return(record, keep_reason_of(inputs), agent.ends_at, run)
    except (TakenOver, EndPassed):
        raise
    except RtcAiError as error:
        raise _explain_error(error, agent, run) from None
    run.tasks_to_keep.add(str(record.task))
    close_last(steps, run)
    report_end(agent.cname, agent.ends_at, run)
    added = (
        record.request_id,
        str(record.cid),
        record.task_id,
        record.trace_id,
        (now or run.now)().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        record.app_key,
        record.endpoint,
        str(agent.mode),
    )
    outputs = {**inputs, **dict(zip(ADDED_OUTPUTS, added, strict=True))}
    if record.room_endpoint != room_endpoint_of(record.endpoint):
        outputs["roomEndpoint"] = record.room_endpoint  # in the other cases the endpoint determines it
    return StartedAgent(str(record.task), outputs)


def _require_time_left(agent: DesiredAgent, run: Run) -> None:
    """Refuse to start an agent after its end, and stop what a killed run has started for it and never returned.

    What an engine has in its state is left alone: with ``--replace`` that is the agent that is over.

    Raises:
        EndPassed: its end has passed.
        RtcAiError: an agent that a killed run has started could not be stopped.
    """
    if agent.owner and not may_start(agent.ends_at, run.now()):
        journal = run.journal
        records = [record for each in _owners_of(agent) for record in journal.records(each)]
        recover(steps_after_delete(records, process=journal.process, unrecovered=run.unrecovered), agent, run)
    require_time_left("The agent", agent.cname, agent.ends_at, run.now())


def _require_room_stays(record: Record, agent: DesiredAgent, run: Run) -> None:
    """Refuse an agent in a room that `rtcai sweep --over` is just ending; it ends rooms of agents with an end only.

    The sweep writes into the journal that the room is about to end, and then looks for records of agents in it. The
    record of this agent was written before its request was sent. So either the sweep leaves the room open, or this
    check sees that the room is about to end.

    Raises:
        TakenOver: the room is about to end; the agent was stopped.
    """
    if not agent.ends_at or record.cid is None or record.cid in run.ended_rooms:
        return
    room = run.journal.room(record.cid, app_key=record.app_key, room_endpoint=record.room_endpoint)
    if room is not None and room.owner == NOBODY:
        close_task(record, run)
        message = "The agent was stopped immediately after it had started: `rtcai sweep --over` is ending its room."
        facts = Facts(room=record.cname, cid=record.cid, task=record.task_id)
        raise TakenOver(message, facts, "run `pulumi up` again; it opens the room and starts the agent")


def _find_leftovers(agent: DesiredAgent, run: Run) -> list[tuple[Record, Step]]:
    """The unfinished records of earlier runs of this owner, under all its names, and the recovery step for each.

    Raises:
        OtherAccount: a task was started with another account: it could not be closed once the new agent runs.
    """
    journal = run.journal
    owners = _owners_of(agent)
    steps = steps_before_create(
        [record for each in owners for record in journal.records(each)],
        process=journal.process,
        unrecovered=run.unrecovered,
        digest=agent.digest,
        cname=agent.cname,
        start_first=starts_first(agent.inputs),
    )
    steps = filter_by_state(steps, owners, agent.cname, run)
    for record, step in steps:
        if step is Step.CLOSE_LAST:
            require_account(record, run.client.settings)
    return steps


def _start_agent(agent: DesiredAgent, run: Run, new_id: Callable[[], str]) -> Record:
    """Start an agent: journal the create, send the request, journal the response; each is on disk before the next."""
    _warn_of_others(agent, run)
    record = run.journal.add(Record.for_create(agent, run.client.settings, run.journal.process, new_id))
    body = agent.body(record.request_id)
    client = run.client

    def before_sending() -> None:
        require_time_left("The agent", agent.cname, agent.ends_at, run.now())  # a wait for the room may be long
        run.require_still_wanted(record)  # the last step before the request: nothing may come between

    def attempt() -> tuple[int, str]:
        task = client.create_task(body, trace_id=record.trace_id, before_sending=before_sending)
        return task.cid, task.task_id

    policy = Policy(repeats_unknown_outcomes=False, wait_for_room=float(agent.inputs.get("waitForRoom") or 0))
    try:
        cid, task_id = run.retrier.run(attempt, policy, run.make_wait_reporter(record.cname))
    except OutcomeUnknown as error:
        run.unrecovered.add(record.trace_id)
        raise explain_lost_create(error) from None
    except JournalError as error:
        raise _explain_unsent(error, record) from None
    except RtcAiError as error:
        with suppress(JournalError):  # the user must learn of the first error; the next run finds the record
            if isinstance(error, TakenOver):
                run.journal.record_unsent(record)
            else:
                run.journal.forget(record)  # definitely not accepted
        raise
    return record_response(record, cid, task_id, run)


def _explain_unsent(error: JournalError, record: Record) -> JournalError:
    """The error of a create that was journaled and not sent, because the journal cannot be reached any more."""
    facts = Facts(room=record.cname, request_id=record.request_id, trace_id=record.trace_id)
    again = "the next `pulumi up` starts the agent; it says that the request got no response, because the record stays"
    advice = f"{error.advice}; {again}" if error.advice else again
    return JournalError(f"The agent was not started. {error.summary}", facts, advice)


def _warn_of_others(agent: DesiredAgent, run: Run) -> None:
    """Warn of tasks of other resources in the same room, because two agents there would talk to each other.

    A renamed resource or stack is another owner for the journal until `diff` has received its task. No run would
    recover what a killed run left under the old name.
    """
    cname, settings = agent.cname, run.client.settings
    account = {"app_key": settings.app_key, "endpoint": settings.endpoint}
    for record in run.journal.others_in_room(cname, **account, owner=agent.owner):
        urn = urn_of(record.owner) or "an unknown resource"
        if record.task in run.tasks_to_keep:
            continue  # the program declares it; a shared room is reported while the program declares its resources
        if record.task and record.task == agent.inputs.get("adopt") and record.task not in run.adopted_tasks:
            continue  # `adopt_task` has reported it
        if record.kept is KeepReason.RETAINED:
            run.report(
                f"warning: room {cname}: task {record.task} of {urn} is still in this room, because the resource has "
                f"retain_on_delete. {TWO_AGENTS} If no program declares that resource any more, stop the task with "
                f"`rtcai close {record.task}`."
            )
            continue
        if record.task is None:
            what = (
                f"another agent may be in this room: a request to start the agent of {urn} (trace id "
                f"{record.trace_id}) got no response"
            )
            advice = f"check the room, then run `rtcai forget {record.trace_id}` to delete the record"
        else:
            what = f"another agent is in this room: task {record.task} of {urn}"
            advice = f"stop it with `rtcai close {record.task}`"
        run.report(
            f"warning: room {cname}: {what}. If no program declares that resource any more (for example, because it "
            f"was renamed after its run was killed), {advice}."
        )


def _explain_error(error: RtcAiError, agent: DesiredAgent, run: Run) -> RtcAiError:
    """The error of a create; if this run stopped the old agent before, it says that the room has no agent now."""
    try:
        records = run.journal.records(agent.owner) if agent.owner else []
    except JournalError:
        return error
    stopped = any(
        record.state is RecordState.CLOSED
        and record.task is not None
        and record.process == run.journal.process
        and record.cname == agent.cname
        for record in records
    )
    if not stopped:
        return error
    if isinstance(error, OutcomeUnknown):
        return type(error)(
            f"{error.summary} The old agent was stopped before.", error.facts, error.advice, error.settings
        )
    summary = f"{error.summary} The room has no agent now, because the old one was stopped before."
    start = "run `pulumi up` again; it starts the agent"
    advice = f"{error.advice}. Then {start}" if error.advice else start
    return type(error)(summary, error.facts, advice, error.settings)
