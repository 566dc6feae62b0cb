"""A Python process in which a library is not installed."""

import subprocess
import sys

_HIDING = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {hidden!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Hidden())
"""


def run_without(hidden: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in which importing `hidden` fails as if it were not installed."""
    whole = _HIDING.format(hidden=hidden) + program
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", whole, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
