"""Provide a Chromium for the tests of the emulator's page; installs Debian's package if possible.

Run by `make test`; uses the standard library only. If it cannot install Chromium (no root, no apt-get, no network), it
prints what to do. The page's tests are then skipped with a message. If CI is set, they and this script fail instead.

RTCAI_CHROMIUM names another browser based on Chromium: the path of its executable.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW = (
    "no Chromium: the tests of the emulator's page need one.\n"
    "  On Debian: apt install chromium (as root). Elsewhere install Chromium or Chrome.\n"
    "  If it is not on PATH, name its program: RTCAI_CHROMIUM=/path/to/chrome"
)
_INSTALL = (
    ("apt-get", "update", "--quiet=2"),
    # The font is for screenshots: the service's own messages are in Chinese.
    ("apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", "chromium", "fonts-wqy-microhei"),
)

Run = Callable[[Sequence[str], Mapping[str, str]], None]


def find_chromium(environ: Mapping[str, str]) -> str | None:
    """Return the path of the Chromium to use, or None if there is none."""
    named, path = environ.get("RTCAI_CHROMIUM"), environ.get("PATH", os.defpath)
    paths = (shutil.which(name, path=path) for name in ([named] if named else NAMES))
    return next(filter(None, paths), None)


def main(environ: Mapping[str, str], *, is_root: bool, run: Run) -> int:
    """Install a Chromium if there is none, and return the exit code."""
    if find_chromium(environ):
        return 0
    has_apt = shutil.which("apt-get", path=environ.get("PATH", os.defpath)) is not None
    if is_root and has_apt and not environ.get("RTCAI_CHROMIUM"):
        print("chromium: installing Debian's package for the tests of the page (about a minute) ...", flush=True)
        # The result is checked afterwards, not by exit codes: an index that cannot be updated may be good enough.
        for command in _INSTALL:
            run(command, {**environ, "DEBIAN_FRONTEND": "noninteractive"})
        if find_chromium(environ):
            return 0
    print(f"chromium: {HOW}", file=sys.stderr)
    return 1 if environ.get("CI") else 0


def _run(command: Sequence[str], environ: Mapping[str, str]) -> None:
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    sys.exit(main(os.environ, is_root=os.geteuid() == 0, run=_run))
