"""The tables of docs/testing.md and the last column of docs/safety.md, from the tests' markers as pytest collects them.

The rest of these pages is written by hand.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.tiers import PROMISES, ROOT, SAFETY_PAGE, Target, safety_lines, safety_subject, subjects

_MARK: Final = "<!-- from here on written by `make docs`, from the markers of the tests -->\n"
_ROW: Final = re.compile(r"^(\| `([a-z-]+)` \|.*\|)[^|]*\|$", re.MULTILINE)


class CollectedTest(NamedTuple):
    """A test with one set of parameters, the first target that runs it, and what it shows."""

    file: str
    name: str
    target: Target
    shows: Sequence[str]


@cache
def collect_tests() -> Sequence[CollectedTest]:
    """Return all tests.

    Raises:
        RuntimeError: pytest could not collect them; the message is its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "", "--collected", str(file)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        tests = json.loads(file.read_text(encoding="utf-8"))
        return [CollectedTest(**{**test, "target": Target(test["target"])}) for test in tests]


def safety_page() -> str:
    """Return the page in Markdown."""
    return with_tests(SAFETY_PAGE.read_text(encoding="utf-8"), collect_tests())


def with_tests(page: str, tests: Sequence[CollectedTest]) -> str:
    """Return a page whose lines have the number of their tests in the last column, linked to docs/testing.md."""

    def fill(row: re.Match[str]) -> str:
        count = len({(test.file, test.name) for test in tests if safety_subject(row[2]) in test.shows})
        return f"{row[1]} [{count}](testing.md#{row[2]}) |"

    return _ROW.sub(fill, page)


def testing_page() -> str:
    """Return the page in Markdown."""
    tests = collect_tests()
    head, mark, _ = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8").partition(_MARK)
    return "\n".join([head + mark, *_subjects(tests), *_safety(tests)])


def _subjects(tests: Sequence[CollectedTest]) -> Iterator[str]:
    yield "## What `make test` shows under the real engine\n"
    yield "| | shown by | more in `test-full` | more in `test-all` |\n|---|---|---|---|"
    for subject in subjects():
        shown_by = [test for test in tests if subject in test.shows]
        count = {target: sum(test.target is target for test in shown_by) for target in Target}
        everyday = dict.fromkeys(f"`{test.name}`" for test in shown_by if test.target is Target.TEST)
        if not everyday:
            message = f"nothing in `make test` shows {subject}: mark a test everyday"
            raise LookupError(message)
        label = f"{subject}: {PROMISES[subject]}" if subject in PROMISES else f"`{subject}`"
        yield f"| {label} | {', '.join(everyday)} | {count[Target.FULL] or ''} | {count[Target.ALL] or ''} |"
    yield ""


def _safety(tests: Sequence[CollectedTest]) -> Iterator[str]:
    yield "## The lines of safety.md\n"
    yield "The tests of each line of [safety.md](safety.md), and the target that first runs one of them.\n"
    yield "| line | first run by | tests |\n|---|---|---|"
    for line in safety_lines():
        tests_of_line = [test for test in tests if safety_subject(line) in test.shows]
        target = min((test.target for test in tests_of_line), key=list(Target).index)
        by_file: dict[str, dict[str, None]] = defaultdict(dict)
        for test in tests_of_line:
            by_file[test.file][f"`{test.name}`"] = None
        names = "; ".join(f"`{file}`: {', '.join(names)}" for file, names in by_file.items())
        yield f'| <a id="{line}"></a>`{line}` | `{target}` | {names} |'
    yield ""
