"""The page of the tests: which make target runs which test, from the tests' own markers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from tests.tiers import PROMISES, Target, safety_lines, subjects
from tools.reference.collected import CollectedTest, collect_tests
from tools.reference.safety import tests_of

_HEAD: Final = """# Tests

Made from the tests' markers (`tests/tiers.py`) by `make docs`.

| target | what it runs |
|---|---|
| `make test` | lint, types, every test without the engine, and the ones with it that the next table names |
| `make test-full` | the same, all tests of the engine, and those without it at the lowest versions of dependencies |
| `make test-engines` | the tests of the engine that `make test` has, with the oldest supported engine and SDK |
| `make test-pythons` | the tests without the engine, and README's program with it, with each Python of this machine |
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


def testing_page() -> str:
    """Return the page in Markdown."""
    tests = collect_tests()
    return "\n".join([_HEAD, *_subjects(tests), *_safety(tests), *_left_to_full(tests)])


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
        tests_of_line = tests_of(line, tests)
        target = min((test.target for test in tests_of_line), key=list(Target).index)
        yield f'| <a id="{line}"></a>`{line}` | `{target}` | {"; ".join(_names_by_file(tests_of_line, tests))} |'
    yield ""


def _names_by_file(some: Sequence[CollectedTest], tests: Sequence[CollectedTest]) -> Iterator[str]:
    """Name tests file by file; a file whose tests are all among them is named alone."""
    for file in dict.fromkeys(test.file for test in some):
        names = dict.fromkeys(test.name for test in some if test.file == file)
        if names.keys() == {test.name for test in tests if test.file == file}:
            yield f"`{file}`"
        else:
            yield f"`{file}`: {', '.join(f'`{name}`' for name in names)}"


def _left_to_full(tests: Sequence[CollectedTest]) -> Iterator[str]:
    yield "## What waits for `make test-full`, and why\n"
    by_file: dict[str, list[CollectedTest]] = defaultdict(list)
    for test in tests:
        if test.target is Target.FULL:
            by_file[test.file].append(test)
    for file, waiting in by_file.items():
        yield f"`{file}`: {waiting[0].reason}.\n"
        yield from (f"- `{name}`" for name in dict.fromkeys(test.name for test in waiting))
        yield ""
