from typing import Any

import pytest

from rtcai_pulumi.config.values import UNKNOWN, Location, contains_unknown, drop_nulls, is_not_null, map_nested, walk

NESTED = {"asr": {"words": ["a", {"b": None}]}, "cname": None}


def test_a_walk_visits_each_value_once_with_its_location() -> None:
    assert [location for location, _ in walk(NESTED)] == [
        (),
        ("asr",),
        ("asr", "words"),
        ("asr", "words", 0),
        ("asr", "words", 1),
        ("asr", "words", 1, "b"),
        ("cname",),
    ]
    assert dict(walk(NESTED))["asr", "words", 0] == "a"


def test_a_walk_can_leave_out_a_key() -> None:
    assert [location for location, _ in walk(NESTED, enters=lambda key: key != "asr")] == [(), ("cname",)]


def test_a_map_changes_a_copy() -> None:
    def change(location: Location, value: Any) -> Any:
        return location if value is None else value

    assert map_nested(NESTED, change, ("data",)) == {
        "asr": {"words": ["a", {"b": ("data", "asr", "words", 1, "b")}]},
        "cname": ("data", "cname"),
    }
    assert NESTED["cname"] is None
    assert map_nested(NESTED, change, keeps=is_not_null) == {"asr": {"words": ["a", {}]}}


def test_nulls_are_dropped_from_objects_only() -> None:
    assert drop_nulls({"a": None, "b": [None, {"c": None}]}) == {"b": [None, {}]}


@pytest.mark.parametrize(
    ("value", "expected"), [(UNKNOWN, True), ({"a": [UNKNOWN]}, True), ({"a": ["unknown"]}, False)]
)
def test_an_unknown_is_found_at_any_depth(value: Any, expected: bool) -> None:
    assert contains_unknown(value) is expected
