"""The rules by which a run recovers what earlier runs left unfinished: pure functions of records, without I/O.

Each rule is needed for some sequence of commands and faults. ``tests/model/`` has a model of engine, plugin, service
and journal that runs these same functions: ``test_promises.py`` tries all orders of steps and finds no broken promise,
``test_rules.py`` removes one rule after the other and finds a broken promise each time, ``test_sequences.py`` names the
sequences. ``test_crashes.py`` and ``test_sequences.py`` in ``tests/engine/`` run them with the real engine.
"""

from collections.abc import Callable, Collection, Iterable
from enum import Enum

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState


class Step(Enum):
    """What to do about one record that an earlier run left unfinished."""

    CLOSE = "close"
    """Its task is known: close it."""
    CLOSE_LAST = "close last"
    """Its task is known: close it once the new agent runs."""
    REPEAT_AND_KEEP = "repeat and keep"
    """No response is known, and it matches the current configuration: send it again under its own trace id, keep it."""
    REPEAT_AND_CLOSE = "repeat and close"
    """No response is known, and it does not match: send it again under its own trace id, then close the task."""


def find_leftovers(
    records: Iterable[Record],
    *,
    process: int,
    unrecovered: Collection[str] = (),
    task_to_keep: str | None = None,
) -> list[Record]:
    """The unfinished records of earlier processes.

    Args:
        records: all records of one owner.
        process: the number of the current process.
        unrecovered: the records that this process must still recover; see `Run.unrecovered`.
        task_to_keep: the task that stays, as ``{cid}/{taskId}``, if there is one.
    """
    return [
        record
        for record in records
        if is_leftover(record, process=process, unrecovered=unrecovered)
        and (record.task is None or record.task != task_to_keep)
    ]


