"""Changes of a room, merged into the default agent."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcai_pulumi.events.agent import merge

KEYS = st.sampled_from("abc")
LEAVES = st.none() | st.integers() | st.lists(st.integers(), max_size=2)
OBJECTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3), lambda inner: st.dictionaries(KEYS, inner | LEAVES, max_size=3)
)
CASES: list[tuple[Any, Any, Any]] = [
    ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
    ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    ({"a": 1}, {"a": None, "b": None}, {}),
    ({}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("default", "changes", "result"), CASES)
def test_objects_merge_lists_replace_and_null_takes_away(default: Any, changes: Any, result: Any) -> None:
    assert merge(default, changes) == result


@given(OBJECTS, OBJECTS)
def test_neither_side_is_changed_and_a_second_time_changes_nothing(default: Any, changes: Any) -> None:
    before = copy.deepcopy((default, changes))
    once = merge(default, changes)
    assert merge(once, changes) == once
    assert (default, changes) == before


@given(OBJECTS)
def test_no_changes_leave_the_default(default: Any) -> None:
    assert merge(default, {}) == default
