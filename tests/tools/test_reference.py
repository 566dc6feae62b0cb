"""The reference pages agree with the code, and each line of docs/safety.md has a test."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiers import SAFETY_PAGE, Target, mistakes, safety_lines, safety_subject
from tools.reference.__main__ import PAGES, ROOT
from tools.reference.testing import CollectedTest, collect_tests, with_tests

PAGE = """
| line | what happens | tests |
|---|---|---|
| `crash` | The engine is killed. | |
| `fault` | The service is busy. | [9](testing.md#fault) |
"""


def collected(name: str, *lines: str) -> CollectedTest:
    return CollectedTest("tests/test_it.py", name, Target.TEST, [safety_subject(line) for line in lines])


class Item:
    """A test as pytest collects it, with one marker `shows`."""

    nodeid = "tests/unit/test_it.py::test_it"
    path = Path(nodeid)

    def __init__(self, *subjects: str) -> None:
        self.marker = pytest.mark.shows(*subjects).mark

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return self.marker if name == "shows" else None

    def iter_markers(self, name: str) -> Iterator[pytest.Mark]:
        yield from [self.marker] if name == "shows" else []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fresh(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `make docs`"


def test_every_line_of_safety_has_a_test_and_every_marker_a_line() -> None:
    subjects = {subject for test in collect_tests() for subject in test.shows}
    marked = {subject.removeprefix("safety ") for subject in subjects if subject.startswith("safety ")}
    assert len(safety_lines()) > 60
    assert marked == set(safety_lines())


def test_every_row_of_safety_has_a_name_of_its_own() -> None:
    rows = re.findall(r"^\| (?!line )(.*) \|$", SAFETY_PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row.partition(" ")[0].strip("`") for row in rows] == safety_lines()
    assert len(set(safety_lines())) == len(rows)


def test_the_number_of_tests_is_filled_in_anew() -> None:
    page = with_tests(PAGE, [collected("test_a", "crash", "fault"), collected("test_a", "fault")])
    assert "| `crash` | The engine is killed. | [1](testing.md#crash) |" in page
    assert "| `fault` | The service is busy. | [1](testing.md#fault) |" in page
    assert with_tests(page, [collected("test_a", "crash", "fault"), collected("test_b", "crash")]).count("[2]") == 1


def test_a_marker_without_a_line_is_refused_by_name() -> None:
    known, unknown = Item("safety crash-create"), Item("safety crash-nothing")
    assert list(mistakes([known])) == []  # type: ignore[list-item]  # all that it asks of an item
    (mistake,) = mistakes([unknown])  # type: ignore[list-item]
    assert "'safety crash-nothing' is neither" in mistake
