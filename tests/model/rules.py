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

`is_replaced_elsewhere` is missing because it is for two machines with a journal each, and the model has one journal. A
second journal would double the number of worlds for a single rule. That rule only saves a run an error and does not
decide about any agent: the close request is sent in any case. ``tests/engine/test_machines.py`` tests it every day.
Once `KeepReason.REFUSED` is written, it has the same effect as `KeepReason.RETAINED`; `Record.is_left_alone` is tested
here.

`filter_by_state` in ``recovery.py`` is missing because it is for names that another resource or stack has taken,
and the model has none. With one resource it decides nothing. Assume that an engine once had a task that the state no
longer has: either the task was closed, or a killed run started it and no run had stored it.
``tests/engine/test_names_taken_again.py`` tests it.

The rules of `Room` are in ``test_rooms.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from rtcai_pulumi.lifecycle import recovery_rules
from rtcai_pulumi.lifecycle.recovery_rules import Step
from tests.model import steps, verbs
from tests.model.commands import Cancel
from tests.model.scenarios import (
    ANY_TWO_COMMANDS,
    DESTROY,
    ELSEWHERE,
    NO_LONGER_RETAINING,
    RETAINED,
    RETAINING,
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

_is_left = recovery_rules.is_leftover
_left = recovery_rules.find_leftovers
_before_create = recovery_rules.steps_before_create
_beside_a_task = recovery_rules.steps_next_to_task
_after_delete = recovery_rules.steps_after_delete
_may_send = recovery_rules.may_send
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


# recovery_rules.is_left and left_by_earlier_runs


def _finished_too(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return record.process < process or record.trace_id in unrecovered


def _of_other_processes(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return record.is_unfinished and record.process != process


def _the_one_that_is_to_stay_too(
    records: Iterable[Record], *, task_to_keep: str | None = None, **of: Any
) -> list[Record]:
    return _left(records, **of)


def _no_unanswered_ones(records: Iterable[Record], **of: Any) -> list[Record]:
    return [record for record in _left(records, **of) if record.state is not RecordState.ASKED]


# recovery_rules.before_create


def _any_answer_is_kept(records: Iterable[Record], *, digest: str, **of: Any) -> Decided:
    steps = [step for record in records for step in _before_create([record], digest=record.digest, **of)]
    return sorted(steps, key=lambda step: step[1] is Step.REPEAT_AND_KEEP)


def _every_answer_is_kept(records: Iterable[Record], **of: Any) -> Decided:
    steps = [step for record in records for step in _before_create([record], **of)]
    return sorted(steps, key=lambda step: step[1] is Step.REPEAT_AND_KEEP)


def _no_answer_is_kept(records: Iterable[Record], *, digest: str, **of: Any) -> Decided:
    return _before_create(records, digest="", **of)


def _as_they_come(records: Iterable[Record], **of: Any) -> Decided:
    records = list(records)
    return sorted(_before_create(records, **of), key=lambda step: records.index(step[0]))


def _no_known_task_is_closed(records: Iterable[Record], **of: Any) -> Decided:
    return [step for step in _before_create(records, **of) if step[1] is not Step.CLOSE]


def _nothing_is_closed_last_in_its_room(records: Iterable[Record], *, start_first: bool, **of: Any) -> Decided:
    return _before_create(records, **of)


def _nothing_is_closed_last_elsewhere(records: Iterable[Record], *, cname: str, **of: Any) -> Decided:
    return [step for record in records for step in _before_create([record], cname=record.cname, **of)]


def _nothing_closed_last(me: verbs.Me, decided: Decided) -> verbs.Steps:
    yield from ()


# recovery_rules.beside_a_task, after_delete


def _kept(steps: Decided) -> Decided:
    return [(record, Step.REPEAT_AND_KEEP if step is Step.REPEAT_AND_CLOSE else step) for record, step in steps]


def _handed_ones_too(records: Iterable[Record], **of: Any) -> Decided:
    return _beside_a_task(records, task="", **of)


def _handed_in_its_own_record(records: Iterable[Record], **of: Any) -> Decided:
    return [step for step in _beside_a_task(records, task="", **of) if not step[0].handed]


# recovery_rules.is_over, is_closed


def _nothing_lost_here(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return _is_left(record, process=process)


def _only_unanswered_ones_here(record: Record, *, process: int, unrecovered: Collection[str] = ()) -> bool:
    return _is_left(record, process=process, unrecovered=unrecovered if record.state is RecordState.ASKED else ())


def _nothing_lost_beside_a_task(records: Iterable[Record], *, unrecovered: Collection[str] = (), **of: Any) -> Decided:
    return _beside_a_task(records, **of)


def _nothing_lost_after_a_delete(records: Iterable[Record], *, unrecovered: Collection[str] = (), **of: Any) -> Decided:
    return _after_delete(records, **of)


def _has(records: Iterable[Record], task: str, *states: RecordState) -> bool:
    return any(record.task == task and record.state in states for record in records)


# recovery_rules.may_send


def _whether_or_not_the_engine_lives(record: Record | None, *, process: int, engine_lives: bool) -> bool:
    return _may_send(record, process=process, engine_lives=True)


# conditions of the journal's writes, and other checks of the verbs


def _not_taken_over(self: steps.TakeOver, world: World, process: int, option: str) -> Record | None:
    return world.record(self.record.trace_id)


def _answered_by_anybody(self: steps.RecordResponse, world: World, process: int, option: str) -> Record | None:
    cid, _, task_id = self.task.partition("/")
    return steps.change(world, self.record, state=RecordState.OPEN, cid=int(cid), task_id=task_id)


def _forgotten_by_anybody(self: steps.Forget, world: World, process: int, option: str) -> None:
    world.records = tuple(record for record in world.records if record.trace_id != self.record.trace_id)


def _left_by_anybody(self: steps.UndoClose, world: World, process: int, option: str) -> None:
    world.late -= {str(self.record.task)}
    world.records = tuple(record for record in world.records if record.trace_id != self.record.trace_id)


def _closing_as_the_first(self: steps.BeginClose, world: World, process: int, option: str) -> bool:
    _closing_take(self, world, process, option)
    return True


def _closed_in_one_record(self: steps.RecordClose, world: World, process: int, option: str) -> None:
    for record in [record for record in world.records if record.task == self.task][:1]:
        steps.change(world, record, state=RecordState.CLOSED)


def _not_closing_by_anybody(self: steps.CancelClose, world: World, process: int, option: str) -> None:
    steps.change(world, self.record, state=RecordState.OPEN)


_closing_take = steps.BeginClose.take


def _nothing(self: Any, world: World, process: int, option: str) -> None:
    pass


def _nothing_stored(self: Cancel, world: World, process: int) -> None:
    pass


def _the_engine_seems_to_live(self: Any, world: World, process: int, option: str) -> bool:
    return True


def _diff_that_claims(me: verbs.Me, old: Resource, new: Inputs) -> verbs.Steps:
    found = yield from _diff(me, old, new)
    for record in (yield steps.RecordsOfTask(old.task)):
        yield steps.RecordReturn(record, record.kept)
    return found


def _read_that_notes_what_is_gone(me: verbs.Me, old: Resource) -> verbs.Steps:
    gone = yield from _read(me, old)
    if gone:
        yield steps.RecordClose(old.task)
    return gone


def _handed_as_it_was_asked_for(self: steps.RecordReturn, world: World, process: int, option: str) -> None:
    steps.change(world, self.record, handed=True)


def _whatever_is_retained(record: Record, *, owner: object, kept: KeepReason) -> bool:
    return record.is_unfinished and record.owner != owner


def _never_gone(record: Record) -> verbs.Steps:
    yield steps.QueryRoom(record.cname)
    return False


def _not_again(me: verbs.Me, record: Record, *, owes: bool = False) -> verbs.Steps:
    current = yield steps.WaitForProcess(record)
    if current is None or not recovery_rules.is_leftover(current, process=me.process, unrecovered=me.unrecovered):
        return None
    return (yield steps.TakeOver(current, owes))


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

RULES: Final = (
    Rule("what is closed is finished", recovery_rules, "is_leftover", _finished_too),
    Rule("what a later run has is not left", recovery_rules, "is_leftover", _of_other_processes, AN_EDIT_AND_REPLACE),
    Rule("the task that is to stay stays", recovery_rules, "find_leftovers", _the_one_that_is_to_stay_too),
    Rule("the unanswered is left too", recovery_rules, "find_leftovers", _no_unanswered_ones),
    Rule("only the same configuration is kept", recovery_rules, "steps_before_create", _any_answer_is_kept),
    Rule("at most one answer is kept", recovery_rules, "steps_before_create", _every_answer_is_kept, TWO_LOST),
    Rule("the same configuration is kept", recovery_rules, "steps_before_create", _no_answer_is_kept),
    Rule("what may be kept comes last", recovery_rules, "steps_before_create", _as_they_come, LOST_EDITED_REVERTED),
    Rule("create closes what is known", recovery_rules, "steps_before_create", _no_known_task_is_closed),
    Rule(
        "start-first closes last", recovery_rules, "steps_before_create", _nothing_is_closed_last_in_its_room, AN_EDIT
    ),
    Rule("another room closes last", recovery_rules, "steps_before_create", _nothing_is_closed_last_elsewhere, AN_EDIT),
    Rule("what is closed last is closed", verbs, "close_last", _nothing_closed_last, LEFT_ELSEWHERE),
    Rule("update settles", recovery_rules, "steps_next_to_task", lambda *_, **__: []),
    Rule(
        "update keeps no other answer",
        recovery_rules,
        "steps_next_to_task",
        lambda *of, **and_of: _kept(_beside_a_task(*of, **and_of)),
    ),
    Rule("delete settles", recovery_rules, "steps_after_delete", lambda *_, **__: []),
    Rule(
        "delete keeps no answer",
        recovery_rules,
        "steps_after_delete",
        lambda *args, **kwargs: _kept(_after_delete(*args, **kwargs)),
    ),
    Rule("delete leaves what was handed", recovery_rules, "steps_after_delete", _handed_ones_too),
    Rule(
        "a task is handed in all its records", recovery_rules, "steps_after_delete", _handed_in_its_own_record, ORPHAN
    ),
    Rule("what is over is replaced", recovery_rules, "is_over", lambda *_: False),
    Rule("closing is over", recovery_rules, "is_over", lambda records, task: _has(records, task, RecordState.CLOSED)),
    Rule("closed is over", recovery_rules, "is_over", lambda records, task: _has(records, task, RecordState.CLOSING)),
    Rule("closed needs no request", recovery_rules, "is_closed", lambda *_: False),
    Rule(
        "closing is not closed",
        recovery_rules,
        "is_closed",
        lambda records, task: _has(records, task, RecordState.CLOSED, RecordState.CLOSING),
    ),
    Rule("who sends has an engine", recovery_rules, "may_send", _whether_or_not_the_engine_lives),
    Rule("what nobody waits for is closed", steps.EngineLives, "take", _the_engine_seems_to_live),
    Rule("what was taken over takes no answer", steps.RecordResponse, "take", _answered_by_anybody),
    Rule("settling takes over", steps.TakeOver, "take", _not_taken_over),
    Rule("what was not to be had is looked at again", verbs, "take_over", _not_again, AN_EDIT_AND_REPLACE),
    Rule(
        "what was taken over is not forgotten", steps.Forget, "take", _forgotten_by_anybody, AN_EDIT_WITH_THREE_FAULTS
    ),
    Rule(
        "what was taken over is not left",
        steps.UndoClose,
        "take",
        _left_by_anybody,
        LOST_EDITED_REVERTED,
        exhaustive=True,
    ),
    Rule("only the first close is taken back", steps.BeginClose, "take", _closing_as_the_first, AN_EDIT_AND_DESTROY),
    Rule("only one's own close is taken back", steps.CancelClose, "take", _not_closing_by_anybody, AN_EDIT_AND_DESTROY),
    Rule("an answer of an ended room is not kept", verbs, "is_room_gone", _never_gone),
    Rule("closed is closed in all records", steps.RecordClose, "take", _closed_in_one_record, AN_EDIT),
    Rule("what an engine gets is noted as handed", steps.RecordReturn, "take", _nothing),
    Rule("what was lost in this process is left", recovery_rules, "is_leftover", _nothing_lost_here, REPEATED_CREATE),
    Rule(
        "what could not be closed is left", recovery_rules, "is_leftover", _only_unanswered_ones_here, REPEATED_REPLACE
    ),
    Rule(
        "a repeated update settles what the first one could not",
        recovery_rules,
        "steps_next_to_task",
        _nothing_lost_beside_a_task,
        REPEATED_UPDATE,
    ),
    Rule(
        "a repeated delete settles what the first one could not",
        recovery_rules,
        "steps_after_delete",
        _nothing_lost_after_a_delete,
        REPEATED_DELETE,
    ),
    Rule("what is retained is left alone", Record, "is_left_alone", property(lambda _: False), RETAINED_FROM_NOTHING),
    Rule(
        "what no engine has for sure is not",
        Record,
        "is_left_alone",
        property(lambda record: record.kept is not KeepReason.NO),
        RETAINED_FROM_NOTHING,
    ),
    Rule("the end of a run stores what is retained", Cancel, "stored", _nothing_stored, RETAINED_FROM_NOTHING),
    Rule("update writes what is retained", steps.Claim, "take", _nothing, RETAINED_AFTERWARDS),
    Rule("diff sees what is retained", recovery_rules, "is_stale", _whatever_is_retained, RETAINED_AFTERWARDS),
    Rule(
        "an answer is retained as the program says now",
        steps.RecordReturn,
        "take",
        _handed_as_it_was_asked_for,
        RETAINED_FROM_NOTHING,
    ),
    Rule("diff writes nothing", verbs, "diff", _diff_that_claims),
    Rule("read writes nothing", verbs, "read", _read_that_notes_what_is_gone),
)
