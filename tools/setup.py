"""Prepare `.venv`: the package in editable form, its extras and the test tools, at the versions of constraints.txt.

With `--floor`, prepare `.tools/floor` instead: the same, but every package that users install in a range of versions
has the lowest version that pyproject.toml allows, as pinned in constraints-floor.txt. `make test-floor` tests it.

With `--by-version`, prepare a copy of `.venv` for the running Python in a folder that is named for its version, like
`.tools/python3.13`. `make test-pythons` tests one for each version.

Run by `make setup` with the system's Python; uses the standard library only. A second run does nothing. It may be
interrupted at any moment and run again: `rtcai-setup` in the folder records what a run has completed. If that is
anything else than what is wanted now, the folder is created again.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one gets a message only if it can parse the file up to this line
    sys.exit(
        "setup: this project needs Python 3.11 or newer; "
        f"{sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}.\n"
        "       Install one (on Debian or Ubuntu: python3.11 and python3.11-venv) and name it:\n"
        "       make setup PYTHON=python3.11"
    )

import fcntl
import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Prepare an environment."""
    folder, files = ROOT / ".venv", [ROOT / "tools" / "constraints.txt"]
    if "--floor" in sys.argv:
        folder = ROOT / ".tools" / "floor"
        files.append(ROOT / "tools" / "constraints-floor.txt")
    elif "--by-version" in sys.argv:
        folder = ROOT / ".tools" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    with wait_for_others(ROOT / ".tools" / "setup.lock"):
        _prepare(folder, merge_pins(files))


@contextmanager
def wait_for_others(lock: Path) -> Iterator[None]:
    """Hold a lock, so that only one target works in its folder at a time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another make target, which holds {lock} ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def merge_pins(files: Iterable[Path]) -> str:
    """Return one pin for each package; later files override earlier ones."""
    lines = (line for file in files for line in file.read_text().splitlines() if line and not line.startswith("#"))
    pins = {line.partition("==")[0].lower().replace("_", "-"): f"{line}\n" for line in lines}
    return "".join(pins.values())


def _prepare(folder: Path, constraints: str) -> None:
    name, record, python = folder.relative_to(ROOT), folder / "rtcai-setup", folder / "bin" / "python"
    # The scripts in bin/ start with the absolute path of their Python, so a checkout that was moved needs new ones.
    pinned = (ROOT / "pyproject.toml").read_text() + constraints + str(ROOT)
    wanted = hashlib.sha256(pinned.encode()).hexdigest()
    if python.exists() and record.exists() and record.read_text() == wanted:
        return
    print(
        f"setup: making {name} with Python {sys.version_info[0]}.{sys.version_info[1]}, about a minute ...", flush=True
    )
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    (folder / "constraints.txt").write_text(constraints)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(folder / "constraints.txt")]
    # The build backend is installed first and the build is not isolated, so constraints.txt pins the backend too. pip
    # itself is installed too: the language host uses it to list the packages in every run, and the pip that comes with
    # Python 3.11 takes twice as long for that.
    _run(*pip, "pip", "hatchling", "editables")
    _run(*pip, "--no-build-isolation", "--editable", f"{ROOT}[dev]")
    record.write_text(wanted)
    print(f"setup: {name} is ready", flush=True)


def _run(*argv: str) -> None:
    if subprocess.run(argv, cwd=ROOT, check=False).returncode:
        command = " ".join(argv)
        sys.exit(f"setup: `{command}` failed; see its output above, fix the cause, and run `make setup` again")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again", file=sys.stderr)
        sys.exit(130)
