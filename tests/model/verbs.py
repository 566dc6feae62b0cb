"""The verbs of a plugin process: the steps of ``rtcai_pulumi/lifecycle`` in the same order, with the same rules.

Keep each function in step with its counterpart there: `create` and `started` with ``create.py``, `note_answer` with
``result.py``, `settle` to `ask_again` with ``recovery.py``, `room_is_gone` and `close` with ``context.py``. The
parameter `alone` is not in the product: it marks requests that must not meet another agent, which the service's side of
the model checks.
"""

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from rtcai_pulumi.journal.record import Record, State
from rtcai_pulumi.lifecycle import recovery_rules as settling
from rtcai_pulumi.service.errors import OutcomeUnknown, Refused, RoomNotFound, RtcAiError, TakenOver, TaskNotFound
from tests.model.steps import (
    Add,
    Answered,
    Claim,
    Closed,
    Closing,
    EngineLives,
    Forget,
    HandOver,
    Leave,
    Living,
    NotClosing,
    NotSent,
    QueryRoom,
    Receive,
    RecordOf,
    Records,
    RecordsOfTask,
    Repeats,
    RequireTurn,
    Send,
    SettledByItsProcess,
    Step,
    TakeOver,
    Tell,
)
from tests.model.world import OWNER, Inputs, Resource, a_record, the_one

Steps = Generator[Step, Any, Any]


class Me(NamedTuple):
    """The process in which a verb runs, and what it remembers of its earlier calls."""

    process: int
    lost: frozenset[str] = frozenset()
    """`Run.lost` at the start of the verb. The verb does not see what it adds itself."""
    number: int = 0
    """How many times this call was repeated. It is part of the trace id of the request."""


class Difference(NamedTuple):
    """`lifecycle.diff.Difference`."""

    replaces: bool
    stop_first: bool
    settles: bool = False


def create(me: Me, inputs: Inputs) -> Steps:
    records = yield Records(OWNER)
    left = settling.before_create(
        records,
        process=me.process,
        lost=me.lost,
        digest=inputs.digest,
        cname=inputs.cname,
        start_first=inputs.start_first,
    )
    kept = yield from settle(left, me, alone=not inputs.start_first)
    record = kept or (yield from started(me, inputs))
    yield HandOver(record, inputs.kept)
    yield from close_last(me, left)
    return record.task


def started(me: Me, inputs: Inputs) -> Steps:
    record = yield Add(a_record(f"x{me.process}{'.again' * me.number}", OWNER, inputs, me.process, kept=inputs.kept))
    try:
        yield RequireTurn(record.trace_id)
        yield Send(
            "create",
            trace=record.trace_id,
            cname=inputs.cname,
            digest=inputs.digest,
            alone=not inputs.start_first,
        )
        task = yield Receive()
    except OutcomeUnknown:
        yield Tell(record.trace_id)
        raise
    except TakenOver:
        yield NotSent(record)
        raise
    except Refused:
        yield Forget(record)
        raise
    return (yield from note_answer(me, record, task))


def note_answer(me: Me, record: Record, task: str) -> Steps:
    answered = yield Answered(record, task)
    if answered is not None and (yield EngineLives()):
        return answered
    if answered is None:
        cid, _, task_id = task.partition("/")
        trace = f"{record.trace_id}-{me.process}"
        orphan = replace(record, trace_id=trace, process=me.process, state=State.CLOSING, cid=int(cid), task_id=task_id)
        answered = yield Add(the_one(orphan))
        records, living = (yield RecordsOfTask(task)), (yield Living())
        if settling.is_taken_care_of(records, process=me.process, lives=living.__contains__):
            yield Leave(answered)
            raise TakenOver("")
    yield from close(answered)
    raise TakenOver("")


