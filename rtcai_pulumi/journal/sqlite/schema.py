"""The journal's database: how the file is opened, its tables, their versions, and its errors."""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.journal.sqlite.locks import Locks, locks_work_in
from rtcai_pulumi.journal.storage import CLOSED_KEPT_DAYS, COLUMNS, ROOM_COLUMNS
from rtcai_pulumi.service.errors import JournalError

_VERSION: Final = 4
_FIRST_WITH_ROOMS: Final = 3
_BUSY_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.02
"""Seconds between two attempts of an operation for which SQLite itself does not wait."""
_TYPES: Final = {
    "trace_id": " TEXT PRIMARY KEY",
    "process": " INTEGER",
    "cid": " INTEGER",
    "handed": " INTEGER",
    "stored": " INTEGER NOT NULL DEFAULT 0",
    "kept": " TEXT NOT NULL DEFAULT ''",
    "ends_at": " TEXT NOT NULL DEFAULT ''",
    "origin": " TEXT NOT NULL DEFAULT ''",
}
_SINCE_VERSION_4: Final = {"ends_at": "''", "origin": "''"}
_SINCE_VERSION_3: Final = {"stored": "0", "kept": "''", **_SINCE_VERSION_4}
_LATER_COLUMNS: Final = {
    1: {"began_at": "changed_at", **_SINCE_VERSION_3},
    2: _SINCE_VERSION_3,
    3: _SINCE_VERSION_4,
}
"""By version: the columns that an older table lacks, each with the expression that replaces it."""
_ROOMS: Final = f"CREATE TABLE rooms ({', '.join(ROOM_COLUMNS)}, PRIMARY KEY (app_key, room_endpoint, cid))"
_SHARED_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "virtiofs", "vboxsf"}
    | {"fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.vmhgfs-fuse", "prl_fs"}
)
_WAL_FLAGS: Final = slice(18, 20)
"""The bytes of a file that say whether changes go to a log."""
_NO_LOG: Final = b"\1\1"
_WAL: Final = "PRAGMA journal_mode = WAL"
_ELSEWHERE: Final = "set RTCAI_JOURNAL to a file on a local disk"


def open_locks(path: Path) -> Locks:
    """Open the file next to the journal in which running processes hold locks; it is created if it is missing.

    Raises:
        JournalError: it cannot be created, or locks on this file system are not visible to other processes.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        works = locks_work_in(path.parent)
    except OSError as error:
        raise journal_error(path, error) from None
    if not works:
        raise JournalError(f"The journal {path} is on a file system on which locks do not work.", advice=_ELSEWHERE)
    try:
        return Locks(path.with_name(f"{path.name}-processes"))
    except OSError as error:
        raise journal_error(path, error) from None


def find_shared_file_system(path: Path) -> str | None:
    """Why a journal that works should still be in another place; or None."""
    kind = _file_system(path.parent)
    if kind not in _SHARED_FILE_SYSTEMS:
        return None
    return (
        f"the journal {path} is on a shared file system ({kind}). Locks may not work between machines: give each "
        "machine its own journal (RTCAI_JOURNAL)"
    )


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that writes; a commit returns when it is on disk. The file is created if it is missing.

    Raises:
        JournalError: the file is not a journal, or is newer than this package.
    """
    try:
        _create_for_this_user_only(path)
        database = _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise journal_error(path, error) from None
    try:
        _use_wal(database, path)
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN IMMEDIATE")
        _migrate(database, path)
        limit = (datetime.now(UTC) - timedelta(days=CLOSED_KEPT_DAYS)).isoformat()
        database.execute("DELETE FROM records WHERE state = ? AND changed_at < ?", (RecordState.CLOSED, limit))
        database.execute("DELETE FROM rooms WHERE owner = '' AND changed_at < ?", (limit,))
        database.execute("COMMIT")
    except sqlite3.Error as error:
        database.close()
        raise journal_error(path, error) from None
    except JournalError:
        database.close()
        raise
    return database


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that reads everything committed before each query, and does not wait for writers.

    Raises:
        JournalError: the file cannot be read.
    """
    try:
        database = _connect(path)
        database.execute("PRAGMA query_only = 1")
    except sqlite3.Error as error:
        raise journal_error(path, error) from None
    return database


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the journal in memory, and the way to read its tables."""

    database: sqlite3.Connection
    records: str | None
    """The SELECT of whole records; None if the table does not exist yet."""
    has_rooms: bool
    """Whether there is a table of rooms."""


