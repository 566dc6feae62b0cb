"""The Pythons of this machine that the package supports.

`python -m tools.pythons ARGUMENTS` runs pytest with these arguments for each of them, and README's program from the
wheel.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")


def main(arguments: Sequence[str]) -> int:
    """Run the checks for each Python; return the exit code of the first that failed, or 0."""
    pythons = find_pythons()
    missing = [version for version in VERSIONS if version not in pythons]
    print(f"Python {', '.join(pythons)}" + (f"; not on this machine: {', '.join(missing)}" if missing else ""))
    for version, python in pythons.items():
        for command in (
            [python, "tools/setup.py", "--by-version", "--quiet"],
            [f".tools/python{version}/bin/python", "-m", "pytest", *arguments],
            [python, "tools/try_wheel.py"],
        ):
            print("$", *command, flush=True)
            if code := subprocess.run(command, check=False).returncode:
                return code
    return 0


def find_pythons() -> dict[str, str]:
    """Return the path of one Python for each version that is on PATH or among pyenv's."""
    pythons = {version: next(filter(_starts, _candidates(version)), None) for version in VERSIONS}
    return {version: python for version, python in pythons.items() if python}


def _candidates(version: str) -> Iterator[str]:
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    yield from map(str, sorted(pyenv.glob(f"versions/*/bin/python{version}")))


def _starts(python: str) -> bool:
    """Whether it starts. A shim of pyenv does not if its version is not selected."""
    return subprocess.run([python, "-V"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
