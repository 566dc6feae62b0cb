"""No history of commands about a room breaks a promise, and each rule is needed."""

from collections.abc import Callable
from itertools import count
from typing import Any, Final, NamedTuple

import pytest

from rtcai_pulumi.journal.record import Record, RoomRecord
from rtcai_pulumi.lifecycle import room as verbs
from rtcai_pulumi.lifecycle import room_end
from rtcai_pulumi.service.errors import RoomExists
from tests.model.rooms import STRANGER, Machine, OpenRoom, World, explore, opened

COUNTED = pytest.mark.parametrize("agents_count", [True, False], ids=["agents count", "agents do not count"])


@COUNTED
def test_three_commands_with_one_fault_break_no_promise(agents_count: bool) -> None:
    explored = explore(agents_count=agents_count)
    assert explored.broken == ""
    assert explored.worlds > 1_000
    assert explored.runs > 10_000


@pytest.mark.exhaustive
@COUNTED
@pytest.mark.parametrize(("commands", "faults"), [(4, 1), (3, 2)], ids=["four commands", "two faults"])
def test_longer_histories_break_no_promise(agents_count: bool, commands: int, faults: int) -> None:
    assert explore(agents_count=agents_count, commands=commands, faults=faults).broken == ""


def test_a_room_without_an_owner_is_nobody_s_to_take() -> None:
    stranger = opened(World(), OpenRoom("main", 0, STRANGER))
    with pytest.raises(RoomExists):
        verbs.create_room({"cname": "main"}, Machine(stranger).run)


class Rule(NamedTuple):
    """A rule, the object that has its function, a version without the rule, and what then happens."""

    name: str
    place: Any
    function: str
    without: Callable[..., Any]
    breaks: str


_diff_room = verbs.diff_room
_delete_room = verbs.delete_room
_room = Machine.room
_taken = verbs._take_room


def _ended_all_the_same(outputs: Any, run: Any) -> None:
    run.rooms_to_keep.clear()
    _delete_room(outputs, run)


def _without_holders(self: Machine, cid: int, **account: str) -> RoomRecord | None:
    _room(self, cid, **account)
    return None


def _no_agents(self: Machine, cid: int, *, app_key: str) -> list[Record]:
    return []


def _taken_whoever_has_opened_it(found: Any, inputs: Any, run: Any) -> int:
    return _taken(found, {**inputs, "adoptExisting": True}, run)


def _nobody_knows(cid: int, cname: str, run: Any) -> None:
    pass


_numbers = count(1_000)


def _new_each_time(*of: Any) -> set[int]:
    return {next(_numbers)}


def _ended_with_whoever_is_in_it(found: Any, agents: Any) -> bool:
    return True


def _unchanged_name(*of: Any) -> tuple[bool, list[str]]:
    changes, replaces = _diff_room(*of)
    return changes and bool(replaces), replaces


def _diff_that_writes(resource_id: str, olds: Any, news: Any, run: Any) -> Any:
    found = _diff_room(resource_id, olds, news, run)
    verbs.update_room(resource_id, olds, news, run)
    return found


RULES: Final = (
    Rule("diff writes nothing", verbs, "diff_room", _diff_that_writes, "a verb that previews call writes"),
    Rule("a room that stays is never ended", verbs, "delete_room", _ended_all_the_same, "which is not open"),
    Rule("a known agent counts as somebody", Machine, "records_in_room", _no_agents, "somebody is thrown out"),
    Rule("people count", room_end, "is_empty", _ended_with_whoever_is_in_it, "somebody is thrown out"),
    Rule("the journal knows the holder", Machine, "room", _without_holders, "which is another's"),
    Rule("the mark finds what a killed run opened", verbs, "_creator_marks", _new_each_time, "refused without need"),
    Rule("another's room is not taken", verbs, "_take_room", _taken_whoever_has_opened_it, "which is another's"),
    Rule("a room that ends is nobody's", room_end, "record_end", _nobody_knows, "which is not open"),
    Rule("a change of name is written down", verbs, "diff_room", _unchanged_name, "refused without need"),
)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name) for rule in RULES])
def test_without_a_rule_a_promise_breaks(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule.place, rule.function, rule.without)
    assert rule.breaks in explore(agents_count=False).broken
