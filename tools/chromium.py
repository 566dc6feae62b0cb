"""Provide a Chromium for the tests of the emulator's page; installs Debian's package if possible.

Run by `make test`; uses the standard library only. If it cannot install Chromium (no root, no apt-get, no network), it
prints what to do. The page's tests are then skipped with a message. If CI is set, they and this script fail instead.

RTCAI_CHROMIUM names another browser based on Chromium: the path of its executable.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

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


def find_chromium(environ: Mapping[str, str]) -> str | None:
    """Return the path of the Chromium to use, or None if there is none."""
    named, path = environ.get("RTCAI_CHROMIUM"), environ.get("PATH", os.defpath)
    paths = (shutil.which(name, path=path) for name in ([named] if named else NAMES))
    return next(filter(None, paths), None)


def main() -> int:
    """Install a Chromium if there is none, and return the exit code."""
    if find_chromium(os.environ):
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get") and not os.environ.get("RTCAI_CHROMIUM"):
        print("chromium: installing Debian's package for the tests of the page (about a minute) ...", flush=True)
        # The result is checked afterwards, not by exit codes: an index that cannot be updated may be good enough.
        for command in _INSTALL:
            env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=False)
        if find_chromium(os.environ):
            return 0
    print(f"chromium: {HOW}", file=sys.stderr)
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
