"""Opens the journal for commands that look into it: they never make one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rtcai_pulumi.lifecycle.journal import Journal, journal_path
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rtcai_pulumi.lifecycle.record import Record


def path_of(env: Mapping[str, str], stated: Path | None) -> Path:
    """Where the journal is."""
    return stated or journal_path(env)


@contextmanager
def existing(path: Path) -> Iterator[Journal | None]:
    """The journal, or None where there is none yet.

    Raises:
        JournalError: it cannot be used.
    """
    if not _is_there(path):
        yield None
        return
    if not os.access(path, os.W_OK):
        # To read a log in WAL mode takes writing: SQLite's own files beside it, and this process's lock.
        raise JournalError(f"The journal {path} cannot be used: no permission to write.")
    with Journal(path) as journal:
        yield journal


def records_in(journal: Journal) -> list[Record]:
    """All records, oldest first.

    Raises:
        JournalError: the journal cannot be read, or holds what no release has written.
    """
    try:
        records = journal.records()
        for record in records:
            since(record)
    except (TypeError, ValueError) as error:
        advice = "mend or move the file, or name another one"
        raise JournalError(f"The journal {journal.path} cannot be used: {error}.", advice=advice) from None
    return records


def since(record: Record) -> datetime:
    """When a record changed last."""
    return datetime.fromisoformat(record.changed_at)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be used: {error.strerror}.") from None
    return True
