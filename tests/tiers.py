"""The make target that runs each test, and what the tests of the real engine show.

A module with slow tests gives the reason why they can run later: ``pytestmark = pytest.mark.full("reason")``. `make
test` omits them, except those with the mark `everyday`. So a new engine test belongs to `make test-full`, until a
developer decides that `make test` needs it. `exhaustive` tests take hours; only `make test-all` runs them.

``shows("promise 1", "verb create")`` names what a test shows; ``shows("safety crash-create")`` names a line of
`docs/safety.md`. `docs/testing.md` and the test column of `docs/safety.md` are generated from these markers.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]

PROMISES: Final = {
    "promise 1": "One agent: after a crash, a fault or a refusal, one more `up` leaves one agent, `destroy` none",
    "promise 2": "No surprise: a second `up`, a `refresh` and a preview change nothing",
    "promise 3": "No secret in state outside ciphertext, in output, errors, journal or logs",
    "promise 4": "Old states load, show no difference and can be destroyed",
    "promise 5": "A service that takes 50 requests a second never makes `up` fail",
    "promise 6": "Pulumi's options and commands do what Pulumi documents",
    "promise 7": "Other resources and dynamic providers of a program are left alone",
    "promise 8": "After a command that succeeded, state and service agree",
}
VERBS: Final = ("check", "diff", "create", "read", "update", "delete")
COMMANDS: Final = ("preview", "up", "refresh", "destroy")
RTCAI_COMMANDS: Final = ("ls", "show", "close", "end-room", "sweep", "pending", "release", "forget")
"""The commands of `rtcai` for agents and rooms that the engine started."""
MAKE_TARGETS: Final = ("up", "preview", "status", "down")
ENGINE_TESTS: Final = ROOT / "tests" / "engine"
SAFETY_PAGE: Final = ROOT / "docs" / "safety.md"


def subjects() -> tuple[str, ...]:
    """Everything that `make test` must show under the real engine."""
    examples = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
    return (
        *PROMISES,
        *(f"verb {name}" for name in VERBS),
        *(f"pulumi {name}" for name in COMMANDS),
        *(f"rtcai {name}" for name in RTCAI_COMMANDS),
        *(f"make {name}" for name in MAKE_TARGETS),
        *(f"example {name}" for name in examples),
    )


def safety_lines() -> list[str]:
    """The names of the lines of docs/safety.md, in their order."""
    return re.findall(r"^\| `([a-z-]+)` \|", SAFETY_PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def safety_subject(line: str) -> str:
    """The subject by which a test names a line of docs/safety.md."""
    return f"safety {line}"


class Target(StrEnum):
    """The first make target that runs a test. Each later target runs it too."""

    TEST = "make test"
    FULL = "make test-full"
    ALL = "make test-all"


def target_of(item: pytest.Item) -> Target:
    """The first target that runs a test. The Makefile has the same rule as expressions for pytest."""
    if item.get_closest_marker("exhaustive"):
        return Target.ALL
    if item.get_closest_marker("full") and not item.get_closest_marker("everyday"):
        return Target.FULL
    return Target.TEST


def some_of(values: Iterable[Any], often: int = 1) -> list[Any]:
    """Parameters, or tuples of them: `make test-full` tries the first ones, only `make test-all` the rest."""
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=[pytest.mark.exhaustive] if number >= often else [],
        )
        for number, value in enumerate(values)
    ]


def shown_by(item: pytest.Item) -> list[str]:
    """The subjects that a test and its module name."""
    return [subject for marker in item.iter_markers("shows") for subject in marker.args]


def mistakes(items: Iterable[pytest.Item]) -> Iterator[str]:
    """Markers that make no sense, and engine tests that are not assigned to a target."""
    known = {*subjects(), *map(safety_subject, safety_lines())}
    for item in items:
        full = item.get_closest_marker("full")
        if full and not (len(full.args) == 1 and isinstance(full.args[0], str)):
            yield f"{item.nodeid}: full takes the reason why the test can wait"
        if item.get_closest_marker("everyday") and not full:
            yield f"{item.nodeid}: everyday makes sense only in a module that is marked full"
        if not full and item.path.is_relative_to(ENGINE_TESTS):
            yield f"{item.nodeid}: it runs the engine; say in its module why it can wait (pytest.mark.full)"
        for subject in set(shown_by(item)) - known:
            yield f"{item.nodeid}: {subject!r} is neither a subject of tests/tiers.py nor a line of docs/safety.md"
