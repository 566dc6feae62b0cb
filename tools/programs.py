"""Provide the programs that tests need and that pip does not install: Chromium and PgBouncer, as Debian's packages.

Run by `make test`; uses the standard library only. If one cannot be installed (no root, no apt-get, no network), it
prints what to do. The tests that need it are then skipped with a message, or fail if CI is set.

RTCAI_CHROMIUM names another browser based on Chromium: the path of its executable.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple


class Program(NamedTuple):
    """A program that tests need."""

    names: tuple[str, ...]
    """The names of its executable; the first one found is used."""
    packages: tuple[str, ...]
    """Debian's packages."""
    how: str
    """What to do if it is missing."""
    variable: str = ""
    """The environment variable that names another executable."""

    def find(self, environ: Mapping[str, str]) -> str | None:
        """Return the path of the executable, or None if there is none."""
        named = environ.get(self.variable)
        names = (named,) if named else self.names
        return next(filter(None, (shutil.which(name, path=environ.get("PATH", os.defpath)) for name in names)), None)

    def provide(self) -> None:
        """Install it if there is none, or print how."""
        if self.find(os.environ):
            return
        if os.geteuid() == 0 and shutil.which("apt-get") and not os.environ.get(self.variable):
            print(f"{self.names[0]}: installing Debian's package for the tests (about a minute) ...", flush=True)
            # The result is checked afterwards, not by exit codes: an index that cannot be updated may be good enough.
            for command in (["update"], ["install", "--yes", "--no-install-recommends", *self.packages]):
                env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(["apt-get", "--quiet=2", *command], env=env, stdout=subprocess.DEVNULL, check=False)
        if not self.find(os.environ):
            print(f"{self.names[0]}: {self.how}", file=sys.stderr)


CHROMIUM = Program(
    ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    # The font is for screenshots: the service's own messages are in Chinese.
    ("chromium", "fonts-wqy-microhei"),
    "no Chromium: the tests of the emulator's page need one.\n"
    "  On Debian: apt install chromium (as root). Elsewhere install Chromium or Chrome.\n"
    "  If it is not on PATH, name its program: RTCAI_CHROMIUM=/path/to/chrome",
    "RTCAI_CHROMIUM",
)
PGBOUNCER = Program(
    ("pgbouncer", "/usr/sbin/pgbouncer"),  # Debian puts it where users do not look
    ("pgbouncer",),
    "no PgBouncer: the tests of a journal behind a pooler need it.\n  On Debian: apt install pgbouncer (as root).",
)


if __name__ == "__main__":
    CHROMIUM.provide()
    PGBOUNCER.provide()
