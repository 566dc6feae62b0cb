"""`python -m tools.checks NAME...`: the checks of the make targets, with the time of each part; `CHECKS` has the names.

`make test` runs "test", `make test-full` then runs "full", and `make test-all` then runs "all". The run stops at the
first part that fails.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.tiers import EXPRESSIONS, Target
from tools.pythons import VERSIONS, find_pythons

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = ROOT / ".venv" / "bin"
FLOOR: Final = ROOT / ".tools" / "floor" / "bin"
OLDEST_ENGINE: Final = ROOT / ".tools" / "oldest" / "bin"
Part = tuple[str, Sequence[Sequence[str]]]
"""A name, and the commands to run in order."""


def main(names: Sequence[str]) -> int:
    """Run the checks of these names; returns the exit code of the first that failed, or 0."""
    spent: list[tuple[str, float]] = []
    code = 0
    for part, commands in [part for name in names for part in CHECKS[name]()]:
        print(f"\n--- {part}", flush=True)
        began = time.monotonic()
        code = next(filter(None, map(_run, commands)), 0)
        spent.append((f"{part}: FAILED" if code else part, time.monotonic() - began))
        if code:
            break
    print("\nTime of each part:")
    for part, seconds in [*spent, ("in total", sum(seconds for _, seconds in spent))]:
        print(f"{seconds:8.1f} s  {part}")
    return code


def lint() -> Iterator[Part]:
    """Check style, types and the direction of imports."""
    yield "style", [[str(BIN / "ruff"), "check", "."], [str(BIN / "ruff"), "format", "--check", "."]]
    mypy = str(BIN / "mypy")
    examples = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
    # One by one, because every program is a separate __main__.
    programs = [[mypy, str(path.relative_to(ROOT))] for path in examples]
    yield "types", [[mypy, "rtcai_pulumi", "pytest_rtcai", "tests", "tools", "__main__.py"], *programs]
    yield "import directions", [[str(BIN / "lint-imports")]]


def _test() -> Iterator[Part]:
    yield from lint()
    yield "tests", [_pytest(Target.TEST)]


def _full() -> Iterator[Part]:
    yield "tests of the real engine", [_pytest(Target.FULL)]
    yield from _floor()


def _floor() -> Iterator[Part]:
    setup = [sys.executable, "tools/setup.py", "--floor", "--quiet"]
    yield (
        "tests without the engine, at the lowest versions of dependencies",
        [setup, [str(FLOOR / "python"), *WITHOUT_ENGINE]],
    )


def _engines() -> Iterator[Part]:
    """Run the tests with the lowest supported versions: `make test` uses the newest engine and the newest SDK."""
    setup = [sys.executable, "tools/setup.py", "--floor", "--quiet"]
    install = [sys.executable, "tools/pulumi-cli/install.py", "--oldest", "--quiet"]
    tests = [str(FLOOR / "python"), "-m", "pytest", *PARALLEL_ENGINE, "-m", "full and everyday", "tests/engine"]
    with_oldest = ["env", f"TESTED_ENGINE={OLDEST_ENGINE}", *tests]
    yield "the oldest engine with the oldest SDK", [setup, install, with_oldest]


def _pythons() -> Iterator[Part]:
    """Run the tests without the engine, and README's program with it, with each Python of this machine."""
    pythons = find_pythons()
    missing = [version for version in VERSIONS if version not in pythons]
    print(f"Python {', '.join(pythons)}" + (f"; not on this machine: {', '.join(missing)}" if missing else ""))
    for version, python in pythons.items():
        environment = ROOT / ".tools" / f"python{version}" / "bin" / "python"
        setup = [python, "tools/setup.py", "--by-version", "--quiet"]
        yield f"tests without the engine, Python {version}", [setup, [str(environment), *WITHOUT_ENGINE]]
        yield f"README's program from the wheel, Python {version}", [[python, "tools/try_wheel.py"]]


def _all() -> Iterator[Part]:
    yield from _engines()
    yield "every crash, and the whole model", [_pytest(Target.ALL)]


def _pytest(target: Target) -> list[str]:
    parallel = PARALLEL if target is Target.TEST else PARALLEL_ENGINE
    return [str(BIN / "python"), "-m", "pytest", *parallel, "-m", EXPRESSIONS[target]]


def _run(command: Sequence[str]) -> int:
    print(f"$ {Path(command[0]).name} {' '.join(command[1:])}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


# The engine's tests wait for processes, for the disk and for time to pass: with three workers, two cores were idle for
# two fifths of the time.
_CORES: Final = os.cpu_count() or 1
PARALLEL: Final = ("-n", str(_CORES + 1), "--dist", "worksteal")
WITHOUT_ENGINE: Final = ("-m", "pytest", *PARALLEL, "tests/plugin", "tests/unit", "tests/cli")
PARALLEL_ENGINE: Final = ("-n", str(2 * _CORES + 1), "--dist", "worksteal")
CHECKS: Final[Mapping[str, Callable[[], Iterator[Part]]]] = {
    "lint": lint,
    "test": _test,
    "floor": _floor,
    "full": _full,
    "engines": _engines,
    "pythons": _pythons,
    "all": _all,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
