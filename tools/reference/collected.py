"""The tests, and what their markers say, as pytest collects them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.tiers import ROOT, Target


class CollectedTest(NamedTuple):
    """A test with its parameters, the first target that runs it, and what it shows."""

    test: str
    target: Target
    shows: Sequence[str]
    reason: str | None

    @property
    def file(self) -> str:
        """The test's file."""
        return self.test.partition("::")[0]

    @property
    def name(self) -> str:
        """The test's name, without parameters."""
        return self.test.partition("[")[0].rpartition("::")[2]


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
