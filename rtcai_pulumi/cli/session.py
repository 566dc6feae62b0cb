"""Opens the journal and the service for a command."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtcai_pulumi.cli.output import print_message
from rtcai_pulumi.journal.journal import Journal, journal_path
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.maintenance import NotInJournal
from rtcai_pulumi.maintenance.records import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def get_journal_path(option: Path | None) -> Path:
    """Return the path of the journal.

    Args:
        option: the value of --journal.

    Raises:
        JournalError: there is no place for it.
    """
    return option or journal_path(os.environ)


@contextmanager
def open_for_reading(option: Path | None) -> Iterator[Journal | None]:
    """Open the journal for a command that only reads. If there is none yet, print a message and yield None.

    Args:
        option: the value of --journal.

    Raises:
        NotInJournal: --journal names a file that does not exist.
        JournalError: the journal cannot be used, or there is no place for it.
    """
    path = get_journal_path(option)
    with open_journal(path) as journal:
        if journal is None:
            if option is not None:
                raise NotInJournal(f"There is no journal {path}.", advice="name an existing file, or omit --journal")
            print_message(f"There is no journal {path}: no agent has been started with this journal.")
        yield journal


@contextmanager
def open_for_writing(option: Path | None, *, may_create: bool = False) -> Iterator[Journal]:
    """Open the journal for a command that may have to write to it.

    Args:
        option: the value of --journal.
        may_create: whether the journal is created if there is none.

    Raises:
        NotInJournal: there is no journal, and it may not be created.
        JournalError: the journal cannot be used, or there is no place for it.
    """
    path = get_journal_path(option)
    if may_create:
        with Journal(path) as journal:
            yield journal
        return
    with open_journal(path) as existing:
        if existing is None:
            raise NotInJournal(f"There is no journal {path}.", advice="name it with --journal or RTCAI_JOURNAL")
        yield existing


def require_settings() -> None:
    """Check the settings of the service in the environment, without a request.

    Raises:
        SettingsError: credentials are missing, or a setting is wrong.
    """
    from rtcai_pulumi.service.settings import resolve  # noqa: PLC0415  as below

    resolve(os.environ, lambda _: None)


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
