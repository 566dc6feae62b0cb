"""The rules, each with a version of its function that lacks the rule, and a scenario that shows why it is needed.

Some rules are missing here, because the model finds no broken promise without them. They stay in the product as a
second protection and have unit tests:

- `may_send` also asks whether this process still owns an unanswered record. This is needed if the plugin cannot find
  out whether its engine is alive: `Engine.lives` then returns true. The model does not have this case.
- `is_superseded` is for two engines that work on one stack at the same time. The model has only one engine.
- A run waits for a record that its process may still finish. This saves a request, which a service that ignores
  duplicates would treat as a new one.
- `is_managed` is for two runs that got the same task. It avoids a room without an agent until the next `up`.
- A record is taken over only from the process that was seen to own it. Without this, a later run would fail if the
  plugin of a killed run acts late.
- `Journal.begin_close` records which process closes the task, and does not change a closed record. Both make sure that
  `cancel_close` changes only the right record, so a refused close does not lead to an unnecessary replacement.

- A sweep leaves alone what a running process works on. Without this, it would close an agent that is over anyway, while
  that process works on it.

`is_replaced_elsewhere` is missing because it is for two machines with a journal each, and the model has one journal. A
second journal would double the number of worlds for a single rule. That rule only saves a run an error and does not
decide about any agent: the close request is sent in any case. ``tests/engine/test_machines.py`` tests it every day.
Once `KeepReason.REFUSED` is written, it has the same effect as `KeepReason.RETAINED`; `Record.is_left_alone` is tested
here.

`filter_by_state` in ``recovery.py`` is missing because it is for names that another resource or stack has taken,
and the model has none. With one resource it decides nothing. Assume that an engine once had a task that the state no
longer has: either the task was closed, or a killed run started it and no run had stored it.
``tests/engine/test_names_taken_again.py`` tests it.

What `recover` decides about the task of a repeated create by the state, and about the task that `update` keeps, is
missing because it is for a journal that is older than the state. ``tests/engine/test_machines.py`` tests it.

The rules of `Room` are in ``test_rooms.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from dataclasses import replace as replace_field
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from rtcai_pulumi.lifecycle import end_time, recovery_rules
from rtcai_pulumi.lifecycle.recovery_rules import Step
from tests.model import steps, verbs
from tests.model.commands import Cancel
from tests.model.scenarios import (
    ANY_TWO_COMMANDS,
    DESTROY,
    ELSEWHERE,
    ENDING,
    ENDING_LATER,
    NO_LONGER_RETAINING,
    RETAINED,
    RETAINING,
    WITH_END,
    A,
    B,
    Scenario,
    hooked,
    replace,
    up,
)

if TYPE_CHECKING:
    from tests.model.world import Inputs, Resource, World

Decided = list[tuple[Record, Step]]

_is_leftover = recovery_rules.is_leftover
_find_leftovers = recovery_rules.find_leftovers
_steps_before_create = recovery_rules.steps_before_create
_steps_next_to_task = recovery_rules.steps_next_to_task
_steps_after_delete = recovery_rules.steps_after_delete
_may_send = recovery_rules.may_send
_is_stale = recovery_rules.is_stale
_diff = verbs.diff
_read = verbs.read


ANY_TWO: Final = Scenario(ANY_TWO_COMMANDS)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, the object that has its function, and a version of the function without the rule."""

    name: str
    place: Any
    function: str
    without: Any
    shown_by: Scenario = ANY_TWO
    exhaustive: bool = False
    """Whether its scenario is too large to run every day."""


# recovery_rules.is_leftover and find_leftovers


