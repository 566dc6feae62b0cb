"""Copies a journal to another place: a file into a database, or back."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.stores import journal_exists
from rtcai_pulumi.maintenance import CommandError, NotInJournal
from rtcai_pulumi.maintenance.records import read_records

if TYPE_CHECKING:
    from rtcai_pulumi.journal.location import Location
    from rtcai_pulumi.journal.storage import Waits


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied."""

    source: str
    target: str
    agents: int
    """Copied records of tasks and creates that are not closed."""
    closed: int
    """Copied records of closed tasks."""
    rooms: int
    """Copied records of rooms."""
    present: int
    """Records of tasks and creates that the target had already."""

    def as_json(self) -> dict[str, Any]:
        """Return the report for ``--json``."""
        return {
            "from": self.source,
            "to": self.target,
            "agents": self.agents,
            "closed": self.closed,
            "rooms": self.rooms,
            "present": self.present,
        }


def copy_journal(source: Location, target: Location, waits: Waits) -> CopyReport:
    """Copy what the target does not have yet. If this fails, nothing was copied, and it may be repeated.

    Args:
        source: an existing journal.
        target: a journal, which is created if it is missing.
        waits: how to wait for a database that is restarting.

    Raises:
        NotInJournal: the source does not exist.
        CommandError: both are the same, or a run uses one of them.
        JournalError: one of them cannot be used.
    """
    if not journal_exists(source):
        raise NotInJournal(f"The journal {source} does not exist.", advice="name an existing file or database")
    if _is_same(source, target):
        raise CommandError(f"The journal {source} cannot be copied to itself.", advice="name another file or database")
    with ExitStack() as opened:
        old = opened.enter_context(Journal(source, waits))
        _require_idle(old)
        new = opened.enter_context(Journal(target, waits))
        _require_idle(new)
        total = len(read_records(old))
        records, rooms = new.copy_from(old)
        _require_idle(old, "Everything was copied, but that run may add more records.")
        _require_idle(new, "Everything was copied, but that run started in the meantime.")
    unfinished = sum(record.is_unfinished for record in records)
    return CopyReport(str(source), str(target), unfinished, len(records) - unfinished, len(rooms), total - len(records))


def _is_same(source: Location, target: Location) -> bool:
    if isinstance(source, Path) and isinstance(target, Path):
        return source.resolve() == target.resolve()
    return source == target


def _require_idle(journal: Journal, note: str = "Nothing was copied.") -> None:
    if journal.running_processes():
        summary = f"A run is using the journal {journal.location}. {note}"
        raise CommandError(summary, advice="wait until the run has ended, then run the command again")
