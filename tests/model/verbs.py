"""The verbs of a plugin process: the steps of ``rtcai_pulumi/lifecycle`` in the same order, with the same rules.

Keep each function in step with its counterpart there: `create` and `start_agent` with ``create.py``, `record_response`
with ``result.py``, `recover` to `repeat_create` with ``recovery.py``, `is_room_gone` with ``context.py``, `close` with
``close.py``. The parameter `alone` is not in the product: it marks requests that must not meet another agent, which the
service's side of the model checks.
"""

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle import end_time, recovery_rules
from rtcai_pulumi.service.errors import (
    EndPassed,
    OutcomeUnknown,
    Refused,
    RoomNotFound,
    RtcAiError,
    TakenOver,
    TaskNotFound,
)
from tests.model.steps import (
    Add,
    BeginClose,
    BeginCloseUnlessChanged,
    CancelClose,
    Claim,
    EngineLives,
    Forget,
    Now,
    QueryRoom,
    Receive,
    RecordClose,
    RecordOf,
    RecordResponse,
    RecordReturn,
    Records,
    RecordsOfTask,
    RecordUnsent,
    Repeats,
    Report,
    RequireStillWanted,
    RunningProcesses,
    Send,
    Step,
    TakeOver,
    UndoClose,
    WaitForProcess,
)
from tests.model.world import OWNER, Inputs, Resource, a_record, the_one

Steps = Generator[Step, Any, Any]


class Me(NamedTuple):
    """The process in which a verb runs, and what it remembers of its earlier calls."""

    process: int
    unrecovered: frozenset[str] = frozenset()
    """`Run.unrecovered` at the start of the verb. The verb does not see what it adds itself."""
    number: int = 0
    """How many times this call was repeated. It is part of the trace id of the request."""


class Difference(NamedTuple):
    """`lifecycle.diff.Difference`."""

    replaces: bool
    stop_first: bool
    needs_recovery: bool = False


def create(me: Me, inputs: Inputs) -> Steps:
    yield from require_time_left(me, inputs)
    records = yield Records(OWNER)
    left = recovery_rules.steps_before_create(
        records,
        process=me.process,
        unrecovered=me.unrecovered,
        digest=inputs.digest,
        cname=inputs.cname,
        start_first=inputs.start_first,
    )
    kept = yield from recover(left, me, alone=not inputs.start_first)
    record = kept or (yield from start_agent(me, inputs))
    yield RecordReturn(record, inputs.kept, inputs.ends_at)
    yield from close_last(me, left)
    return record.task


def require_time_left(me: Me, inputs: Inputs) -> Steps:
    if not end_time.may_start(inputs.ends_at, (yield Now())):
        yield from recover_what_was_never_returned(me)
        raise EndPassed("")


def recover_what_was_never_returned(me: Me) -> Steps:
    records = yield Records(OWNER)
    yield from recover(recovery_rules.steps_after_delete(records, process=me.process, unrecovered=me.unrecovered), me)


def start_agent(me: Me, inputs: Inputs) -> Steps:
    record = yield Add(a_record(f"x{me.process}{'.again' * me.number}", OWNER, inputs, me.process, kept=inputs.kept))
    try:
        yield RequireStillWanted(record.trace_id, inputs.ends_at)
        yield Send(
            "create",
            trace=record.trace_id,
            cname=inputs.cname,
            digest=inputs.digest,
            alone=not inputs.start_first,
            ends_at=inputs.ends_at,
        )
        task = yield Receive()
    except OutcomeUnknown:
        yield Report(record.trace_id)
        raise
    except TakenOver:
        yield RecordUnsent(record)
        raise
    except (Refused, EndPassed):
        yield Forget(record)
        raise
    return (yield from record_response(me, record, task))


def record_response(me: Me, record: Record, task: str) -> Steps:
    answered = yield RecordResponse(record, task)
    if answered is not None and (yield EngineLives()):
        return answered
    if answered is None:
        cid, _, task_id = task.partition("/")
        trace = f"{record.trace_id}-{me.process}"
        orphan = replace(
            record, trace_id=trace, process=me.process, state=RecordState.CLOSING, cid=int(cid), task_id=task_id
        )
        answered = yield Add(the_one(orphan))
        records, living = (yield RecordsOfTask(task)), (yield RunningProcesses())
        if recovery_rules.is_managed(records, process=me.process, lives=living.__contains__):
            yield UndoClose(answered)
            raise TakenOver("")
    yield from close(answered)
    raise TakenOver("")


def recover(steps: Iterable[tuple[Record, recovery_rules.Step]], me: Me, *, alone: bool = False) -> Steps:
    kept = None
    for record, step in steps:
        if step is recovery_rules.Step.CLOSE_LAST:
            continue
        taken = yield from take_over(me, record, owes=True)
        if taken is None:
            continue
        if taken.state is not RecordState.ASKED:
            yield from close(taken)
        else:
            is_last = alone and step is recovery_rules.Step.REPEAT_AND_KEEP
            answered = yield from repeat_create(me, taken, alone=is_last)
            if answered is not None and (yield from keeps_response(answered, step)):
                kept = answered
    return kept


def close_last(me: Me, steps: Iterable[tuple[Record, recovery_rules.Step]]) -> Steps:
    for record, step in steps:
        if step is recovery_rules.Step.CLOSE_LAST:
            try:
                taken = yield from take_over(me, record)
                if taken is not None:
                    yield from close(taken)
            except RtcAiError:
                continue


def take_over(me: Me, record: Record, *, owes: bool = False) -> Steps:
    current: Record | None = record
    while current is not None:
        current = yield WaitForProcess(current)
        if current is None or not recovery_rules.is_leftover(current, process=me.process, unrecovered=me.unrecovered):
            return None
        taken = yield TakeOver(current, owes)
        if taken is not None:
            return taken
        current = yield RecordOf(record.trace_id)
    return None