def _with_finished_records(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return record.process < process or record.trace_id in unrecovered


def _of_any_other_process(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return record.is_unfinished and record.process != process


def _with_the_task_to_keep(records: Iterable[Record], *, task_to_keep: str | None = None, **of: Any) -> list[Record]:
    return _find_leftovers(records, **of)


def _without_unanswered_creates(records: Iterable[Record], **of: Any) -> list[Record]:
    return [record for record in _find_leftovers(records, **of) if record.state is not RecordState.ASKED]


# recovery_rules.steps_before_create


def _keep_any_response(records: Iterable[Record], *, digest: str, **of: Any) -> Decided:
    steps = [step for record in records for step in _steps_before_create([record], digest=record.digest, **of)]
    return sorted(steps, key=lambda step: step[1] is Step.REPEAT_AND_KEEP)


def _keep_every_response(records: Iterable[Record], **of: Any) -> Decided:
    steps = [step for record in records for step in _steps_before_create([record], **of)]
    return sorted(steps, key=lambda step: step[1] is Step.REPEAT_AND_KEEP)


def _keep_no_response(records: Iterable[Record], *, digest: str, **of: Any) -> Decided:
    return _steps_before_create(records, digest="", **of)


def _in_order_of_records(records: Iterable[Record], **of: Any) -> Decided:
    records = list(records)
    return sorted(_steps_before_create(records, **of), key=lambda step: records.index(step[0]))


def _close_no_known_task(records: Iterable[Record], **of: Any) -> Decided:
    return [step for step in _steps_before_create(records, **of) if step[1] is not Step.CLOSE]


def _close_nothing_last_in_its_room(records: Iterable[Record], *, start_first: bool, **of: Any) -> Decided:
    return _steps_before_create(records, **of)


def _close_nothing_last_elsewhere(records: Iterable[Record], *, cname: str, **of: Any) -> Decided:
    return [step for record in records for step in _steps_before_create([record], cname=record.cname, **of)]


def _close_nothing_last(me: verbs.Me, decided: Decided) -> verbs.Steps:
    yield from ()


# recovery_rules.steps_next_to_task, steps_after_delete


def _keep_responses(steps: Decided) -> Decided:
    return [(record, Step.REPEAT_AND_KEEP if step is Step.REPEAT_AND_CLOSE else step) for record, step in steps]


def _with_returned_tasks(records: Iterable[Record], **of: Any) -> Decided:
    return _steps_next_to_task(records, task="", **of)


def _returned_in_its_own_record(records: Iterable[Record], **of: Any) -> Decided:
    return [step for step in _steps_next_to_task(records, task="", **of) if not step[0].handed]


# recovery_rules.is_over, is_closed


def _without_unrecovered(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return _is_leftover(record, process=process)


def _unrecovered_creates_only(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return _is_leftover(record, process=process, unrecovered=unrecovered if record.state is RecordState.ASKED else ())


def _update_without_unrecovered(records: Iterable[Record], *, unrecovered: Collection[str] = (), **of: Any) -> Decided:
    return _steps_next_to_task(records, **of)


def _delete_without_unrecovered(records: Iterable[Record], *, unrecovered: Collection[str] = (), **of: Any) -> Decided:
    return _steps_after_delete(records, **of)


def _has(records: Iterable[Record], task: str, *states: RecordState) -> bool:
    return any(record.task == task and record.state in states for record in records)


# recovery_rules.may_send


def _send_without_engine(record: Record | None, *, process: int, engine_lives: bool) -> bool:
    return _may_send(record, process=process, engine_lives=True)


# conditions of the journal's writes, and other checks of the verbs


def _do_not_take_over(self: steps.TakeOver, world: World, process: int, option: str) -> Record | None:
    return world.record(self.record.trace_id)


def _record_response_of_any_process(
    self: steps.RecordResponse, world: World, process: int, option: str
) -> Record | None:
    cid, _, task_id = self.task.partition("/")
    return steps.change(world, self.record, state=RecordState.OPEN, cid=int(cid), task_id=task_id)


def _forget_from_any_process(self: steps.Forget, world: World, process: int, option: str) -> None:
    world.records = tuple(record for record in world.records if record.trace_id != self.record.trace_id)


def _undo_close_from_any_process(self: steps.UndoClose, world: World, process: int, option: str) -> None:
    world.late -= {str(self.record.task)}
    world.records = tuple(record for record in world.records if record.trace_id != self.record.trace_id)


def _begin_close_as_the_first(self: steps.BeginClose, world: World, process: int, option: str) -> bool:
    _begin_close_take(self, world, process, option)
    return True


def _close_in_one_record(self: steps.RecordClose, world: World, process: int, option: str) -> None:
    for record in [record for record in world.records if record.task == self.task][:1]:
        steps.change(world, record, state=RecordState.CLOSED)


def _cancel_close_from_any_process(self: steps.CancelClose, world: World, process: int, option: str) -> None:
    steps.change(world, self.record, state=RecordState.OPEN)


_begin_close_take = steps.BeginClose.take
_return_take = steps.RecordReturn.take


def _do_nothing(self: Any, world: World, process: int, option: str) -> None:
    pass


def _record_nothing_stored(self: Cancel, world: World, process: int) -> None:
    pass


def _engine_always_lives(self: Any, world: World, process: int, option: str) -> bool:
    return True


def _diff_that_writes(me: verbs.Me, old: Resource, new: Inputs) -> verbs.Steps:
    found = yield from _diff(me, old, new)
    for record in (yield steps.RecordsOfTask(old.task)):
        yield steps.RecordReturn(record, record.kept)
    return found


def _read_that_writes(me: verbs.Me, old: Resource) -> verbs.Steps:
    gone = yield from _read(me, old)
    if gone:
        yield steps.RecordClose(old.task)
    return gone


def _return_as_first_requested(self: steps.RecordReturn, world: World, process: int, option: str) -> None:
    steps.change(world, self.record, handed=True)


def _ignore_retention(record: Record, *, owner: object, kept: KeepReason, ends_at: str = "") -> bool:
    return record.is_unfinished and record.owner != owner


def _never_gone(record: Record) -> verbs.Steps:
    yield steps.QueryRoom(record.cname)
    return False


def _take_over_once(me: verbs.Me, record: Record, *, owes: bool = False) -> verbs.Steps:
    current = yield steps.WaitForProcess(record)
    if current is None or not recovery_rules.is_leftover(current, process=me.process, unrecovered=me.unrecovered):
        return None
    return (yield steps.TakeOver(current, owes))


# the end of an agent


def _stop_everything(record: Record, *_: object) -> bool:
    return record.is_unfinished


def _recover_nothing(me: verbs.Me) -> verbs.Steps:
    yield from ()


def _require_nothing(old: Resource) -> verbs.Steps:
    yield from ()


def _begin_close_although_changed(self: steps.BeginCloseUnlessChanged, world: World, process: int, option: str) -> bool:
    now = world.record(self.record.trace_id)
    if now is None or now.state is RecordState.CLOSED:
        return False
    steps.change(world, now, state=RecordState.CLOSING, process=process)
    return True


def _claim_without_end(self: steps.Claim, world: World, process: int, option: str) -> None:
    for record in world.records:
        if record.task == self.task and record.state is not RecordState.CLOSED:
            steps.change(world, record, owner=self.owner, kept=self.kept, stored=True)


def _ignore_end(record: Record, *, owner: object, kept: KeepReason, ends_at: str) -> bool:
    return _is_stale(record, owner=owner, kept=kept, ends_at=record.ends_at)


def _return_with_the_first_end(self: steps.RecordReturn, world: World, process: int, option: str) -> None:
    _return_take(replace_field(self, ends_at=self.record.ends_at), world, process, option)


AN_EDIT: Final = Scenario(((up(B),), (up(A),)), faults=2, after=(up(A),))
AN_EDIT_WITH_THREE_FAULTS: Final = Scenario(((up(B),), (up(A),)), faults=3, after=(up(A),))
AN_EDIT_AND_REPLACE: Final = Scenario(((up(B),), (replace(A),)), faults=2, after=(up(A),))
AN_EDIT_AND_DESTROY: Final = Scenario(((up(B),), (up(A), DESTROY)), faults=2, after=(up(A),))
TWO_LOST: Final = Scenario(((up(A),), (up(A),)), faults=3)
LEFT_ELSEWHERE: Final = Scenario(((up(ELSEWHERE),),))
ORPHAN: Final = Scenario(((up(B),), (replace(B),)), after=(up(A),))
LOST_EDITED_REVERTED: Final = Scenario(((up(A),), (up(B),), (up(A),)), faults=2)

REPEATED_CREATE: Final = Scenario(((hooked(up(A)),),))
REPEATED_REPLACE: Final = Scenario(((hooked(replace(A)),),), after=(up(A),))
REPEATED_UPDATE: Final = Scenario(((up(ELSEWHERE),), (hooked(up(A)),)), faults=2, after=(up(A),))
REPEATED_DELETE: Final = Scenario(((up(ELSEWHERE),), (hooked(DESTROY),)), faults=2, after=(up(A),))

RETAINED_FROM_NOTHING: Final = Scenario((RETAINING, NO_LONGER_RETAINING))
RETAINED_AFTERWARDS: Final = Scenario(((up(RETAINED),), (up(None),)), after=(up(A),))

ENDS: Final = Scenario((WITH_END,), faults=0, after=(up(ENDING),), sweeps=1, ends=True)
ENDS_AFTER_A_LOST_CREATE: Final = Scenario(((up(ENDING),),), faults=1, sweeps=1, ends=True)
MOVED_BY_A_KILLED_RUN: Final = Scenario(((up(ENDING),),), faults=1, after=(up(ENDING_LATER),))

RULES: Final = (
    Rule("a closed record is finished", recovery_rules, "is_leftover", _with_finished_records),
    Rule(
        "a later run's record is not a leftover",
        recovery_rules,
        "is_leftover",
        _of_any_other_process,
        AN_EDIT_AND_REPLACE,
    ),
    Rule("the task to keep is not a leftover", recovery_rules, "find_leftovers", _with_the_task_to_keep),
    Rule("an unanswered create is a leftover too", recovery_rules, "find_leftovers", _without_unanswered_creates),
    Rule(
        "only a response of the same configuration is kept", recovery_rules, "steps_before_create", _keep_any_response
    ),
    Rule("at most one response is kept", recovery_rules, "steps_before_create", _keep_every_response, TWO_LOST),
    Rule("a response of the same configuration is kept", recovery_rules, "steps_before_create", _keep_no_response),
    Rule(
        "a response that may be kept comes last",
        recovery_rules,
        "steps_before_create",
        _in_order_of_records,
        LOST_EDITED_REVERTED,
    ),
    Rule("create closes known tasks", recovery_rules, "steps_before_create", _close_no_known_task),
    Rule("start-first closes last", recovery_rules, "steps_before_create", _close_nothing_last_in_its_room, AN_EDIT),
    Rule("another room closes last", recovery_rules, "steps_before_create", _close_nothing_last_elsewhere, AN_EDIT),
    Rule("a task to be closed last is closed", verbs, "close_last", _close_nothing_last, LEFT_ELSEWHERE),
    Rule("update recovers leftovers", recovery_rules, "steps_next_to_task", lambda *_, **__: []),
    Rule(
        "update keeps no other response",
        recovery_rules,
        "steps_next_to_task",
        lambda *of, **and_of: _keep_responses(_steps_next_to_task(*of, **and_of)),
    ),
    Rule("delete recovers leftovers", recovery_rules, "steps_after_delete", lambda *_, **__: []),
    Rule(
        "delete keeps no response",
        recovery_rules,
        "steps_after_delete",
        lambda *args, **kwargs: _keep_responses(_steps_after_delete(*args, **kwargs)),
    ),
    Rule("delete does not close returned tasks", recovery_rules, "steps_after_delete", _with_returned_tasks),
    Rule(
        "a task is returned in all its records",
        recovery_rules,
        "steps_after_delete",
        _returned_in_its_own_record,
        ORPHAN,
    ),
    Rule("a closing or closed task is replaced", recovery_rules, "is_over", lambda *_: False),
    Rule(
        "a closing task is replaced",
        recovery_rules,
        "is_over",
        lambda records, task: _has(records, task, RecordState.CLOSED),
    ),
    Rule(
        "a closed task is replaced",
        recovery_rules,
        "is_over",
        lambda records, task: _has(records, task, RecordState.CLOSING),
    ),
    Rule("a closed task needs no request", recovery_rules, "is_closed", lambda *_: False),
    Rule(
        "a closing task is not closed",
        recovery_rules,
        "is_closed",
        lambda records, task: _has(records, task, RecordState.CLOSED, RecordState.CLOSING),
    ),
    Rule("only a process with an engine sends a create", recovery_rules, "may_send", _send_without_engine),
    Rule("a task that no engine waits for is closed", steps.EngineLives, "take", _engine_always_lives),
    Rule(
        "a record that was taken over takes no response", steps.RecordResponse, "take", _record_response_of_any_process
    ),
    Rule("recovery takes over the record", steps.TakeOver, "take", _do_not_take_over),
    Rule(
        "a record that could not be taken over is read again", verbs, "take_over", _take_over_once, AN_EDIT_AND_REPLACE
    ),
    Rule(
        "a record that was taken over is not forgotten",
        steps.Forget,
        "take",
        _forget_from_any_process,
        AN_EDIT_WITH_THREE_FAULTS,
    ),
    Rule(
        "a record that was taken over is not undone",
        steps.UndoClose,
        "take",
        _undo_close_from_any_process,
        LOST_EDITED_REVERTED,
        exhaustive=True,
    ),
    Rule("only the first close is cancelled", steps.BeginClose, "take", _begin_close_as_the_first, AN_EDIT_AND_DESTROY),
    Rule(
        "only a process's own close is cancelled",
        steps.CancelClose,
        "take",
        _cancel_close_from_any_process,
        AN_EDIT_AND_DESTROY,
    ),
    Rule("a response of an ended room is not kept", verbs, "is_room_gone", _never_gone),
    Rule("a task is closed in all its records", steps.RecordClose, "take", _close_in_one_record, AN_EDIT),
    Rule("a task is journaled as returned to an engine", steps.RecordReturn, "take", _do_nothing),
    Rule(
        "a create lost in this process is a leftover",
        recovery_rules,
        "is_leftover",
        _without_unrecovered,
        REPEATED_CREATE,
    ),
    Rule(
        "a task that could not be closed is a leftover",
        recovery_rules,
        "is_leftover",
        _unrecovered_creates_only,
        REPEATED_REPLACE,
    ),
    Rule(
        "a repeated update recovers what the first one could not",
        recovery_rules,
        "steps_next_to_task",
        _update_without_unrecovered,
        REPEATED_UPDATE,
    ),
    Rule(
        "a repeated delete recovers what the first one could not",
        recovery_rules,
        "steps_after_delete",
        _delete_without_unrecovered,
        REPEATED_DELETE,
    ),
    Rule("a retained task is left alone", Record, "is_left_alone", property(lambda _: False), RETAINED_FROM_NOTHING),
    Rule(
        "a retained task that no engine definitely has is not",
        Record,
        "is_left_alone",
        property(lambda record: record.kept is not KeepReason.NO),
        RETAINED_FROM_NOTHING,
    ),
    Rule(
        "the end of a run records retained tasks as stored",
        Cancel,
        "stored",
        _record_nothing_stored,
        RETAINED_FROM_NOTHING,
    ),
    Rule("update writes whether a task is retained", steps.Claim, "take", _do_nothing, RETAINED_AFTERWARDS),
    Rule(
        "diff compares whether a task is retained", recovery_rules, "is_stale", _ignore_retention, RETAINED_AFTERWARDS
    ),
    Rule(
        "a kept response is retained as the program says now",
        steps.RecordReturn,
        "take",
        _return_as_first_requested,
        RETAINED_FROM_NOTHING,
    ),
    Rule("nothing is started after its end", end_time, "may_start", lambda *_: True, ENDS),
    Rule("what is over is not replaced", end_time, "may_replace", lambda *_: True, ENDS),
    Rule("what is over stays in the state", end_time, "stays_in_state", lambda *_: False, ENDS_AFTER_A_LOST_CREATE),
    Rule(
        "an agent whose room is gone is started again if its end is moved",
        end_time,
        "is_extended",
        lambda *_: False,
        ENDS_AFTER_A_LOST_CREATE,
    ),
    Rule("a sweep stops what is over", end_time, "may_stop", lambda *_: False, ENDS),
    Rule("a sweep stops only what is over", end_time, "may_stop", _stop_everything, ENDS),
    Rule(
        "a refused create stops what a killed run has started",
        verbs,
        "recover_what_was_never_returned",
        _recover_nothing,
        ENDS_AFTER_A_LOST_CREATE,
    ),
    Rule(
        "a sweep closes only a record that is still as it was read",
        steps.BeginCloseUnlessChanged,
        "take",
        _begin_close_although_changed,
        ENDS,
    ),
    Rule(
        "a moved end is not stored for an agent that is stopped", verbs, "require_not_stopped", _require_nothing, ENDS
    ),
    Rule(
        "nothing is started while a later process stops the old agent",
        recovery_rules,
        "is_being_closed",
        lambda *_, **__: False,
        ENDS,
    ),
    Rule("update writes the end", steps.Claim, "take", _claim_without_end, ENDS),
    Rule("diff compares the end in the journal", recovery_rules, "is_stale", _ignore_end, MOVED_BY_A_KILLED_RUN),
    Rule(
        "a kept response gets the end of today's program",
        steps.RecordReturn,
        "take",
        _return_with_the_first_end,
        ENDS_AFTER_A_LOST_CREATE,
    ),
    Rule("diff writes nothing", verbs, "diff", _diff_that_writes),
    Rule("read writes nothing", verbs, "read", _read_that_writes),
)