def settle(steps: Iterable[tuple[Record, settling.Step]], me: Me, *, alone: bool = False) -> Steps:
    kept = None
    for record, step in steps:
        if step is settling.Step.CLOSE_LAST:
            continue
        taken = yield from taken_over(me, record, owes=True)
        if taken is None:
            continue
        if taken.state is not State.ASKED:
            yield from close(taken)
        else:
            is_last = alone and step is settling.Step.ASK_AND_KEEP
            answered = yield from ask_again(me, taken, alone=is_last)
            if answered is not None and (yield from keeps(answered, step)):
                kept = answered
    return kept


def close_last(me: Me, steps: Iterable[tuple[Record, settling.Step]]) -> Steps:
    for record, step in steps:
        if step is settling.Step.CLOSE_LAST:
            try:
                taken = yield from taken_over(me, record)
                if taken is not None:
                    yield from close(taken)
            except RtcAiError:
                continue


def taken_over(me: Me, record: Record, *, owes: bool = False) -> Steps:
    current: Record | None = record
    while current is not None:
        current = yield SettledByItsProcess(current)
        if current is None or not settling.is_left(current, process=me.process, lost=me.lost):
            return None
        taken = yield TakeOver(current, owes)
        if taken is not None:
            return taken
        current = yield RecordOf(record.trace_id)
    return None


def keeps(answered: Record, step: settling.Step) -> Steps:
    task = str(answered.task)
    others = [other for other in (yield Records(answered.owner)) if other.trace_id != answered.trace_id]
    if settling.is_closed(others, task):
        yield Closed(task)
        return False
    keep = step is settling.Step.ASK_AND_KEEP and not settling.is_over(others, task)
    if keep and not (yield from room_is_gone(answered)):
        return True
    yield from close(answered)
    return False


def ask_again(me: Me, record: Record, *, alone: bool) -> Steps:
    yield Tell(record.trace_id)
    try:
        yield RequireTurn(record.trace_id)
        yield Send("create", trace=record.trace_id, cname=record.cname, digest=record.digest, alone=alone)
        task = yield Receive()
    except RoomNotFound:
        yield Forget(record)
        return None
    except OutcomeUnknown:
        yield Tell(record.trace_id)
        raise
    return (yield from note_answer(me, record, task))


def room_is_gone(record: Record) -> Steps:
    try:
        return (yield QueryRoom(record.cname)) != record.cid
    except RoomNotFound:
        return True


def close(record: Record) -> Steps:
    was_open = yield Closing(record)
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
            if (yield from room_is_gone(record)):
                break
            if was_open and not unknown:
                yield NotClosing(record)
            raise
        else:
            break
    yield Closed(str(record.task))


def delete(me: Me, old: Resource) -> Steps:
    known = yield RecordsOfTask(old.task)
    if not settling.is_closed(known, old.task):
        record = known[0] if known else (yield Add(record_of(old, me.process)))
        yield from close(record)
    records = yield Records(OWNER)
    yield from settle(settling.after_delete(records, process=me.process, lost=me.lost), me)


def record_of(old: Resource, process: int) -> Record:
    cid, _, task_id = old.task.partition("/")
    trace = f"state-{old.task}"
    known = {
        "state": State.OPEN,
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
    if new.digest != old.inputs.digest or settling.is_over(known, old.task):
        return Difference(replaces=True, stop_first=stop_first)
    records = yield Records(OWNER)
    beside = settling.beside_a_task(records, process=me.process, lost=me.lost, task=old.task)
    stale = any(settling.is_stale(record, owner=OWNER, kept=new.kept) for record in known)
    return Difference(replaces=False, stop_first=stop_first, settles=bool(beside) or stale)


def update(me: Me, old: Resource, new: Inputs) -> Steps:
    if not (yield RecordsOfTask(old.task)):
        yield Add(record_of(old, me.process))
    yield Claim(old.task, OWNER, new.kept)
    records = yield Records(OWNER)
    yield from settle(settling.beside_a_task(records, process=me.process, lost=me.lost, task=old.task), me)


def read(me: Me, old: Resource) -> Steps:
    """Returns whether the task no longer exists."""
    if settling.is_closed((yield RecordsOfTask(old.task)), old.task):
        return True
    return (yield from room_is_gone(record_of(old, me.process)))
