"""`create`: exactly one agent for its resource, and what the state must hold to stop it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from rtcai_pulumi.config.canonical import digest
from rtcai_pulumi.config.conversation import Mode
from rtcai_pulumi.config.wire import create_body, data_of
from rtcai_pulumi.lifecycle.answer import note_answer
from rtcai_pulumi.lifecycle.record import Record, State
from rtcai_pulumi.lifecycle.settle import lost, settle
from rtcai_pulumi.lifecycle.settling import before_create
from rtcai_pulumi.service.errors import Facts, OutcomeUnknown, RoomNotFound, RtcAiError, TakenOver
from rtcai_pulumi.service.retry import HARMLESS, Policy
from rtcai_pulumi.service.settings import room_endpoint_of

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.run import Run


ADDED_OUTPUTS: Final = ("requestId", "cid", "taskId", "traceId", "createdAt", "appKey", "endpoint", "mode")
"""What a create adds to the inputs."""


@dataclass(frozen=True, slots=True)
class Created:
    """A started agent, as the engine stores it."""

    id: str
    """``{cid}/{taskId}``."""
    outputs: dict[str, Any]
    """The inputs under their names, and what the service and this module add."""


def create(
    inputs: Mapping[str, Any],
    run: Run,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
) -> Created:
    """Settle what earlier runs left of this owner, then start one agent, and write both down before anyone is told.

    Raises:
        OutcomeUnknown: nobody can tell whether an agent was started; the message names room, request id and trace id,
            and the journal remembers them.
        TakenOver: nobody waits for the answer any more; no agent was left.
        RtcAiError: no agent was started.
    """
    journal, owner = run.journal, str(inputs.get("owner") or "")
    kept = None
    if owner:
        left = before_create(journal.records(owner), process=journal.process, shown=run.shown, digest=digest(inputs))
        kept = settle(left, inputs, run)
    record = kept or _adopted(inputs, owner, run, new_id) or _started(inputs, owner, run, new_id)
    journal.hand_over(record)
    added = (
        record.request_id,
        str(record.cid),
        record.task_id,
        record.trace_id,
        now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        record.app_key,
        record.endpoint,
        str(Mode.of(data_of(inputs))),
    )
    outputs = {**inputs, **dict(zip(ADDED_OUTPUTS, added, strict=True))}
    if record.room_endpoint != room_endpoint_of(record.endpoint):
        outputs["roomEndpoint"] = record.room_endpoint  # elsewhere it can be told from the endpoint
    return Created(f"{record.cid}/{record.task_id}", outputs)


def _intent(inputs: Mapping[str, Any], owner: str, run: Run, new_id: Callable[[], str]) -> Record:
    settings = run.client.settings
    return Record(
        trace_id=new_id().replace("-", ""),
        owner=owner,
        app_key=settings.app_key,
        endpoint=settings.endpoint,
        room_endpoint=settings.room_endpoint,
        cname=str(inputs["cname"]),
        request_id=str(inputs.get("requestId") or new_id()),
        digest=digest(inputs),
        process=run.journal.process,
    )


def _started(inputs: Mapping[str, Any], owner: str, run: Run, new_id: Callable[[], str]) -> Record:
    """Start an agent: intent, request, result, each on disk before the next."""
    record = run.journal.add(_intent(inputs, owner, run, new_id))
    body = create_body(inputs, record.request_id)
    client = run.client

    def attempt() -> tuple[int, str]:
        task = client.create_task(
            body, trace_id=record.trace_id, before_sending=lambda: run.require_turn(record.trace_id)
        )
        return task.cid, task.task_id

    policy = Policy(repeats_unknown_outcomes=False, wait_for_room=float(inputs.get("waitForRoom") or 0))
    try:
        cid, task_id = run.retrier.run(attempt, policy, run.telling_why(record.cname))
    except OutcomeUnknown as error:
        raise lost(error) from None
    except TakenOver:
        raise
    except RtcAiError:
        run.journal.forget(record)  # surely not accepted
        raise
    return note_answer(record, cid, task_id, run)


def _adopted(inputs: Mapping[str, Any], owner: str, run: Run, new_id: Callable[[], str]) -> Record | None:
    """Take a task into care that someone else started; None where none is named, or it was in care before.

    Raises:
        RtcAiError: its room is gone, or has another number: there is nothing to adopt.
    """
    named = inputs.get("adopt")
    if not named or named in run.shown:  # shown: a replacement of the very agent that was adopted once
        return None
    known = [record for record in run.journal.records() if record.task == named]
    if known:
        if any(record.unfinished and record.owner != owner for record in known):
            run.tell(
                f"warning: room {inputs['cname']}: adopt is ignored, because the journal knows task {named} as another "
                f"resource's. Where no program declares that any more, it talks on: `rtcai close {named}` stops it, "
                f"`rtcai release {named}` lets it be adopted"
            )
        return None
    cid, _, task_id = str(named).partition("/")
    cname = str(inputs["cname"])
    facts = Facts(room=cname, cid=cid, task=task_id)
    advice = "name a task that runs, or leave adopt out to start an agent"
    try:
        room = run.retrier.run(lambda: run.client.query_room(cname), HARMLESS, run.telling_why(cname))
    except RoomNotFound:
        summary = "There is nothing to adopt: the room does not exist."
        raise RoomNotFound(summary, facts, advice) from None
    if room.cid != int(cid):
        summary = f"There is nothing to adopt: the room has the number {room.cid} now."
        raise RoomNotFound(summary, facts, advice)
    # In one write: an intent would be asked for by the next run, which would start another agent beside this one.
    adopted = replace(_intent(inputs, owner, run, new_id), state=State.OPEN, cid=int(cid), task_id=task_id)
    return run.journal.add(adopted)