def is_leftover(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    """Whether there may be an agent because of a record that an earlier process owns.

    Processes are numbered in the order in which they start. A plugin that outlives its engine must not touch what a
    later run started. If an error hook has the engine repeat a call, the records that this process could not recover
    count too.
    """
    is_left = record.process < process or record.trace_id in unrecovered
    return record.is_unfinished and not record.is_left_alone and is_left


def is_managed(records: Iterable[Record], *, process: int, lives: Callable[[int], bool]) -> bool:
    """Whether a later process has a task, and has returned it to its engine or still runs and can do so.

    Args:
        records: all records of one task.
        process: the number of the current process.
        lives: whether a process still runs.
    """
    later = [record for record in records if record.state is RecordState.OPEN and record.process > process]
    return any(record.handed or lives(record.process) for record in later)


def steps_before_create(
    records: Iterable[Record],
    *,
    process: int,
    unrecovered: Collection[str] = (),
    digest: str,
    cname: str,
    start_first: bool = False,
) -> list[tuple[Record, Step]]:
    """What `create` recovers, so that its owner has exactly one agent. At most one response is kept.

    The engine does not pass the old resource to a create that replaces it because of ``--replace``, a taint or a
    trigger. Such a replacement looks like a first create, and the task in the state looks like one that an earlier run
    left unfinished. So the order of a replacement is kept here too.

    Args:
        records: all records of one owner.
        process: the number of the current process.
        unrecovered: the records that this process must still recover; see `Run.unrecovered`.
        digest: the digest of the current configuration.
        cname: its room; if the old agent is in another room, it is closed last.
        start_first: whether the old agent is closed last in the same room, too.
    """
    steps = []
    kept = False
    for record in find_leftovers(records, process=process, unrecovered=unrecovered):
        keep = record.state is RecordState.ASKED and record.digest == digest and not kept
        kept = kept or keep
        closed_last = record.state is RecordState.OPEN and (start_first or record.cname != cname)
        steps.append((record, Step.CLOSE_LAST if closed_last else _step(record, keep=keep)))
    # A create whose response may be kept comes after the agents that must be closed before it.
    return sorted(steps, key=lambda step: _ORDER.get(step[1], 0))


def steps_next_to_task(
    records: Iterable[Record], *, process: int, unrecovered: Collection[str] = (), task: str
) -> list[tuple[Record, Step]]:
    """What `update` recovers: everything next to the one task that the engine knows and keeps."""
    leftovers = find_leftovers(records, process=process, unrecovered=unrecovered, task_to_keep=task)
    return [(record, _step(record, keep=False)) for record in leftovers]


def is_replaced_elsewhere(record: Record, others: Iterable[Record]) -> bool:
    """Whether another machine's run has replaced a task: the state named a task that this journal did not know.

    That run had the state, and so has dealt with the task itself; only this machine's journal still counts it as
    running.

    Args:
        record: the task's record.
        others: all records of its owner.
    """
    return any(other.is_from_state and other.began_at > record.began_at for other in others)


def steps_after_delete(
    records: Iterable[Record], *, process: int, unrecovered: Collection[str] = ()
) -> list[tuple[Record, Step]]:
    """What `delete` recovers afterwards: only tasks never returned to an engine, or replaced by another machine.

    A replacement that starts first has two tasks that an engine knows; if the other one were closed here, the room
    would have no agent. A task may have several records: if one of them was returned to an engine, the task was.
    """
    records = list(records)
    returned = {record.task for record in records if record.handed}
    leftovers = find_leftovers(records, process=process, unrecovered=unrecovered)
    return [
        (record, _step(record, keep=False))
        for record in leftovers
        if record.task not in returned or is_replaced_elsewhere(record, records)
    ]


def is_over(records: Iterable[Record], task: str) -> bool:
    """Whether the journal has a task as closing or closed: the state's data about it is out of date."""
    return any(record.task == task and record.state in {RecordState.CLOSING, RecordState.CLOSED} for record in records)


def is_closed(records: Iterable[Record], task: str) -> bool:
    """Whether the journal has a task as closed. No request is needed to close it."""
    return any(record.task == task and record.state is RecordState.CLOSED for record in records)


def is_stale(record: Record, *, owner: object, kept: KeepReason, ends_at: str = "") -> bool:
    """Whether the journal must be updated with the task's current owner, its end, or whether the task is retained.

    A resource or its stack may have been renamed: a new resource with the old name must not find this task as one that
    a run left unfinished. A retained task is left alone only once an engine definitely has it. And `rtcai sweep --over`
    stops an agent by the end that the journal has.

    Args:
        record: the task's record.
        owner: the owner from the program; not a string as long as it is unknown.
        kept: whether the program retains the task.
        ends_at: the end from the program; empty if there is none.
    """
    renamed = isinstance(owner, str) and record.owner != owner
    unsure = kept is KeepReason.RETAINED and not record.stored
    return record.is_unfinished and (renamed or record.kept is not kept or record.ends_at != ends_at or unsure)


def may_send(record: Record | None, *, process: int, engine_lives: bool) -> bool:
    """Whether a process may send its record's request: it still owns the record, and an engine waits for the result."""
    return record is not None and record.process == process and record.state is RecordState.ASKED and engine_lives


def is_superseded(records: Iterable[Record], *, process: int) -> bool:
    """Whether a later process has an agent of the owner or has requested one: this process may not start another.

    This happens if a stack was unlocked while the engine of an earlier run still worked on it.

    Args:
        records: all records of one owner.
        process: the number of the current process.
    """
    return any(record.process > process and record.state in {RecordState.ASKED, RecordState.OPEN} for record in records)


def is_being_closed(records: Iterable[Record], *, process: int) -> bool:
    """Whether a later process is closing a task of the owner: this process may not start an agent next to it yet.

    The recovery leaves the records of later processes alone. `rtcai sweep --over` is a later process if it begins while
    a run works.

    Args:
        records: all records of one owner.
        process: the number of the current process.
    """
    return any(record.process > process and record.state is RecordState.CLOSING for record in records)


def _step(record: Record, *, keep: bool) -> Step:
    if record.state is not RecordState.ASKED:
        return Step.CLOSE
    return Step.REPEAT_AND_KEEP if keep else Step.REPEAT_AND_CLOSE


_ORDER = {Step.REPEAT_AND_KEEP: 1, Step.CLOSE_LAST: 2}
