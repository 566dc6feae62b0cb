"""Checks of `rtcai doctor` about the journal: its file and folder, or its database, and its records."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.stores import find_location_warning
from rtcai_pulumi.lifecycle.end_time import describe_end, may_stop
from rtcai_pulumi.maintenance.finding import PROCESS_SECONDS, Finding, format_count, report_failure, report_pass
from rtcai_pulumi.maintenance.records import is_lost, open_journal, read_records
from rtcai_pulumi.service.errors import RtcAiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtcai_pulumi.journal.location import DatabaseUrl, Location
    from rtcai_pulumi.journal.record import Record

_LOCK_PROGRAM: Final = """
import sys
from pathlib import Path
from rtcai_pulumi.journal.sqlite.locks import Locks
print(Locks(Path(sys.argv[1])).is_held(int(sys.argv[2])))
"""
_RESTORE: Final = (
    "save the output of `pulumi stack export` and check the rooms, then move the file away; see docs/operations.md"
)
_LOST_CREATES: Final = (
    "`rtcai ls` lists the lost creates; the next `pulumi up` repeats these requests, see docs/operations.md"
)
_STOP_OVER: Final = (
    "`rtcai sweep --over --all` stops them; run it on a schedule, see docs/operations.md; `rtcai ls --over` lists them"
)
_OTHER_PLACE: Final = "set RTCAI_JOURNAL to a file on a local disk that you may write to"


def check_journal_location(location: Location) -> Finding:
    """Check that the journal's place works: its database, or the file system of its folder."""
    return _check_journal_folder(location) if isinstance(location, Path) else _check_database(location)


def _check_database(url: DatabaseUrl) -> Finding:
    from rtcai_pulumi.journal.postgres.probe import CLOCK_SECONDS, probe  # noqa: PLC0415  the driver is an extra

    check, found = "journal location", probe(url)
    details = (
        f"{url}: PostgreSQL {found.version}",
        "encrypted" if found.is_encrypted else "not encrypted",
        "locks and rights work",
        f"a query takes {found.milliseconds:.1f} ms",
        f"its clock differs by {format_count(round(abs(found.skew)), 'second')}",
    )
    detail = ", ".join(details)
    if abs(found.skew) > CLOCK_SECONDS:
        return report_failure(check, detail, "correct the clock of this machine or of the database server")
    return report_pass(check, detail)


def _check_journal_folder(path: Path) -> Finding:
    """Check in a folder next to the journal that the file system supports WAL, fsync, and locks between processes."""
    check = "journal location"
    folder = next(above for above in path.absolute().parents if above.is_dir())
    try:
        with (
            TemporaryDirectory(prefix=".rtcai-doctor-", dir=folder) as test_folder,
            Journal(test_file := Path(test_folder) / "journal.db") as journal,
        ):
            locks = str(test_file.with_name(f"{test_file.name}-processes"))
            command = [sys.executable, "-c", _LOCK_PROGRAM, locks, str(journal.process)]
            process = subprocess.run(  # noqa: S603  this Python
                command, capture_output=True, text=True, timeout=PROCESS_SECONDS, check=False
            )
    except OSError as error:
        return report_failure(check, f"{folder} is not writable: {error.strerror}", _OTHER_PLACE)
    if process.stdout.strip() != "True":
        lines = process.stderr.strip().splitlines()
        detail = f"{folder}: a process does not see the locks of another process"
        return report_failure(check, f"{detail}: {lines[-1]}" if lines else detail, _OTHER_PLACE)
    warning = find_location_warning(path if path.parent.is_dir() else folder / path.name)
    return report_pass(check, f"{folder}: writable, other processes see its locks, WAL works", warning)


def check_journal(location: Location) -> Finding:
    """Check that the journal can be read, and count what is not closed in it."""
    check = "journal"
    try:
        with open_journal(location) as journal:
            if journal is None:
                return report_pass(check, f"{location} does not exist yet; the first `pulumi up` creates it")
            if problems := journal.find_damage():
                return report_failure(check, f"{location} is damaged: {problems[0]}", _RESTORE)
            records = [record for record in read_records(journal) if record.is_unfinished]
            lost = sum(is_lost(record, journal) for record in records)
    except RtcAiError as error:
        return report_failure(check, error.summary, error.advice or _RESTORE)
    agents = sum(record.task is not None for record in records)
    if isinstance(location, Path) and (mode := location.stat().st_mode & 0o777) & 0o077:
        return report_failure(check, f"other users can read {location} (mode {mode:o})", f"chmod 600 {location}")
    over = _describe_over(records, datetime.now(UTC))
    detail = f"{location}: {format_count(agents, 'agent')}, {format_count(lost, 'lost create')}{over}"
    advice = "; ".join(text for text, applies in ((_STOP_OVER, over), (_LOST_CREATES, lost)) if applies)
    return report_pass(check, detail, advice or None)


def _describe_over(records: Iterable[Record], now: datetime) -> str:
    """Return how many agents are over and still run, and which of them for the longest time; empty if there are none.

    Nothing stops them until `rtcai sweep --over` is run. Lost creates are counted separately.
    """
    agents = [record for record in records if record.task is not None and may_stop(record, now)]
    over = sorted(agents, key=lambda record: record.ends_at)
    if not over:
        return ""
    number = f"{format_count(len(over), 'agent')} {'is' if len(over) == 1 else 'are'} over and not stopped"
    return f"; {number} (room {over[0].cname}: {describe_end(over[0].ends_at, now)})"
