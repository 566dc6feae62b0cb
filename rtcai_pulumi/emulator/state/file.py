"""Stores rooms and tasks in a file; a restarted emulator continues with them.

The new content is written next to the old file, flushed and renamed: after a kill at any moment one of the two is
complete. The file contains prompts, which may be secret, so only its owner can read it.
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
from rtcai_pulumi.emulator.state.model import EmulatedRoom, EmulatedTask, ServiceState

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True)
class _StoredState:
    version: Literal[1]
    rooms: tuple[EmulatedRoom, ...]
    tasks: tuple[EmulatedTask, ...]


_FORMAT: Final = TypeAdapter(_StoredState)


class StateFile:
    """A state file, locked against other emulators until it is closed.

    Raises:
        StateFileUnusable: the file is corrupt (it is left unchanged), in use, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._new_path = self._path.with_name(f"{self._path.name}.new")
        self._writing = asyncio.Lock()
        self._lock_handle = self._lock_file()
        try:
            self.state = self._load()
            # It is written back immediately: this detects a file that cannot be written, and makes the file private
            # if other users can read it.
            self._replace(self._snapshot())
        except OSError as error:
            self.close()
            raise StateFileUnusable(self._describe(f"cannot be used: {error.strerror}")) from None
        except StateFileUnusable:
            self.close()
            raise
        self._written = self.state.revision

    async def save(self) -> None:
        """Write every change made until now to the disk. Changes made during a write share the next write.

        Raises:
            OSError: for example, the disk is full; the file is unchanged.
        """
        wanted = self.state.revision
        async with self._writing:
            if self._written < wanted:
                revision, stored = self.state.revision, self._snapshot()
                await asyncio.to_thread(self._replace, stored)
                self._written = revision

    def close(self) -> None:
        """Release the file for other emulators."""
        os.close(self._lock_handle)

    def _snapshot(self) -> _StoredState:
        return _StoredState(1, tuple(self.state.rooms.values()), tuple(self.state.tasks.values()))

    def _replace(self, stored: _StoredState) -> None:
        with suppress(FileNotFoundError):
            self._new_path.unlink()
        file = os.open(self._new_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as new_file:
            new_file.write(_FORMAT.dump_json(stored, indent=1))
            new_file.flush()
            os.fsync(file)
        self._new_path.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _load(self) -> ServiceState:
        try:
            stored = _FORMAT.validate_json(self._path.read_bytes(), strict=True)
        except FileNotFoundError:
            return ServiceState()
        except ValidationError as error:
            # Only the first location, and not its value, which may be a prompt.
            place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
            what = f"was not written by an emulator, or is damaged (first problem at {place or 'the beginning'})"
            raise StateFileUnusable(
                self._describe(f"{what}; repair it, or move it away to start without rooms and tasks")
            ) from None
        return ServiceState(stored.rooms, stored.tasks)

    def _lock_file(self) -> int:
        """Take a lock that ends with the process. It is on a file of its own, because the state file itself is
        replaced.
        """
        try:
            lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateFileUnusable(self._describe(f"cannot be used: {error.strerror}")) from None
        try:
            _lock(lock)
        except OSError:
            os.close(lock)
            raise StateFileUnusable(
                self._describe("is in use by another emulator; stop that one, or choose another file")
            ) from None
        return lock

    def _describe(self, what: str) -> str:
        return f"the state file {self._path} {what}"
