"""Locks on bytes of a file. The operating system releases them when the process ends, however it ends.

POSIX systems use record locks (``fcntl``), Windows ``msvcrt``, which is untested.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final, Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

_TRIES: Final = 5
"""How often a lock is asked about where asking takes it for a moment, and so two askers can meet."""
_GLANCE: Final = 0.01
"""Seconds between two of these."""


class Locks:
    """The locks of one file. By closing any descriptor of the file, a process gives up all of them.

    Args:
        path: the file; made where it is missing, readable by its user alone.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up every lock."""
        os.close(self._file)

    def hold(self, byte: int) -> bool:
        """Hold the lock of a byte from now on; False where another process has it.

        Raises:
            OSError: the file system has no locks.
        """
        try:
            _lock(self._file, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def is_held(self, byte: int) -> bool:
        """Whether another process holds the lock of a byte; a file system that cannot tell counts as "yes"."""
        try:
            return _is_held(self._file, byte)
        except OSError:
            return True


def locks_work_in(folder: Path) -> bool:
    """Whether a lock that is held in a folder is seen by others: that is tried, because file systems differ.

    Two descriptors of one new file stand for two processes, where the system has locks that belong to a descriptor
    (Linux); elsewhere only that there are locks at all is tried.

    Raises:
        OSError: nothing can be written there, or the file system has no locks.
    """
    first, name = tempfile.mkstemp(prefix=".rtcai-locks-", dir=folder)
    second = os.open(name, os.O_RDWR)
    try:
        os.unlink(name)  # noqa: PTH108  a name as mkstemp gives it
        _lock(first, 1)
        return not (sys.platform == "linux" and _passes(first) and _passes(second))
    finally:
        os.close(first)
        os.close(second)


if sys.platform == "win32":

    def _lock(file: int, byte: int) -> None:
        os.lseek(file, byte, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _is_held(file: int, byte: int) -> bool:
        """There is no lock that askers could share: each takes it for a moment, so two of them may meet."""
        for _ in range(_TRIES):
            try:
                _lock(file, byte)
            except PermissionError:
                time.sleep(_GLANCE)
                continue
            os.lseek(file, byte, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
            return False
        return True

else:

    def _lock(file: int, byte: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)

    def _is_held(file: int, byte: int) -> bool:
        """Askers take a shared lock, which keeps out nobody but its holder: two of them never meet."""
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return True
        fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)
        return False


def _passes(file: int) -> bool:
    """Whether a lock that belongs to a descriptor can be had; no where the kernel has none of the kind."""
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 2, 1, 0)
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES, errno.EINVAL}:
            return False
        raise
    return True
