"""The parts of the page that are made only from values: time lines, scale, fields, words."""

from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcai_pulumi.emulator.page.format import MASK, compare_fields, duration, list_fields, mask
from rtcai_pulumi.emulator.page.timeline import WINDOWS, Scale, Span, fit_scale, make_timeline
from rtcai_pulumi.emulator.state.model import EmulatedTask

TASK = EmulatedTask(1, "t", "r", 1, "agent", 0, None, "q", None, {})


def task(start: int, end: int | None, speed: float = 1) -> EmulatedTask:
    return replace(TASK, started_ms=start, ended_ms=end, data={"tts": {"speed": speed}})


def test_one_after_the_other_is_one_lane_with_a_gap() -> None:
    line = make_timeline([task(0, 10), task(15, None)])
    assert [bar.lane for bar in line.bars] == [0, 0]
    assert (line.lanes, line.gaps, line.overlaps) == (1, (Span(10, 15),), ())


def test_a_task_that_starts_when_another_ends_leaves_neither_gap_nor_overlap() -> None:
    line = make_timeline([task(0, 10), task(10, None)])
    assert (line.lanes, line.gaps, line.overlaps) == (1, (), ())


def test_two_at_once_are_two_lanes_with_an_overlap() -> None:
    line = make_timeline([task(0, 20), task(15, None), task(30, 40)])
    assert [bar.lane for bar in line.bars] == [0, 1, 0]
    assert line.overlaps == (Span(15, 20), Span(30, 40))
    assert line.gaps == ()


def test_an_overlap_that_continues_has_no_end() -> None:
    assert make_timeline([task(0, None), task(5, None), task(7, None)]).overlaps == (Span(5, inf),)


def test_the_same_configuration_has_the_same_colour() -> None:
    line = make_timeline([task(0, 1), task(2, 3, speed=2), task(4, None)])
    assert [bar.configuration for bar in line.bars] == [0, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 20))), max_size=12))
def test_no_two_in_one_lane_are_there_at_once(lengths: list[tuple[int, int | None]]) -> None:
    line = make_timeline([task(start, None if length is None else start + length) for start, length in lengths])
    for lane in range(line.lanes):
        spans = [bar.span for bar in line.bars if bar.lane == lane]
        assert all(before.end_ms <= after.start_ms for before, after in pairwise(spans))
    assert all(
        not (bar.span.start_ms < gap.end_ms and bar.span.end_ms > gap.start_ms)
        for gap in line.gaps
        for bar in line.bars
    )


def test_the_scale_is_the_smallest_that_fits() -> None:
    assert [fit_scale(0, 10_000_000, [10_000_000 - ago * 1000]).seconds for ago in (0, 60, 61, 3600)] == [
        60,
        60,
        240,
        3600,
    ]
    assert fit_scale(0, 0, []).seconds == WINDOWS[0]
    assert fit_scale(0, 10**12, [0, None]).seconds == WINDOWS[-1]


@pytest.mark.parametrize("seconds", WINDOWS)
def test_its_marks_are_numbers_that_people_count_in(seconds: int) -> None:
    marks = Scale(0, 0, seconds).marks
    assert marks[-1] == "now"
    assert all(mark.startswith("−") and "." not in mark for mark in marks[:-1])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.00 s"),
        (0.123, "0.12 s"),
        (2, "2.0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (192, "3 min 12 s"),
        (3601, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_length_of_time_in_words(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_changes_are_listed_field_by_field() -> None:
    before = {"llm": {"temperature": 0.8, "role": 1}, "tts": {"speed": 1}, "asr": {}}
    after = {"llm": {"temperature": 0.2, "role": 1}, "pipeline": {"interruptWords": ["a"]}, "asr": {}}
    assert compare_fields(before, after) == [
        ("llm.temperature", "0.8", "0.2"),
        ("tts.speed", "1", None),
        ("pipeline.interruptWords", None, '["a"]'),
    ]


def test_a_changed_secret_is_reported_without_its_value() -> None:
    assert compare_fields({"llm": {"apiKey": "old"}}, {"llm": {"apiKey": "new"}}) == [("llm.apiKey", MASK, MASK)]


@pytest.mark.parametrize("name", ["appSecret", "token", "Password", "api_key", "CheckSum", "credentials"])
def test_what_stands_under_such_a_name_is_masked_at_any_depth(name: str) -> None:
    content = {"a": [{"b": {name: {"deep": "canary"}}}], "n": 1}
    assert mask(content) == {"a": [{"b": {name: MASK}}], "n": 1}
    assert "canary" not in str(list_fields(content["a"][0]["b"]))  # type: ignore[index]


def test_what_is_no_secret_is_not_masked() -> None:
    content = {"enableCustomAppkey": True, "voice": "v", "words": ["a"]}
    assert mask(content) == content