def keeps_response(answered: Record, step: recovery_rules.Step) -> Steps:
    task = str(answered.task)
    others = [other for other in (yield Records(answered.owner)) if other.trace_id != answered.trace_id]
    if recovery_rules.is_closed(others, task):
        yield RecordClose(task)
        return False
    keep = step is recovery_rules.Step.REPEAT_AND_KEEP and not recovery_rules.is_over(others, task)
    if keep and not (yield from is_room_gone(answered)):
        return True
    yield from close(answered)
    return False


def repeat_create(me: Me, record: Record, *, alone: bool) -> Steps:
    yield Report(record.trace_id)
    try:
        yield RequireStillWanted(record.trace_id)
        yield Send("create", trace=record.trace_id, cname=record.cname, digest=record.digest, alone=alone)
        task = yield Receive()
    except RoomNotFound:
        yield Forget(record)
        return None
    except OutcomeUnknown:
        yield Report(record.trace_id)
        raise
    return (yield from record_response(me, record, task))


def is_room_gone(record: Record) -> Steps:
    try:
        return (yield QueryRoom(record.cname)) != record.cid
    except RoomNotFound:
        return True


def close(record: Record) -> Steps:
    was_open = yield BeginClose(record)
    yield from request_close(record, was_open=was_open)


def request_close(record: Record, *, was_open: bool) -> Steps:
    unknown = False
    while True:
        try:
            yield Send("close", task=record.task or "")
            yield Receive()
        except (TaskNotFound, RoomNotFound):
            break
        except OutcomeUnknown:
            unknown = True
            if not (yield Repeats()):
                raise
        except Refused:
            if (yield from is_room_gone(record)):
                break
            if was_open and not unknown:
                yield CancelClose(record)
            raise
        else:
            break
    yield RecordClose(str(record.task))


def delete(me: Me, old: Resource) -> Steps:
    known = yield RecordsOfTask(old.task)
    if not recovery_rules.is_closed(known, old.task):
        record = known[0] if known else (yield Add(record_of(old, me.process)))
        yield from close(record)
    yield from recover_what_was_never_returned(me)


def sweep_over(me: Me) -> Steps:
    """``rtcai sweep --over``, in a process of its own."""
    now, records = (yield Now()), (yield Records(OWNER))
    living = yield RunningProcesses()
    for record in records:
        if record.task is None or not end_time.may_stop(record, now):
            continue
        in_use = {other.process for other in records if other.task == record.task and other.is_unfinished}
        if in_use & living or not (yield BeginCloseUnlessChanged(record)):
            continue
        try:
            yield from request_close(record, was_open=record.state is RecordState.OPEN)
        except RtcAiError:
            continue


def record_of(old: Resource, process: int) -> Record:
    cid, _, task_id = old.task.partition("/")
    trace = f"state-{old.task}"
    known = {
        "state": RecordState.OPEN,
        "cid": int(cid),
        "task_id": task_id,
        "handed": True,
        "stored": True,
        "kept": old.inputs.kept,
    }
    return a_record(trace, OWNER, old.inputs, process, **known)


def diff(me: Me, old: Resource, new: Inputs) -> Steps:
    stop_first = new.cname == old.inputs.cname and not new.start_first
    known = yield RecordsOfTask(old.task)
    may_replace = end_time.may_replace(new.ends_at, (yield Now()))
    if may_replace and (new.digest != old.inputs.digest or (yield from is_gone(old, new, known))):
        return Difference(replaces=True, stop_first=stop_first)
    records = yield Records(OWNER)
    leftovers = recovery_rules.steps_next_to_task(
        records, process=me.process, unrecovered=me.unrecovered, task=old.task
    )
    stale = any(recovery_rules.is_stale(record, owner=OWNER, kept=new.kept, ends_at=new.ends_at) for record in known)
    stale = stale or old.inputs.ends_at != new.ends_at
    return Difference(replaces=False, stop_first=stop_first, needs_recovery=bool(leftovers) or stale)


def is_gone(old: Resource, new: Inputs, known: tuple[Record, ...]) -> Steps:
    if recovery_rules.is_over(known, old.task):
        return True
    if not end_time.is_extended(old.inputs.ends_at, new.ends_at, (yield Now())):
        return False
    return not known or (yield from is_room_gone(known[0]))


def update(me: Me, old: Resource, new: Inputs) -> Steps:
    if not (yield RecordsOfTask(old.task)):
        yield Add(record_of(old, me.process))
    yield Claim(old.task, OWNER, new.kept, new.ends_at)
    if end_time.may_replace(new.ends_at, (yield Now())) and old.inputs.ends_at:
        yield from require_not_stopped(old)
    records = yield Records(OWNER)
    yield from recover(
        recovery_rules.steps_next_to_task(records, process=me.process, unrecovered=me.unrecovered, task=old.task), me
    )


def require_not_stopped(old: Resource) -> Steps:
    if recovery_rules.is_over((yield RecordsOfTask(old.task)), old.task):
        raise TakenOver("")


def read(me: Me, old: Resource) -> Steps:
    """Returns whether the task no longer exists; an agent that is over counts as existing."""
    gone = yield from is_task_gone(me, old)
    return gone and not end_time.stays_in_state(old.inputs.ends_at, (yield Now()))


def is_task_gone(me: Me, old: Resource) -> Steps:
    if recovery_rules.is_closed((yield RecordsOfTask(old.task)), old.task):
        return True
    return (yield from is_room_gone(record_of(old, me.process)))
