"""The page of the tests: which make target runs which test, from the tests' own markers and from docs/safety.md."""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.tiers import PROMISES, ROOT, Target, subjects

_HEAD: Final = """# Tests

Made from the tests' markers (`tests/tiers.py`) and from docs/safety.md by `make docs`.

| target | what it runs |
|---|---|
| `make test` | lint, types, every test without the engine, and the ones with it that the next table names |
| `make test-full` | the same, all tests of the engine, and those without it at the lowest versions of dependencies |
| `make test-engines` | the tests of the engine that `make test` has, with the oldest supported engine and SDK |
| `make test-all` | `make test-full`, `make test-engines`, then every crash at every moment and the whole model: hours |

`make test-rest` is what `make test-full` has beyond `make test`. Each target ends with the time of each part and the
ten slowest tests. To run one file by hand: `.venv/bin/python -m pytest tests/engine/test_up.py`, which leaves out only
what `make test-all` adds.

A test that runs the engine belongs to `make test-full` unless it is marked `everyday`; its module says why the others
can wait.

## What a test of the engine costs

Processor time of one command on a stack of one room, engine 3.259.0, two quiet cores (medians of six runs; parts
sampled from one run):

| command | seconds |
|---|---|
| `pulumi up --skip-preview` | 1.5: engine 0.4, `pip list` by the language host 0.2, program 0.4, plugin process 0.5 |
| `pulumi up` with its preview | 2.4 |
| `pulumi destroy --skip-preview` | 1.1 |
| `pulumi stack init` | 0.3 |

So tests skip previews unless they are about previews, copy a stack that was initialized once, and try several faults
or crashes on the life of one stack.
"""


class _Test(NamedTuple):
    test: str
    target: Target
    shows: Sequence[str]
    reason: str | None

    @property
    def file(self) -> str:
        return self.test.partition("::")[0]

    @property
    def name(self) -> str:
        """The test's name, without parameters."""
        return self.test.partition("[")[0].rpartition("::")[2]


def testing_page() -> str:
    """Return the page in Markdown."""
    tests = _collected()
    return "\n".join([_HEAD, *_subjects(tests), *_safety(tests), *_left_to_full(tests)])


def _collected() -> list[_Test]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "", "--collected", str(file)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        return [_Test(**{**each, "target": Target(each["target"])}) for each in json.loads(file.read_text("utf-8"))]


def _subjects(tests: Sequence[_Test]) -> Iterator[str]:
    yield "## What `make test` shows under the real engine\n"
    yield "| | shown by | more in `test-full` | more in `test-all` |\n|---|---|---|---|"
    for subject in subjects():
        shown_by = [test for test in tests if subject in test.shows]
        count = {target: sum(test.target is target for test in shown_by) for target in Target}
        everyday = dict.fromkeys(f"`{test.name}`" for test in shown_by if test.target is Target.TEST)
        if not everyday:
            message = f"nothing in `make test` shows {subject}: mark a test everyday"
            raise LookupError(message)
        description = f"{subject}: {PROMISES[subject]}" if subject in PROMISES else f"`{subject}`"
        yield f"| {description} | {', '.join(everyday)} | {count[Target.FULL] or ''} | {count[Target.ALL] or ''} |"
    yield ""


def _safety(tests: Sequence[_Test]) -> Iterator[str]:
    yield "## The lines of safety.md\n\nWhich target first runs a test of each line.\n"
    yield "| what happens | first run by |\n|---|---|"
    first = _first_targets(tests)
    file = ""
    for line in (ROOT / "docs" / "safety.md").read_text(encoding="utf-8").splitlines():
        targets = []
        for path, name in re.findall(r"`(tests/[\w/]+(?:\.py)?)?(?:::(test_\w+))?`", line):
            file = path or file
            targets.append(first.get(f"{file}::{name}" if name else file.rstrip("/")))
        if line.startswith("| ") and targets:
            yield f"| {line.split(' | ')[0].removeprefix('| ')} | `{_earliest(filter(None, targets))}` |"
    yield ""


def _first_targets(tests: Sequence[_Test]) -> Mapping[str, Target]:
    """Return, for each test, file and folder, the first target that runs any of its tests."""
    first: dict[str, Target] = {}
    for test in tests:
        places = [f"{test.file}::{test.name}", test.file, *map(str, Path(test.file).parents)]
        for place in places:
            first[place] = _earliest([first.get(place, test.target), test.target])
    return first


def _earliest(targets: Iterable[Target]) -> Target:
    return min(targets, key=list(Target).index)


def _left_to_full(tests: Sequence[_Test]) -> Iterator[str]:
    yield "## What waits for `make test-full`, and why\n"
    by_file: dict[str, list[_Test]] = defaultdict(list)
    for test in tests:
        if test.target is Target.FULL:
            by_file[test.file].append(test)
    for file, waiting in by_file.items():
        yield f"`{file}`: {waiting[0].reason}.\n"
        yield from (f"- `{name}`" for name in dict.fromkeys(test.name for test in waiting))
        yield ""
