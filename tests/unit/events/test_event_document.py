"""YAML as data with line numbers."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcai_pulumi.events.document import read

TEXT = st.text(st.characters(exclude_categories=["C", "Z"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_read_as_it_is(value: Any) -> None:
    document = read(json.dumps(value, ensure_ascii=False))
    assert (document.data, document.problems) == (value, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("2025-10-13", "2025-10-13"),
        ("1_000", "1_000"),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("True", True),
        ("~", None),
        ("'7'", "7"),
        ("!!str 7", "7"),
        ("!!float 7", 7.0),
        ("-.inf", float("-inf")),
        ('"<<": {a: 1}', {"<<": {"a": 1}}),
        ("{1: a, true: b, ~: c}", {"1": "a", "true": "b", "~": "c"}),
        ("{a: &it [1], b: *it}", {"a": [1], "b": [1]}),
    ],
)
def test_texts_and_numbers_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    document = read(text)
    assert (document.data, document.problems) == (value, [])
    assert type(document.data) is type(value)


def test_every_place_has_the_line_of_its_key() -> None:
    document = read("# first\na:\n  b: 1\n  c:\n    - x\n    - d: |\n        long\n        text\n")
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 4,
        ("a", "c", 0): 5,
        ("a", "c", 1): 6,
        ("a", "c", 1, "d"): 6,
    }
    assert document.line_of(("a", "c", 1, "missing", "deeper")) == 6


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: 2\na: 3", 3, "already set in line 1"),
        ("a: 1\nb: !SECRET 2", 2, "has a tag"),
        ("a: !SECRET [1]", 1, "has a tag"),
        ("a: !!int SECRET", 1, "does not match its tag"),
        ("a: !!bool SECRET", 1, "does not match its tag"),
        (f"a: {'9' * 5000}", 1, "does not match its tag"),
        ("? [SECRET]\n: 1", 1, "a key must be a string"),
        ("a: &it\n  b: *it", 1, "an alias must not refer to a value that contains it"),
        ("a: 1\nb: *SECRET", 2, "an alias without an anchor"),
        ("a: &SECRET 1\nb: &SECRET 1\nc: 1", 2, "an anchor that is already defined"),
        ("a: 1\n---\nSECRET: 2", 2, "a second document"),
        ("a: 1\n SECRET: 2", 2, "is not valid YAML"),
        ("a: [1,\nb: 'SECRET", 2, "is not valid YAML"),
        ("a: 1\nb: %SECRET", 2, "is not valid YAML"),
        ("a: !SECRET!x 1", 1, "is not valid YAML"),
        ("a: 1\nb: \x07SECRET", 2, "a control character"),
        ("[" * 200 + "]" * 200, 1, "nested too deeply"),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_without_any_text(text: str, line: int, reason: str) -> None:
    problems = read(text).problems
    assert any(problem.line == line and reason in problem.reason for problem in problems), problems
    assert not any("SECRET" in problem.reason for problem in problems)


def test_a_text_that_is_nested_deeper_than_python_follows_is_a_slip() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # other libraries raise it
    try:
        problems = read("[" * 2000).problems
    finally:
        sys.setrecursionlimit(before)
    assert [problem.reason for problem in problems] == ["nested too deeply"]


def test_aliases_of_aliases_are_not_endless() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    assert [problem.reason for problem in read("\n".join(lines)).problems] == [
        "more than 100000 values; use fewer aliases"
    ]


def test_an_empty_text_is_nothing() -> None:
    assert read("# only a comment\n").data is None


MERGED = """\
base: &base
  speed: 1
  voice: one
more: &more {speed: 2}
one:
  <<: *base
  voice: two
two:
  <<: [*more, *base]
"""


def test_merge_keys_are_merged_and_what_they_bring_keeps_its_line() -> None:
    document = read(MERGED)
    assert document.problems == []
    assert document.data["one"] == {"speed": 1, "voice": "two"}
    assert document.data["two"] == {"speed": 2, "voice": "one"}
    lines = {name: document.line_of(("one", name)) for name in ("speed", "voice")}
    assert lines == {"speed": 2, "voice": 7}
    assert document.line_of(("two", "speed")) == 4
    assert document.line_of(("base", "speed")) == 2


@pytest.mark.parametrize("text", ["<<: text", "<<: [text]", "a: &a {<<: *a}"])
def test_a_merge_key_without_an_object_is_one_slip(text: str) -> None:
    assert len(read(text).problems) == 1
