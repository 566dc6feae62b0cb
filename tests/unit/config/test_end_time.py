"""The form of an end time: what a program may write, and what state and journal store."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rtcai_pulumi.config.end_time import ends_at_of, normalize_end_time, parse_end_time
from rtcai_pulumi.config.validation import check
from rtcai_pulumi.config.values import UNKNOWN
from tests.samples import parameters

BEIJING = timezone(timedelta(hours=8))


def problems(value: Any) -> dict[str, str]:
    return {problem.path: problem.reason for problem in check(parameters(endsAt=normalize_end_time(value)))}


@pytest.mark.parametrize(
    "value",
    [
        "2026-10-13T18:00:00+08:00",
        "2026-10-13T10:00:00Z",
        "2026-10-13 18:00:00+0800",
        "20261013T180000+08",
        "2026-10-13T18:00+08:00",
        datetime(2026, 10, 13, 18, tzinfo=BEIJING),
        datetime(2026, 10, 13, 10, tzinfo=UTC),
    ],
    ids=str,
)
def test_one_point_in_time_has_one_form_in_state(value: object) -> None:
    assert problems(value) == {}
    assert normalize_end_time(value) == "2026-10-13T10:00:00Z"
    assert ends_at_of({"endsAt": value}) == "2026-10-13T10:00:00Z"
    assert parse_end_time(value) == datetime(2026, 10, 13, 10, tzinfo=UTC)


def test_fractions_of_a_second_are_kept_to_the_millisecond() -> None:
    assert normalize_end_time("2026-10-13T18:00:00.25+08:00") == "2026-10-13T10:00:00.250Z"


@pytest.mark.parametrize("value", ["2026-10-13T18:00:00", "2026-10-13T18:00", datetime(2026, 10, 13, 18)], ids=str)
def test_a_time_without_an_offset_is_a_problem_that_shows_one(value: object) -> None:
    assert "has no offset from UTC" in problems(value)["endsAt"]
    assert "2026-10-13T18:00:00+08:00" in problems(value)["endsAt"]
    assert parse_end_time(value) is None
    assert ends_at_of({"endsAt": value}) == ""


@pytest.mark.parametrize(
    "value", ["", "18:00+08:00", "tomorrow", "2026-10-13", "2026-13-13T18:00:00Z", "0001-01-01T00:00:00+08:00", 7, True]
)
def test_what_is_not_a_time_is_a_problem_without_its_value(value: object) -> None:
    assert problems(value) == {
        "endsAt": "must be a date and a time in ISO 8601 with an offset, as in 2026-10-13T18:00:00+08:00"
    }
    assert normalize_end_time(value) == value


def test_a_time_that_is_not_known_yet_is_left_alone() -> None:
    assert problems(UNKNOWN) == {}
    assert normalize_end_time(UNKNOWN) is UNKNOWN
    assert ends_at_of({"endsAt": UNKNOWN}) == ends_at_of({}) == ""


def test_a_datetime_without_a_zone_stays_without_an_offset() -> None:
    assert normalize_end_time(datetime(2026, 10, 13, 18)) == "2026-10-13T18:00:00"
