"""Provide a Pulumi CLI: the one on PATH, else one in the project's `.tools/bin`.

A second run does nothing. A run may be interrupted at any moment and repeated: all work is done in a temporary folder,
and one rename creates `bin`.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tools.pulumi_cli.sources import (
    NEWEST,
    OLDEST,
    PARTS,
    SOURCES,
    Engine,
    SourceError,
    digest_pins,
    find_on_path,
    query_version,
)
from tools.setup import ROOT, wait_for_others

_PINS = "pins.sha256"
"""The file in an installation that says what it was installed from."""


def main() -> int:
    """Run the installer and return its exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.pulumi_cli", description=__doc__)
    parser.add_argument("--into", type=Path, help="the folder that gets bin/ (.tools, or .tools/oldest)")
    parser.add_argument(
        "--oldest", action="store_true", help="the oldest supported engine, for its tests; not from PATH"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing if there is nothing to do")
    options = parser.parse_args()
    into = options.into or ROOT / ".tools" / ("oldest" if options.oldest else "")
    folder: Path = into.resolve()
    engine = OLDEST if options.oldest else NEWEST
    with wait_for_others(folder / "install.lock"):
        message = _provide(engine, folder)
    if message is None:
        print(
            "setup: no Pulumi CLI: every source failed, see above; fix one cause, and run `make setup` again",
            file=sys.stderr,
        )
        return 1
    if not (options.quiet and message.endswith("nothing to do")):
        print(f"setup: {message}")
    return 0


def _provide(engine: Engine, folder: Path) -> str | None:
    """Return what was done; None if every source failed."""
    target = folder / "bin"
    place = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    if _is_complete(engine, target):
        return f"pulumi v{engine} is in {place}: nothing to do"
    if engine is NEWEST and (cli := _find_elsewhere(target)):
        # The targets search `target` first, so an incomplete or outdated copy there must go.
        shutil.rmtree(target, ignore_errors=True)
        return f"pulumi {cli}, on PATH: nothing to do"
    for source in SOURCES:
        try:
            _install(engine, folder, source)
        except SourceError as error:
            print(f"setup: cannot get pulumi from {source!r}: {error}", flush=True)
        else:
            return f"pulumi v{engine} is now in {place} ({source})"
    return None


def _find_elsewhere(target: Path) -> str | None:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    try:
        return find_on_path(os.pathsep.join(each for each in folders if each and Path(each).resolve() != target))
    except SourceError as error:
        print(f"setup: cannot use pulumi from PATH: {error}", flush=True)
        return None


def _install(engine: Engine, folder: Path, source: str) -> None:
    length = ", which takes about 5 minutes the first time" if source == "build" else ""
    print(f"setup: installing pulumi v{engine} ({source}{length}) ...", flush=True)
    for unfinished in folder.glob("tmp-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    # Next to its target and not in /tmp, because a rename works only within one file system.
    with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-", ignore_cleanup_errors=True) as name:
        scratch, target = Path(name), folder / "bin"
        SOURCES[source](engine, scratch)
        built = scratch / "bin"
        if missing := [part for part in PARTS if not os.access(built / part, os.X_OK)]:
            raise SourceError(f"it has no {', '.join(missing)}")
        query_version(built / "pulumi")
        (built / _PINS).write_text(digest_pins(engine))
        if target.exists():
            target.rename(scratch / "old")
        built.rename(target)


def _is_complete(engine: Engine, target: Path) -> bool:
    files = [target / part for part in (*PARTS, _PINS)]
    return all(file.exists() for file in files) and (target / _PINS).read_text() == digest_pins(engine)


if __name__ == "__main__":
    # `make` sends SIGTERM when it is ended: as an exit, it ends the started commands and removes the temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again", file=sys.stderr)
        sys.exit(130)
