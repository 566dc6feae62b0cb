"""The command lines of the processes of this machine, by which a process is recognized before it is ended."""

import subprocess
from contextlib import suppress
from pathlib import Path


def command_lines() -> dict[int, str]:
    """Return the command line of each process, by its number. Arguments are separated by a space, also at the end."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
        return {
            int(pid): f"{args} "
            for pid, _, args in (line.lstrip().partition(" ") for line in listing.stdout.splitlines())
        }
    lines = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended meanwhile
            lines[int(file.parent.name)] = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return lines


def is_engine(pid: int) -> bool:
    """Return whether the process `pid` is a Pulumi CLI."""
    words = command_lines().get(pid, "").split()
    return any(Path(word).name.lstrip(".").startswith("pulumi") for word in words)
