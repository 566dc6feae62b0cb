"""`python -m tools.checks NAME...`: the checks of the make targets, with the time of each part.

`CHECKS` and `PYTHONS` have the names.

`make test` runs "test", `make test-full` then runs "full", and `make test-all` then runs "all". The run stops at the
first part that fails.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.tiers import EXPRESSIONS, Target
from tools.pythons import VERSIONS, find_pythons

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = ROOT / ".venv" / "bin"
PYTHON: Final = str(BIN / "python")
FLOOR: Final = str(ROOT / ".tools" / "floor" / "bin" / "python")
# The engine's tests wait for processes, for the disk and for time to pass: with three workers, two cores were idle for
# two fifths of the time.
_CORES: Final = os.cpu_count() or 1
PARALLEL: Final = ("-n", str(_CORES + 1), "--dist", "worksteal")
PARALLEL_ENGINE: Final = ("-n", str(2 * _CORES + 1), "--dist", "worksteal")
WITHOUT_ENGINE: Final = ("-m", "pytest", *PARALLEL, "tests/plugin", "tests/unit", "tests/cli")

Part = tuple[str, Sequence[Sequence[str]]]
"""A name, and the commands to run in order."""

MYPY: Final = str(BIN / "mypy")
EXAMPLES: Final = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples").iterdir() if path.is_dir())
LINT: Final[Sequence[Part]] = [
    ("style", [[str(BIN / "ruff"), "check", "."], [str(BIN / "ruff"), "format", "--check", "."]]),
    # The examples one by one, because every program is a separate __main__.
    (
        "types",
        [
            [MYPY, "rtcai_pulumi", "pytest_rtcai", "tests", "tools", "__main__.py"],
            *([MYPY, example] for example in EXAMPLES),
        ],
    ),
    ("import directions", [[str(BIN / "lint-imports")]]),
]
SETUP_FLOOR: Final = [sys.executable, "tools/setup.py", "--floor", "--quiet"]
TEST_FLOOR: Final[Part] = (
    "tests without the engine, at the lowest versions of dependencies",
    [SETUP_FLOOR, [FLOOR, *WITHOUT_ENGINE]],
)
ENGINES: Final = [FLOOR, "-m", "pytest", *PARALLEL_ENGINE, "-m", "full and everyday", "tests/engine"]
# `make test` uses the newest engine and the newest SDK.
TEST_ENGINES: Final[Part] = (
    "the oldest engine with the oldest SDK",
    [
        SETUP_FLOOR,
        [sys.executable, "-m", "tools.pulumi_cli", "--oldest", "--quiet"],
        ["env", f"TESTED_ENGINE={ROOT / '.tools' / 'oldest' / 'bin'}", *ENGINES],
    ],
)
TEST: Final = [PYTHON, "-m", "pytest", *PARALLEL, "-m", EXPRESSIONS[Target.TEST]]
TEST_FULL: Final = [PYTHON, "-m", "pytest", *PARALLEL_ENGINE, "-m", EXPRESSIONS[Target.FULL]]
TEST_ALL: Final = [PYTHON, "-m", "pytest", *PARALLEL_ENGINE, "-m", EXPRESSIONS[Target.ALL]]
PYTHONS: Final = "pythons"
CHECKS: Final[Mapping[str, Sequence[Part]]] = {
    "lint": LINT,
    "test": [*LINT, ("tests", [TEST])],
    "floor": [TEST_FLOOR],
    "full": [("tests of the real engine", [TEST_FULL]), TEST_FLOOR],
    "engines": [TEST_ENGINES],
    "all": [TEST_ENGINES, ("every crash, and the whole model", [TEST_ALL])],
}


def list_pythons() -> Sequence[Part]:
    """Return the parts for the Pythons of this machine: the tests without the engine, and README's program with it."""
    pythons = find_pythons()
    missing = [version for version in VERSIONS if version not in pythons]
    print(f"Python {', '.join(pythons)}" + (f"; not on this machine: {', '.join(missing)}" if missing else ""))
    parts: list[Part] = []
    for version, python in pythons.items():
        environment = str(ROOT / ".tools" / f"python{version}" / "bin" / "python")
        setup = [python, "tools/setup.py", "--by-version", "--quiet"]
        parts += [
            (f"tests without the engine, Python {version}", [setup, [environment, *WITHOUT_ENGINE]]),
            (f"README's program from the wheel, Python {version}", [[python, "tools/try_wheel.py"]]),
        ]
    return parts


def main(names: Sequence[str]) -> int:
    """Run the checks of these names; returns the exit code of the first that failed, or 0."""
    spent: list[tuple[str, float]] = []
    code = 0
    for part, commands in [part for name in names for part in (list_pythons() if name == PYTHONS else CHECKS[name])]:
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


def _run(command: Sequence[str]) -> int:
    print(f"$ {Path(command[0]).name} {' '.join(command[1:])}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
