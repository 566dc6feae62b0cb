"""Prepare `.venv`: the package in editable form, its extras and the test tools, at the versions of constraints.txt.

Run by `make setup` with the system's Python, standard library only. A second run does nothing. It may be interrupted
at any moment and run again: `.venv/rtcai-setup.json` says whether the last run came to its end, and where it did not
the folder is made anew.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
RECORD = VENV / "rtcai-setup.json"
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
UNFINISHED = "unfinished"


def main(quiet: bool) -> int:
    """Prepare `.venv` and return the exit code. `quiet` says nothing where there is nothing to do."""
    folder = ROOT / ".tools"
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another set-up is at work here: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare(quiet)


def _prepare(quiet: bool) -> int:
    recorded, wanted = _recorded(), _wanted()
    if recorded == wanted:
        if not quiet:
            print("setup: .venv is ready: nothing to do", flush=True)
        return 0
    if _must_be_made_anew(recorded):
        print(f"setup: making .venv with Python {sys.version_info[0]}.{sys.version_info[1]} ...", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        _record(UNFINISHED)
        if _run([sys.executable, "-m", "venv", str(VENV)]) != 0:
            print(
                "setup: this Python cannot make a virtual environment.\n"
                "       On Debian and Ubuntu its venv module is a package of its own: apt install python3-venv",
                file=sys.stderr,
            )
            return 1
    _record(UNFINISHED)
    print("setup: installing the package, its extras and the test tools into .venv (about a minute) ...", flush=True)
    if _install() != 0:
        print("setup: pip failed; its lines above say why. Run `make setup` again to go on.", file=sys.stderr)
        return 1
    _record(wanted)
    print("setup: .venv is ready", flush=True)
    return 0


def _install() -> int:
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS)]
    # The build backend comes first and the build is not isolated, so that constraints.txt pins the backend too.
    return _run([*pip, "hatchling", "editables"]) or _run([*pip, "--no-build-isolation", "--editable", f"{ROOT}[dev]"])


def _run(argv: list[str]) -> int:
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


def _must_be_made_anew(recorded: str | None) -> bool:
    python = VENV / "bin" / "python"
    if recorded == UNFINISHED or not python.exists():
        return True
    # The scripts in bin/ begin with the absolute path of their Python: a checkout that was moved needs new ones.
    script = VENV / "bin" / "pip"
    if not script.exists() or not script.read_text(errors="replace").startswith(f"#!{VENV}/"):
        return True
    question = "import sys; sys.exit(sys.version_info < (3, 11))"
    return _run([str(python), "-c", question]) != 0


def _wanted() -> str:
    pinned = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes() + str(ROOT).encode()
    return hashlib.sha256(pinned).hexdigest()


def _recorded() -> str | None:
    try:
        return str(json.loads(RECORD.read_text())["state"]) if (VENV / "bin" / "python").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(state: str) -> None:
    RECORD.write_text(json.dumps({"state": state}) + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main(quiet="--quiet" in sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
