"""What the journal needs of its storage: a file (`sqlite/`) or a database server (`postgres/`).

The queries and the changes are written once, in `reader.py` and `journal.py`, in the SQL that both storages understand.
A value is marked with ``?``. The column ``rowid`` has the order in which the records were written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from rtcai_pulumi.journal.record import Record, RoomRecord

if TYPE_CHECKING:
    from rtcai_pulumi.journal.location import Location

COLUMNS: Final = tuple(field.name for field in fields(Record))
"""The columns of the table of records, in the order of the fields of `Record`."""
ROOM_COLUMNS: Final = tuple(field.name for field in fields(RoomRecord))
"""The columns of the table of rooms, in the order of the fields of `RoomRecord`."""
CLOSED_KEPT_DAYS: Final = 90
"""Days after which the record of a closed task is deleted."""

Row = tuple[Any, ...]


class Statement(NamedTuple):
    """One statement of SQL, and the values of its marks."""

    sql: str
    values: tuple[object, ...] = ()


class Result(NamedTuple):
    """What a statement returned."""

    rows: list[Row]
    """The rows of a query; empty for a change."""
    changed: int
    """How many rows a change has changed."""


class Waits(NamedTuple):
    """How a storage waits for something outside of this process, such as a server that restarts."""

    sleep: Callable[[float], bool | None]
    """Waits for a number of seconds; returns true if the run was interrupted, and the wait must end."""
    report: Callable[[str], None]
    """Shows a line to the user."""


QUIET_WAITS: Final = Waits(time.sleep, lambda _: None)
"""Waits that cannot be interrupted and that no user sees."""


class Storage(Protocol):
    """A storage that is open for writing; safe to share between threads."""

    @property
    def location(self) -> Location:
        """Where it is."""

    @property
    def process(self) -> int:
        """This process's number; every process gets a higher one than those before it."""

    def write(self, *statements: Statement) -> list[Result]:
        """Run statements in one transaction; all of it is on disk when this returns.

        The transactions of all processes run one after the other.

        Raises:
            JournalError: nothing was written.
        """

    def read(self, statement: Statement) -> list[Row]:
        """The rows of a query: everything that was written before, by any process.

        Raises:
            JournalError: it could not be read.
        """

    def is_running(self, process: int) -> bool:
        """Whether the process with this number still runs."""

    def running_processes(self) -> list[int]:
        """The numbers of the other processes that run."""

    def skip_numbers(self, highest: int) -> None:
        """Give no later process this number, or a lower one."""

    def require_registration(self) -> None:
        """Make sure that the other processes see that this one runs.

        Raises:
            JournalError: this cannot be made sure.
        """

    def find_damage(self) -> list[str]:
        """The damage that the storage finds in itself; empty if there is none."""

    def close(self) -> None:
        """Finish the pending writes. From now on, the other processes see that this one has ended."""
