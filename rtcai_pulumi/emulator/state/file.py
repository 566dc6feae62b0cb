"""Keeps rooms and tasks in a file, so that a restarted emulator continues with them.

The file is written next to the old one, flushed and renamed: a kill at any moment leaves one of the two. It holds
prompts, which may be secret, so only its user can read it.
"""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from rtcai_pulumi.emulator.errors import StateFileUnusable
from rtcai_pulumi.emulator.state.model import Room, State, Task

if sys.platform == "win32":
    import msvcrt

    def _hold(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _hold(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True)
class _Stored:
    version: Literal[1]
    rooms: tuple[Room, ...]
    tasks: tuple[Task, ...]


_FORMAT: Final = TypeAdapter(_Stored)


class StateFile:
    """A state file that no other emulator uses, until it is closed.

    Raises:
        StateFileUnusable: it is corrupt (and then left as it is), in use, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._beside = self._path.with_name(f"{self._path.name}.new")
        self._writing = asyncio.Lock()
        self._lock = self._locked()
        try:
            self.state = self._loaded()
            # Written back at once: what cannot be written shows now, and a file that others could read is closed.
            self._replace(self._snapshot())
        except OSError as error:
            self.close()
            raise StateFileUnusable(self._sentence(f"cannot be used: {error.strerror}")) from None
        except StateFileUnusable:
            self.close()
            raise
        self._written = self.state.revision

    async def save(self) -> None:
        """Put every change made until now on the disk. Changes made while the disk is busy share the next write.

        Raises:
            OSError: the disk is full, or the like; the file is as it was.
        """
        wanted = self.state.revision
        async with self._writing:
            if self._written < wanted:
                revision, stored = self.state.revision, self._snapshot()
                await asyncio.to_thread(self._replace, stored)
                self._written = revision

    def close(self) -> None:
        """Let another emulator use the file."""
        os.close(self._lock)

    def _snapshot(self) -> _Stored:
        return _Stored(1, tuple(self.state.rooms.values()), tuple(self.state.tasks.values()))

    def _replace(self, stored: _Stored) -> None:
        with suppress(FileNotFoundError):
            self._beside.unlink()
        file = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as beside:
            beside.write(_FORMAT.dump_json(stored, indent=1))
            beside.flush()
            os.fsync(file)
        self._beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _loaded(self) -> State:
        try:
            stored = _FORMAT.validate_json(self._path.read_bytes(), strict=True)
        except FileNotFoundError:
            return State()
        except ValidationError as error:
            # Only the first place, and not what stands there: it may be a prompt.
            place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
            what = f"is not what an emulator writes (first problem at: {place or 'its very start'})"
            raise StateFileUnusable(self._sentence(f"{what}; mend it, or move it away to start empty")) from None
        return State(stored.rooms, stored.tasks)

    def _locked(self) -> int:
        """A lock that ends with the process; on a file of its own, because the state file itself is replaced."""
        try:
            lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateFileUnusable(self._sentence(f"cannot be used: {error.strerror}")) from None
        try:
            _hold(lock)
        except OSError:
            os.close(lock)
            raise StateFileUnusable(self._sentence("is in use by another emulator")) from None
        return lock

    def _sentence(self, what: str) -> str:
        return f"the state file {self._path} {what}"
