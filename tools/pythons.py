"""The Pythons of this machine that the package supports, for `make test-pythons`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")


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
