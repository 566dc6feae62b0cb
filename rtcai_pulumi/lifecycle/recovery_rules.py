"""The rules by which a run deals with what earlier runs left: pure functions of records, without I/O.

Each is needed by a sequence of commands and faults. ``tests/model/`` holds engine, plugin, service and journal as a
model that runs these very functions: ``test_promises.py`` tries all orders of steps and finds no broken promise,
``test_rules.py`` takes out one rule after the other and finds one each time, ``test_sequences.py`` names the
sequences. ``test_crashes.py`` and ``test_sequences.py`` in ``tests/engine/`` play them with the real engine.
"""

from collections.abc import Callable, Collection, Iterable
from enum import Enum

from rtcai_pulumi.journal.record import Kept, Record, State


class Step(Enum):
    """What is to be done about one record that an earlier run left."""

    CLOSE = "close"
    """Its task is known: close it."""
    CLOSE_LAST = "close last"
    """Its task is known: close it once the new agent runs."""
    ASK_AND_KEEP = "ask and keep"
    """It was never answered, and asks for what is wanted now: ask again under its own trace id, keep the answer."""
    ASK_AND_CLOSE = "ask and close"
    """It was never answered, and asks for something else: ask again under its own trace id, close the answer."""


def left_by_earlier_runs(
    records: Iterable[Record],
    *,
    process: int,
    lost: Collection[str] = (),
    beside: str | None = None,
) -> list[Record]:
    """The unfinished records of earlier processes.

    Args:
        records: all records of one owner.
        process: the process that asks.
        lost: what this process owes: see `Run.lost`.
        beside: the task that is to stay, as ``{cid}/{taskId}``, where there is one.
    """
    return [
        record
        for record in records
        if is_left(record, process=process, lost=lost) and (record.task is None or record.task != beside)
    ]


def is_left(record: Record, *, process: int, lost: Collection[str] = ()) -> bool:
    """Whether there may be an agent on account of a record, and an earlier process answers for it.

    Processes are numbered in their order. A plugin that outlives its engine must leave alone what a later run started.
    Where an error hook has the engine repeat a call, what this very process could not settle is left as well.
    """
    is_left = record.process < process or record.trace_id in lost
    return record.unfinished and not record.left_alone and is_left


def is_taken_care_of(records: Iterable[Record], *, process: int, lives: Callable[[int], bool]) -> bool:
    """Whether a later process has a task, and has handed it to its engine or still lives to do so.

    Args:
        records: all records of one task.
        process: the process that asks.
        lives: whether a process still runs.
    """
    later = [record for record in records if record.state is State.OPEN and record.process > process]
    return any(record.handed or lives(record.process) for record in later)


def before_create(
    records: Iterable[Record],
    *,
    process: int,
    lost: Collection[str] = (),
    digest: str,
    cname: str,
    start_first: bool = False,
) -> list[tuple[Record, Step]]:
    """What `create` settles, so that there is one agent for its owner. At most one answer is kept.

    A replacement of which the engine shows the provider nothing (``--replace``, a taint, a trigger) looks like a first
    create, and the task in the state like one that an earlier run left. So the order of a replacement is kept here too.

    Args:
        records: all records of one owner.
        process: the process that asks.
        lost: what this process owes: see `Run.lost`.
        digest: of the configuration that is asked for.
        cname: its room: in another one, the old agent is closed last.
        start_first: whether the old agent is closed last in the same room, too.
    """
    steps = []
    kept = False
    for record in left_by_earlier_runs(records, process=process, lost=lost):
        keep = record.state is State.ASKED and record.digest == digest and not kept
        kept = kept or keep
        closed_last = record.state is State.OPEN and (start_first or record.cname != cname)
        steps.append((record, Step.CLOSE_LAST if closed_last else _step(record, keep=keep)))
    # What may be kept comes after the agents that it must not meet.
    return sorted(steps, key=lambda step: _ORDER.get(step[1], 0))


def beside_a_task(
    records: Iterable[Record], *, process: int, lost: Collection[str] = (), task: str
) -> list[tuple[Record, Step]]:
    """What `update` settles: whatever stands beside the one task that the engine knows and keeps."""
    left = left_by_earlier_runs(records, process=process, lost=lost, beside=task)
    return [(record, _step(record, keep=False)) for record in left]


def is_replaced_elsewhere(record: Record, others: Iterable[Record]) -> bool:
    """Whether another machine's run has replaced a task: the state has named one that this journal did not know.

    That run had the state, and so dealt with the task itself; only this machine's journal believes in it still.

    Args:
        record: of the task.
        others: all records of its owner.
    """
    return any(other.is_from_state and other.began_at > record.began_at for other in others)


def after_delete(records: Iterable[Record], *, process: int, lost: Collection[str] = ()) -> list[tuple[Record, Step]]:
    """What `delete` settles afterwards: only what no engine was ever handed, and what another machine has replaced.

    A replacement that starts first has two tasks that an engine knows; to close the other one here would leave the
    room without an agent. A task may have several records: where one was handed, the task was.
    """
    records = list(records)
    handed = {record.task for record in records if record.handed}
    left = left_by_earlier_runs(records, process=process, lost=lost)
    return [
        (record, _step(record, keep=False))
        for record in left
        if record.task not in handed or is_replaced_elsewhere(record, records)
    ]


def is_over(records: Iterable[Record], task: str) -> bool:
    """Whether the journal knows a task as closing or closed: what the state says of it is out of date."""
    return any(record.task == task and record.state in {State.CLOSING, State.CLOSED} for record in records)


def is_closed(records: Iterable[Record], task: str) -> bool:
    """Whether the journal knows a task as closed, so that closing it needs no request."""
    return any(record.task == task and record.state is State.CLOSED for record in records)


def is_stale(record: Record, *, owner: object, kept: Kept) -> bool:
    """Whether the journal has to be told whom a task belongs to now, or whether it is to be retained.

    A resource, or its stack, was renamed: whoever takes its old name must not find this task as left by a run. And a
    retained one is left alone only once an engine has it for sure.

    Args:
        record: of the task.
        owner: what the program states; no text while it is not known.
        kept: what the program states.
    """
    renamed = isinstance(owner, str) and record.owner != owner
    unsure = kept is Kept.RETAINED and not record.stored
    return record.unfinished and (renamed or record.kept is not kept or unsure)


def may_send(record: Record | None, *, process: int, engine_lives: bool) -> bool:
    """Whether a process may send the request of its record: it still answers for it, and someone waits for it."""
    return record is not None and record.process == process and record.state is State.ASKED and engine_lives


def is_superseded(records: Iterable[Record], *, process: int) -> bool:
    """Whether a later process has an agent of the owner, or has asked for one: this process may start no other.

    As where a stack was unlocked while the engine of an earlier run still worked on it.

    Args:
        records: all records of one owner.
        process: the process that asks.
    """
    return any(record.process > process and record.state in {State.ASKED, State.OPEN} for record in records)


def _step(record: Record, *, keep: bool) -> Step:
    if record.state is not State.ASKED:
        return Step.CLOSE
    return Step.ASK_AND_KEEP if keep else Step.ASK_AND_CLOSE


_ORDER = {Step.ASK_AND_KEEP: 1, Step.CLOSE_LAST: 2}
