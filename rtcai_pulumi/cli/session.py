"""Opens the journal and the service for a command."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.cli.output import print_message
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import Location, journal_location, parse_location
from rtcai_pulumi.journal.storage import Waits
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.maintenance import NotInJournal
from rtcai_pulumi.maintenance.records import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator


WAITS: Final = Waits(time.sleep, print_message)
"""How a command waits for a database that is restarting."""


def get_journal_location(option: str | None) -> Location:
    """Return where the journal is.

    Args:
        option: the value of --journal.

    Raises:
        JournalError: its place cannot be determined, or its URL is not valid.
    """
    return parse_location(option) if option else journal_location(os.environ)


@contextmanager
def open_for_reading(option: str | None) -> Iterator[Journal | None]:
    """Open the journal for a command that only reads. If it does not exist yet, print a message and yield None.

    Args:
        option: the value of --journal.

    Raises:
        NotInJournal: --journal names a journal that does not exist.
        JournalError: the journal cannot be used, or its place cannot be determined.
    """
    location = get_journal_location(option)
    with open_journal(location, WAITS) as journal:
        if journal is None:
            if option is not None:
                raise NotInJournal(
                    f"The journal {location} does not exist.", advice="name an existing one, or omit --journal"
                )
            print_message(f"The journal {location} does not exist: no agent has been started with it.")
        yield journal


@contextmanager
def open_for_writing(
    option: str | None, *, may_create: bool = False, advice: str = "name it with --journal or RTCAI_JOURNAL"
) -> Iterator[Journal]:
    """Open the journal for a command that may have to write to it.

    Args:
        option: the value of --journal.
        may_create: whether the journal is created if it does not exist.
        advice: what to do if it does not exist.

    Raises:
        NotInJournal: the journal does not exist, and may not be created.
        JournalError: the journal cannot be used, or its place cannot be determined.
    """
    location = get_journal_location(option)
    if may_create:
        with Journal(location, WAITS) as journal:
            yield journal
        return
    with open_journal(location, WAITS) as existing:
        if existing is None:
            raise NotInJournal(f"The journal {location} does not exist.", advice=advice)
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