def read_snapshot(path: Path) -> Snapshot:
    """Read the file as it is now, and change nothing: no lock, no new file next to it, no migration.

    SQLite itself reads only a copy. In WAL mode it creates files, and when it closes a file that it has read without
    locks, it may remove the write-ahead log of a process that is just writing. The copy needs no file if there is no
    log. If there is one and the copy fails, for example because the temporary folder is full, SQLite reads the file
    with its locks: whoever writes a log can write the files next to it.

    A copy may be torn if another process writes at that moment. The caller checks whether the file changed meanwhile.

    Args:
        path: the file, which exists.

    Raises:
        JournalError: the file is not a journal, is newer than this package, or cannot be read.
    """
    try:
        if not _has_log(path):
            return _describe(_load_without_log(path.read_bytes()), path)
        with tempfile.TemporaryDirectory(prefix="rtcai-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / "journal.db"
            shutil.copyfile(path, copy)
            with suppress(FileNotFoundError):
                shutil.copyfile(log_path(path), log_path(copy))
            return _describe(_load(_connect(copy)), path)
    except sqlite3.Error as error:
        raise journal_error(path, error) from None
    except OSError as error:
        if not os.path.exists(path):  # noqa: PTH110  Path.exists raises an error where the folder cannot be searched
            raise journal_error(path, error) from None  # SQLite would create it
        return read_snapshot_with_locks(path)


def read_snapshot_with_locks(path: Path) -> Snapshot:
    """Read the file as `read_snapshot` does, but with SQLite's own locks: for a file that always changes.

    Raises:
        JournalError: as by `read_snapshot`.
    """
    try:
        return _describe(_load(_connect_read_only(path)), path)
    except sqlite3.Error as error:
        raise journal_error(path, error) from None


def log_path(path: Path) -> Path:
    """The write-ahead log of a journal."""
    return path.with_name(f"{path.name}-wal")


def _has_log(path: Path) -> bool:
    """Whether a journal has a log with any content."""
    try:
        return log_path(path).stat().st_size > 0
    except FileNotFoundError:
        return False


def _load_without_log(content: bytes) -> sqlite3.Connection:
    """Load the bytes of a database without a log into memory."""
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    if content:  # a new file is empty, and so is a new database
        changed = bytearray(content)
        changed[_WAL_FLAGS] = _NO_LOG  # a database in memory has none
        memory.deserialize(bytes(changed))
    return memory


def _load(database: sqlite3.Connection) -> sqlite3.Connection:
    """Load a database into memory, and close it."""
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(database):
        try:
            database.backup(memory)
        except sqlite3.Error:
            memory.close()
            raise
    return memory


def _describe(memory: sqlite3.Connection, path: Path) -> Snapshot:
    """The snapshot of a database in memory; it is closed if it cannot be read."""
    try:
        (version,) = memory.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise _too_new(path, version)
    except (sqlite3.Error, JournalError):
        memory.close()
        raise
    replacements = _LATER_COLUMNS.get(version, {})
    columns = ", ".join(f"{replacements[name]} AS {name}" if name in replacements else name for name in COLUMNS)
    select = f"SELECT {columns} FROM records" if version else None  # noqa: S608  words of this module
    return Snapshot(memory, select, has_rooms=version >= _FIRST_WITH_ROOMS)


def _create_for_this_user_only(path: Path) -> None:
    """Create the file before SQLite does it: other users must not be able to read it at any moment.

    SQLite gives the files that it puts next to it the same mode. A file that exists is not opened: when a process
    closes a file, it releases all its locks on it, also those of another `Journal` in this process.

    Raises:
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        # A link may lead to a file that does not exist yet.
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def is_busy(error: Exception) -> bool:
    """Whether another process has blocked the journal for longer than a write waits."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_BUSY


_PRIMARY_CODE: Final = 0xFF
"""The bits of an extended error code of SQLite that are its primary code."""


def journal_error(path: Path, error: Exception) -> JournalError:
    """The error of a journal that fails; if one of its files belongs to another user, the error names that file."""
    advice = (
        "check free disk space, permissions and other running commands. If the file is damaged, see docs/operations.md "
        "before you move it: it is the only record of agents that are not in a state"
    )
    foreign = next(_find_foreign_files(path), None)
    if foreign:
        advice = f"{foreign}: change its owner (chown), or set RTCAI_JOURNAL to another file"
    return JournalError(f"The journal {path} cannot be used: {error}.", advice=advice)


def _find_foreign_files(path: Path) -> Iterator[str]:
    """The journal's files and its folder, as far as they belong to another user and cannot be written."""
    files = [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-processes", "-wal", "-shm")]
    for each in (*files, path.parent):
        with suppress(OSError, KeyError, NotImplementedError):
            if each.stat().st_uid != getattr(os, "geteuid", int)() and not os.access(each, os.W_OK):
                yield f"{each} belongs to {each.owner()}"


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that creates no file, and does not move a log into the database when it is closed."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)


def _use_wal(database: sqlite3.Connection, path: Path) -> None:
    """Switch to WAL mode. If two processes do this to a new file at the same moment, one gets "locked" without a wait.

    Raises:
        JournalError: the file system does not support WAL mode.
    """
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            (mode,) = database.execute(_WAL).fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_RETRY_SECONDS)
            continue
        if mode != "wal":
            message = f"The journal {path} is on a file system on which SQLite has no WAL mode."
            raise JournalError(message, advice=_ELSEWHERE)
        return


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Migrate the tables to this package's version."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise _too_new(path, version)
    columns = {name: f"{name}{_TYPES.get(name, ' TEXT')}" for name in COLUMNS}
    if version == 0:
        database.execute("CREATE TABLE processes (number INTEGER PRIMARY KEY AUTOINCREMENT)")
        database.execute(f"CREATE TABLE records ({', '.join(columns.values())})")
        database.execute("CREATE INDEX records_by_owner ON records (owner)")
        database.execute("CREATE INDEX records_by_task ON records (task_id)")
    for name, replacement in _LATER_COLUMNS.get(version, {}).items():
        database.execute(f"ALTER TABLE records ADD COLUMN {columns[name]}")
        database.execute(f"UPDATE records SET {name} = {replacement}")  # noqa: S608  words of this module
    if version < _FIRST_WITH_ROOMS:
        database.execute(_ROOMS)
    # This does not need a new version: older releases can use the file with this index.
    database.execute("CREATE INDEX IF NOT EXISTS records_by_room ON records (cname)")
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _too_new(path: Path, version: int) -> JournalError:
    summary = f"The journal {path} has format {version}, which this release of rtcai-pulumi cannot read."
    return JournalError(summary, advice="upgrade rtcai-pulumi; only this file shows which agents still run")


def _file_system(folder: Path) -> str | None:
    """The type of the file system of a folder; None if the operating system does not say."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    here, deepest, kind = folder.resolve(), 0, None
    for mount in mounts:
        left, _, right = mount.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if here.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, kind = len(point.parts), right.split()[0]
    return kind
