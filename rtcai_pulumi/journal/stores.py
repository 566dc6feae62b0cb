"""Opens the storage of the journal by its location. PostgreSQL and its driver are imported only if they are used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtcai_pulumi.service.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.journal.location import Location
    from rtcai_pulumi.journal.reader import ReadOnlyJournal
    from rtcai_pulumi.journal.storage import Storage, Waits


def open_storage(location: Location, waits: Waits) -> Storage:
    """Open a storage for writing; it is created if it is missing.

    Raises:
        JournalError: it cannot be used.
    """
    if isinstance(location, Path):
        from rtcai_pulumi.journal.sqlite.storage import FileStorage  # noqa: PLC0415  only what is used

        return FileStorage(location)
    from rtcai_pulumi.journal.postgres.storage import DatabaseStorage  # noqa: PLC0415  as above

    return DatabaseStorage(location, waits)


def open_read_only(location: Location, on_unreadable: Callable[[JournalError], None] | None = None) -> ReadOnlyJournal:
    """Return a reader that changes nothing; it opens the storage at its first query."""
    if isinstance(location, Path):
        from rtcai_pulumi.journal.sqlite.snapshot import JournalSnapshot  # noqa: PLC0415  only what is used

        return JournalSnapshot(location, on_unreadable)
    from rtcai_pulumi.journal.postgres.view import DatabaseView  # noqa: PLC0415  as above

    return DatabaseView(location, on_unreadable)


def find_location_warning(location: Location) -> str | None:
    """Return why a journal that works should still be in another place; or None."""
    if not isinstance(location, Path):
        return None
    from rtcai_pulumi.journal.sqlite.schema import find_shared_file_system  # noqa: PLC0415  only what is used

    return find_shared_file_system(location)


def journal_exists(location: Location) -> bool:
    """Return whether there is a journal.

    Raises:
        JournalError: this cannot be found out.
    """
    if isinstance(location, Path):
        try:
            location.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise JournalError(f"The journal {location} cannot be used: {error.strerror}.") from None
        return True
    from rtcai_pulumi.journal.postgres.view import has_tables  # noqa: PLC0415  as above

    return has_tables(location)
