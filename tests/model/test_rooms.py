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


def test_a_room_without_an_owner_cannot_be_taken() -> None:
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
_take_room = verbs._take_room


def _end_rooms_to_keep(outputs: Any, run: Any) -> None:
    run.rooms_to_keep.clear()
    _delete_room(outputs, run)


def _without_owners(self: Machine, cid: int, **account: str) -> RoomRecord | None:
    _room(self, cid, **account)
    return None


def _no_agents(self: Machine, cid: int, *, app_key: str) -> list[Record]:
    return []


def _take_room_of_anyone(found: Any, inputs: Any, run: Any) -> int:
    return _take_room(found, {**inputs, "adoptExisting": True}, run)


def _record_no_end(cid: int, cname: str, run: Any) -> None:
    pass


_numbers = count(1_000)


def _new_mark_each_time(*of: Any) -> set[int]:
    return {next(_numbers)}


def _always_empty(found: Any, agents: Any) -> bool:
    return True


def _diff_without_rename(*of: Any) -> tuple[bool, list[str]]:
    changes, replaces = _diff_room(*of)
    return changes and bool(replaces), replaces


def _diff_that_writes(resource_id: str, olds: Any, news: Any, run: Any) -> Any:
    found = _diff_room(resource_id, olds, news, run)
    verbs.update_room(resource_id, olds, news, run)
    return found


RULES: Final = (
    Rule("diff writes nothing", verbs, "diff_room", _diff_that_writes, "a verb that previews call writes"),
    Rule("a room to keep is never ended", verbs, "delete_room", _end_rooms_to_keep, "which is not open"),
    Rule("a known agent counts as a member", Machine, "records_in_room", _no_agents, "a member is disconnected"),
    Rule("people count as members", room_end, "is_empty", _always_empty, "a member is disconnected"),
    Rule("the journal decides about the owner", Machine, "room", _without_owners, "which belongs to another owner"),
    Rule(
        "the creator's mark finds a room that a killed run opened",
        verbs,
        "_creator_marks",
        _new_mark_each_time,
        "refused without a reason",
    ),
    Rule(
        "a room of another owner is not taken",
        verbs,
        "_take_room",
        _take_room_of_anyone,
        "which belongs to another owner",
    ),
    Rule("a room that is about to end has no owner", room_end, "record_end", _record_no_end, "which is not open"),
    Rule("a rename is written to the journal", verbs, "diff_room", _diff_without_rename, "refused without a reason"),
)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.name) for rule in RULES])
def test_without_a_rule_a_promise_breaks(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule.place, rule.function, rule.without)
    assert rule.breaks in explore(agents_count=False).broken
