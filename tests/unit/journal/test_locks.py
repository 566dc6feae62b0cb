"""The locks that show that a process is alive, also with their replacement on Windows."""

import subprocess
import sys
from pathlib import Path

from rtcai_pulumi.journal.sqlite.locks import Locks, locks_work_in

# What modules find on Windows: no fcntl, and an msvcrt whose locks are exclusive. Third-party modules are loaded
# before.
WINDOWS = """
import asyncio, fcntl, os, pydantic.main, sqlite3, subprocess, sys, tempfile
from pathlib import Path
from types import ModuleType

msvcrt = ModuleType("msvcrt")
msvcrt.LK_NBLCK, msvcrt.LK_UNLCK = 1, 2
def locking(file, mode, count):
    at = os.lseek(file, 0, os.SEEK_CUR)
    if mode == msvcrt.LK_UNLCK:
        fcntl.lockf(file, fcntl.LOCK_UN, count, at)
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, count, at)
    except BlockingIOError:
        raise PermissionError(13, "Permission denied") from None
msvcrt.locking = locking
sys.modules["msvcrt"], sys.modules["fcntl"] = msvcrt, None
sys.platform = "win32"
from rtcai_pulumi.journal.sqlite.locks import Locks, locks_work_in
import rtcai_pulumi.journal.journal
path = Path(sys.argv[1])
assert locks_work_in(path.parent)
with Locks(path) as locks:
    assert locks.hold(7)
    print("held", flush=True)
    print(locks.is_held(8), locks.is_held(9), flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_seen_by_others_until_its_process_ends(tmp_path: Path) -> None:
    assert locks_work_in(tmp_path)
    path = tmp_path / "locks"
    command = [sys.executable, "-c", WINDOWS, str(path)]
    with Locks(path) as mine, subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as other:
        assert mine.hold(9)
        assert other.stdout
        assert other.stdin
        assert other.stdout.readline() == "held\n"
        assert (mine.is_held(7), mine.is_held(8)) == (True, False)
        assert not mine.hold(7)
        assert other.stdout.readline() == "False True\n"
        other.stdin.close()
        other.wait()
        assert not mine.is_held(7)
        assert mine.hold(7)
