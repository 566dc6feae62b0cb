"""Opens the journal and the service for a command."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtcai_pulumi.cli.output import NotInJournal, tell
from rtcai_pulumi.journal.journal import Journal, journal_path
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rtcai_pulumi.journal.record import Record


def path_of(env: Mapping[str, str], stated: Path | None) -> Path:
    """Return the path of the journal.

    Raises:
        JournalError: there is no place for it.
    """
    return stated or journal_path(env)


def require_path_of(env: Mapping[str, str], stated: Path | None) -> Path:
    """Return the path of the journal, for a command that only reads: a file that the user names must exist.

    Raises:
        Unknown: the named file does not exist.
        JournalError: there is no place for the journal.
    """
    if stated is not None and not _is_there(stated):
        raise NotInJournal(f"There is no journal {stated}.\n  to do: name one that is there, or leave --journal out")
    return path_of(env, stated)


@contextmanager
def open_existing(path: Path, tell: Callable[[str], None] = tell) -> Iterator[Journal | None]:
    """Open the journal. If there is none yet, print a message and yield None.

    Raises:
        JournalError: the journal cannot be used.
    """
    if not _is_there(path):
        tell(f"There is no journal {path}: nothing was started from here.")
        yield None
        return
    if not os.access(path, os.W_OK):
        # Reading a database in WAL mode needs write access: for SQLite's own files next to it, and for this process's
        # lock.
        raise JournalError(f"The journal {path} cannot be used: no permission to write.")
    with Journal(path) as journal:
        yield journal


@contextmanager
def open_or_create(path: Path, *, made: bool) -> Iterator[Journal]:
    """Open the journal, for a command that may have to write to it; `made` allows it to be created.

    Raises:
        Unknown: there is no journal, and it may not be created.
        JournalError: the journal cannot be used.
    """
    if not made and not _is_there(path):
        raise NotInJournal(f"There is no journal {path}.\n  to do: name it with --journal or RTCAI_JOURNAL")
    with Journal(path) as journal:
        yield journal


def all_records(journal: Journal) -> list[Record]:
    """Return all records, oldest first.

    Raises:
        JournalError: the journal cannot be read, or contains records that no release has written.
    """
    try:
        records = journal.records()
        for record in records:
            record.start_time, record.change_time  # noqa: B018  each raises where it is no time
    except (TypeError, ValueError) as error:
        advice = "repair or move the file, or name another one"
        raise JournalError(f"The journal {journal.path} cannot be used: {error}.", advice=advice) from None
    return records


def records_of(journal: Journal | None, task: str) -> list[Record]:
    """Return the records of a task, newest last.

    Raises:
        Unknown: the journal has none.
    """
    found = [record for record in all_records(journal) if record.task == task] if journal else []
    if not found:
        raise NotInJournal(f"The journal knows no task {task}.\n  to do: `rtcai ls --all` lists those that it knows")
    return found


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be used: {error.strerror}.") from None
    return True


@contextmanager
def open_service(journal: Journal) -> Iterator[Run]:
    """Open the service for the verbs of the lifecycle; credentials come from the environment.

    Raises:
        SettingsError: credentials are missing, or a setting is wrong.
    """
    from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import
    from rtcai_pulumi.service.settings import resolve  # noqa: PLC0415  as above

    with Client(resolve(os.environ, lambda _: None)) as client:
        yield Run(lambda: client, lambda: journal)
