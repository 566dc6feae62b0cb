"""The test column of docs/safety.md, from the tests' markers. The rest of the page is written by hand."""

import re
from collections.abc import Sequence
from typing import Final

from tests.tiers import SAFETY_PAGE, safety_subject
from tools.reference.collected import CollectedTest, collect_tests

_ROW: Final = re.compile(r"^(\| `([a-z-]+)` \|.*\|)[^|]*\|$", re.MULTILINE)


def safety_page() -> str:
    """Return the page in Markdown."""
    return with_tests(SAFETY_PAGE.read_text(encoding="utf-8"), collect_tests())


def with_tests(page: str, tests: Sequence[CollectedTest]) -> str:
    """Return a page whose lines have the number of their tests in the last column, linked to docs/testing.md.

    Raises:
        LookupError: a line has no test, or two lines have the same name.
    """
    names = [match[2] for match in _ROW.finditer(page)]
    if twice := {name for name in names if names.count(name) > 1}:
        message = f"docs/safety.md has two lines of the name {', '.join(sorted(twice))}"
        raise LookupError(message)

    def fill(row: re.Match[str]) -> str:
        count = len({(test.file, test.name) for test in tests_of(row[2], tests)})
        return f"{row[1]} [{count}](testing.md#{row[2]}) |"

    return _ROW.sub(fill, page)


def tests_of(line: str, tests: Sequence[CollectedTest]) -> Sequence[CollectedTest]:
    """Return the tests of a line.

    Raises:
        LookupError: the line has no test.
    """
    subject = safety_subject(line)
    marked = [test for test in tests if subject in test.shows]
    if not marked:
        message = f'no test shows the line `{line}` of docs/safety.md: mark one shows("{subject}")'
        raise LookupError(message)
    return marked
