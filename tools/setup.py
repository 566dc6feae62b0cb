"""Prepare `.venv`: the package in editable form, its extras and the test tools, at the versions of constraints.txt.

With `--floor`, prepare `.tools/floor` instead: the same, but every package that users install in a range of versions
has the lowest version that pyproject.toml allows, as pinned in constraints-floor.txt. `make test-floor` tests it.

With `--by-version`, prepare a copy of `.venv` for the running Python in a folder that is named for its version, like
`.tools/python3.13`. `make test-pythons` tests one for each version.

Run by `make setup` with the system's Python; uses the standard library only. A second run does nothing. It may be
interrupted at any moment and run again: `rtcai-setup.json` in the folder records whether the last run was completed; if
not, the folder is created again.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one can only be told if it gets as far as this line
    sys.exit(
        "setup: this project needs Python 3.11 or newer; "
        f"{sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}.\n"
        "       Install one (on Debian or Ubuntu: python3.11 and python3.11-venv) and name it:\n"
        "       make setup PYTHON=python3.11"
    )

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Environment:
    """A virtual environment of this checkout: its folder, and the files that pin it; later files override earlier
    ones.
    """

    folder: Path
    pins: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Its name in messages."""
        return str(self.folder.relative_to(ROOT))

    @property
    def python(self) -> Path:
        """Path of its Python."""
        return self.folder / "bin" / "python"

    @property
    def record(self) -> Path:
        """Path of the file that records the result of the last run."""
        return self.folder / "rtcai-setup.json"

    def constraints(self) -> str:
        """Return one pin for each package."""
        lines = (line for file in self.pins for line in file.read_text().splitlines())
        pinned = {_package(line): line for line in lines if line and not line.startswith("#")}
        return "".join(f"{line}\n" for line in pinned.values())


CURRENT = Environment(ROOT / ".venv", (ROOT / "tools" / "constraints.txt",))
OF_THIS_VERSION = Environment(ROOT / ".tools" / f"python{sys.version_info[0]}.{sys.version_info[1]}", CURRENT.pins)
FLOOR = Environment(ROOT / ".tools" / "floor", (*CURRENT.pins, ROOT / "tools" / "constraints-floor.txt"))
OPTIONS = {"": CURRENT, "--floor": FLOOR, "--by-version": OF_THIS_VERSION}


def main(arguments: Sequence[str]) -> int:
    """Prepare an environment and return the exit code. `--quiet` prints nothing if there is nothing to do."""
    folder = ROOT / ".tools"
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another set-up is at work here: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        environment = OPTIONS[next(filter(OPTIONS.get, arguments), "")]
        return _prepare(environment, quiet="--quiet" in arguments)


def _prepare(environment: Environment, quiet: bool) -> int:
    name, recorded, wanted = environment.name, _recorded(environment), _wanted(environment)
    if recorded == wanted:
        if not quiet:
            print(f"setup: {name} is ready: nothing to do", flush=True)
        return 0
    if _must_be_made_anew(environment, recorded):
        print(f"setup: making {name} with Python {sys.version_info[0]}.{sys.version_info[1]} ...", flush=True)
        shutil.rmtree(environment.folder, ignore_errors=True)
        environment.folder.mkdir()
        _record(environment, UNFINISHED)
        if _run([sys.executable, "-m", "venv", str(environment.folder)]) != 0:
            print(
                "setup: this Python cannot make a virtual environment.\n"
                "       On Debian and Ubuntu its venv module is a package of its own: apt install python3-venv",
                file=sys.stderr,
            )
            return 1
    _record(environment, UNFINISHED)
    print(f"setup: installing the package, its extras and the test tools into {name} (about a minute) ...", flush=True)
    if _install(environment) != 0:
        print("setup: pip failed; its lines above say why. Run it again to go on.", file=sys.stderr)
        return 1
    _record(environment, wanted)
    print(f"setup: {name} is ready", flush=True)
    return 0


def _install(environment: Environment) -> int:
    constraints = environment.folder / "constraints.txt"
    constraints.write_text(environment.constraints())
    pip = [str(environment.python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
    # The build backend is installed first and the build is not isolated, so constraints.txt pins the backend too. pip
    # itself is installed too: the language host uses it to list the packages in every run, and the pip that comes with
    # Python 3.11 takes twice as long for that.
    package = ["--no-build-isolation", "--editable", f"{ROOT}[dev]"]
    return _run([*pip, "pip", "hatchling", "editables"]) or _run([*pip, *package])


def _package(pin: str) -> str:
    return pin.partition("==")[0].lower().replace("_", "-")


def _run(argv: list[str]) -> int:
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


def _must_be_made_anew(environment: Environment, recorded: str | None) -> bool:
    if recorded == UNFINISHED or not environment.python.exists():
        return True
    # The scripts in bin/ start with the absolute path of their Python, so a checkout that was moved needs new ones.
    script = environment.folder / "bin" / "pip"
    if not script.exists() or not script.read_text(errors="replace").startswith(f"#!{environment.folder}/"):
        return True
    question = "import sys; sys.exit(sys.version_info < (3, 11))"
    return _run([str(environment.python), "-c", question]) != 0


def _wanted(environment: Environment) -> str:
    pinned = (ROOT / "pyproject.toml").read_text() + environment.constraints() + str(ROOT)
    return hashlib.sha256(pinned.encode()).hexdigest()


def _recorded(environment: Environment) -> str | None:
    try:
        return str(json.loads(environment.record.read_text())["state"]) if environment.python.exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(environment: Environment, state: str) -> None:
    environment.record.write_text(json.dumps({"state": state}) + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
