"""Prepare `.venv`: the package in editable form, its extras and the test tools, at the versions of constraints.txt.

With `--floor`, prepare `.tools/floor` instead: the same, but every package that users install in a range of versions
has the lowest version that pyproject.toml allows, as pinned in constraints-floor.txt. `make test-floor` tests it.

With `--by-version`, prepare a copy of `.venv` for the running Python in a folder that is named for its version, like
`.tools/python3.13`. `make test-pythons` tests one for each version.

Run by `make setup` with the system's Python; uses the standard library only. A second run does nothing. It may be
interrupted at any moment and run again: `rtcai-setup` in the folder records whether the last run was completed; if
not, the folder is created again.
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
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNFINISHED = "unfinished"


def main(arguments: Sequence[str]) -> int:
    """Prepare an environment and return the exit code. `--quiet` prints nothing if there is nothing to do."""
    is_floor = "--floor" in arguments
    of_version = f".tools/python{sys.version_info[0]}.{sys.version_info[1]}" if "--by-version" in arguments else ".venv"
    folder = ROOT / (".tools/floor" if is_floor else of_version)
    files = ["constraints.txt", *(["constraints-floor.txt"] if is_floor else [])]
    constraints = merge_pins(ROOT / "tools" / file for file in files)
    with wait_for_others(ROOT / ".tools" / "setup.lock"):
        return _prepare(folder, constraints, quiet="--quiet" in arguments)


@contextmanager
def wait_for_others(lock: Path) -> Iterator[None]:
    """Hold a lock, so that only one setup runs in its folder at a time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another setup is running here: waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def merge_pins(files: Iterable[Path]) -> str:
    """Return one pin for each package; later files override earlier ones."""
    lines = (line for file in files for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return "".join(f"{line}\n" for line in {_normalize(line.partition("==")[0]): line for line in lines}.values())


def _normalize(package: str) -> str:
    return package.lower().replace("_", "-")


def _prepare(folder: Path, constraints: str, *, quiet: bool) -> int:
    name, record = folder.relative_to(ROOT), folder / "rtcai-setup"
    state = record.read_text() if record.exists() and _is_usable(folder) else ""
    pinned = (ROOT / "pyproject.toml").read_text() + constraints + str(ROOT)
    wanted = hashlib.sha256(pinned.encode()).hexdigest()
    if state == wanted:
        if not quiet:
            print(f"setup: {name} is ready: nothing to do", flush=True)
        return 0
    if state == UNFINISHED or not _is_usable(folder):
        print(f"setup: making {name} with Python {sys.version_info[0]}.{sys.version_info[1]} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        record.write_text(UNFINISHED)
        if _run(sys.executable, "-m", "venv", str(folder)) != 0:
            print(
                "setup: this Python cannot make a virtual environment.\n"
                "       On Debian and Ubuntu its venv module is a package of its own: apt install python3-venv",
                file=sys.stderr,
            )
            return 1
    record.write_text(UNFINISHED)
    print(f"setup: installing the package, its extras and the test tools into {name} (about a minute) ...", flush=True)
    (folder / "constraints.txt").write_text(constraints)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--constraint", str(folder / "constraints.txt")]
    # The build backend is installed first and the build is not isolated, so constraints.txt pins the backend too. pip
    # itself is installed too: the language host uses it to list the packages in every run, and the pip that comes with
    # Python 3.11 takes twice as long for that.
    code = _run(*pip, "pip", "hatchling", "editables")
    if code or _run(*pip, "--no-build-isolation", "--editable", f"{ROOT}[dev]"):
        print("setup: pip failed; see its output above, fix the cause, and run `make setup` again", file=sys.stderr)
        return 1
    record.write_text(wanted)
    print(f"setup: {name} is ready", flush=True)
    return 0


def _is_usable(folder: Path) -> bool:
    # The scripts in bin/ start with the absolute path of their Python, so a checkout that was moved needs new ones.
    python, script = folder / "bin" / "python", folder / "bin" / "pip"
    return python.exists() and script.exists() and script.read_text(errors="replace").startswith(f"#!{folder}/")


def _run(*argv: str) -> int:
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again", file=sys.stderr)
        sys.exit(130)
