"""Locks on bytes of a file. The operating system releases them when the process ends, however it ends.

POSIX systems use record locks (``fcntl``). Windows uses ``msvcrt``, which is not tested.
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

_MAX_QUERIES: Final = 5
"""How many times a lock is queried on Windows: a query takes the lock briefly there, so two queries can collide."""
_QUERY_AGAIN_SECONDS: Final = 0.01
"""Seconds between two of these queries."""


class Locks:
    """The locks of one file. If a process closes any descriptor of the file, it releases all of them.

    Args:
        path: the file. It is created if it is missing, readable only by its user.

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
        """Release every lock."""
        os.close(self._file)

    def hold(self, byte: int) -> bool:
        """Hold the lock of a byte from now on; False if another process holds it.

        Raises:
            OSError: the file system has no locks.
        """
        try:
            _lock(self._file, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def is_held(self, byte: int) -> bool:
        """Whether another process holds the lock of a byte; if the file system cannot say, the result is True."""
        try:
            return _is_held(self._file, byte)
        except OSError:
            return True


def locks_work_in(folder: Path) -> bool:
    """Whether other processes see a lock that is held in a folder. This is tried out, because file systems differ.

    On Linux, which has locks that belong to a descriptor, two descriptors of one new file act as two processes. On
    other systems only the existence of locks is tried.

    Raises:
        OSError: the folder cannot be written, or the file system has no locks.
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
        """Windows has no shared lock here: each query takes the lock briefly, so two queries can collide."""
        for _ in range(_MAX_QUERIES):
            try:
                _lock(file, byte)
            except PermissionError:
                time.sleep(_QUERY_AGAIN_SECONDS)
                continue
            os.lseek(file, byte, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
            return False
        return True

else:

    def _lock(file: int, byte: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)

    def _is_held(file: int, byte: int) -> bool:
        """A query takes a shared lock, which only conflicts with the lock of the holder: two queries never collide."""
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return True
        fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)
        return False


def _passes(file: int) -> bool:
    """Whether a lock that belongs to a descriptor can be taken; False if the kernel has no such locks."""
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 2, 1, 0)
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES, errno.EINVAL}:
            return False
        raise
    return True
