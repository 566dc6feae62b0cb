"""Provide a Pulumi CLI: the one on PATH, else one in the project's `.tools/bin`.

Usage: `python3 tools/pulumi-cli/install.py [--into FOLDER] [--only path|vendor|build] [--oldest] [--quiet]`. With
`--oldest`, it provides the oldest supported engine in a separate folder, regardless of PATH. It uses the standard
library only, because it runs before anything is installed. A second run does nothing. It may be interrupted at any
moment and run again: all work is done in a temporary folder, and one rename creates `bin`.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pins
import ways

ROOT = Path(__file__).resolve().parents[2]
RECORD = "installed.json"
WAYS = ("path", "vendor", "build")


def main() -> int:
    """Run the installer and return its exit code."""
    parser = argparse.ArgumentParser(prog="tools/pulumi-cli/install.py")
    parser.add_argument("--into", type=Path, help="the folder that gets bin/ (.tools, or .tools/oldest)")
    parser.add_argument("--oldest", action="store_true", help="the oldest engine that will do, for its tests")
    parser.add_argument("--only", choices=WAYS, help="try this way alone")
    parser.add_argument("--quiet", action="store_true", help="print nothing if there is nothing to do")
    arguments = parser.parse_args()
    # `make` sends SIGTERM when it is ended: as an exit, it ends the started commands and removes the temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = pins.OLDEST if arguments.oldest else pins.NEWEST
    into = arguments.into or ROOT / ".tools" / ("oldest" if arguments.oldest else "")
    folder: Path = into.resolve()
    wanted = (arguments.only,) if arguments.only else ("vendor", "build") if arguments.oldest else WAYS
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another installer is at work here: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return _provide(engine, folder, wanted, arguments.quiet)


def _provide(engine: pins.Engine, folder: Path, wanted: Sequence[str], quiet: bool) -> int:
    target = folder / "bin"
    if _complete(engine, target):
        if not quiet:
            print(f"setup: pulumi v{engine} is in {_shown(target)}: nothing to do")
        return 0
    if "path" in wanted:
        try:
            found = ways.on_path(_search_path(target))
        except ways.NoWayError as reason:
            print(f"setup: pulumi on PATH: no: {reason}", flush=True)
        else:
            # An incomplete or outdated copy of ours would come before this one on the targets' PATH.
            shutil.rmtree(target, ignore_errors=True)
            if not quiet:
                print(f"setup: pulumi {found}, on PATH: nothing to do")
            return 0
    for way in ("vendor", "build"):
        if way in wanted and _install(engine, folder, way):
            return 0
    print("setup: no Pulumi CLI. The lines above say why each way failed.", file=sys.stderr)
    return 1


def _install(engine: pins.Engine, folder: Path, way: str) -> bool:
    title = {
        "vendor": f"the vendor's installer for v{engine}",
        "build": f"building v{engine} from Go modules (about 5 minutes the first time)",
    }[way]
    print(f"setup: {title} ...", flush=True)
    for left_over in folder.glob("tmp-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    # Next to its target and not in /tmp, because a rename works only within one file system.
    with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-", ignore_cleanup_errors=True) as scratch:
        into = Path(scratch)
        try:
            (ways.by_vendor if way == "vendor" else ways.by_build)(engine, into, dict(os.environ))
            _verify(into / "bin")
        except ways.NoWayError as reason:
            print(f"setup: {title}: failed: {reason}", flush=True)
            return False
        (into / "bin" / RECORD).write_text(json.dumps({"way": way, "pins": _pins_digest(engine)}) + "\n")
        _put_in_place(into, folder / "bin")
    print(f"setup: pulumi v{engine} is now in {_shown(folder / 'bin')} ({way})")
    return True


def _verify(made: Path) -> None:
    missing = [part for part in pins.PARTS if not os.access(made / part, os.X_OK)]
    if missing:
        raise ways.NoWayError(f"it left no {', '.join(missing)}")
    ways.version_of(made / "pulumi")


def _put_in_place(scratch: Path, target: Path) -> None:
    if target.exists():
        target.rename(scratch / "old")
    (scratch / "bin").rename(target)


def _complete(engine: pins.Engine, target: Path) -> bool:
    try:
        record = json.loads((target / RECORD).read_text())
    except (OSError, ValueError):
        return False
    return record.get("pins") == _pins_digest(engine) and all((target / part).exists() for part in pins.PARTS)


def _pins_digest(engine: pins.Engine) -> str:
    here = Path(__file__).parent
    pinned = [here / "pins.py", here / engine.folder / "go.mod", here / "language-host" / "go.mod"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in pinned)).hexdigest()


def _search_path(target: Path) -> str:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and Path(folder).resolve() != target)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
