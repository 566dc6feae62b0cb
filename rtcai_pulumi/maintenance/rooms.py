"""Queries and ends rooms with the room API, and records in the journal which tasks ended with a room."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.maintenance.records import is_lost, read_records
from rtcai_pulumi.service.errors import RoomNotFound
from rtcai_pulumi.service.retry import HARMLESS, QUERY

if TYPE_CHECKING:
    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.lifecycle.context import Run


class RoomStatus(StrEnum):
    """What the room API reports about the room of a task."""

    OPEN = "open"
    GONE = "gone"
    """No room has this name any more."""
    ANOTHER = "another one now"
    """The room has ended, and was opened again with another number."""
    NOT_QUERIED = "not asked"
    """The room API was not called, or gave no clear answer."""


def query_room_number(cname: str, run: Run) -> int | None:
    """Return the current number of a room; None if no room has this name."""
    try:
        return run.retrier.run(lambda: run.client.query_room(cname).cid, QUERY)
    except RoomNotFound:
        return None


def query_room_status(record: Record, run: Run) -> RoomStatus:
    """Compare the room of a task with the room that has its name now.

    Raises:
        RtcAiError: the settings name another account or room API, or the answer is not clear.
    """
    require_account(record, run.client.settings, room_api=True)
    try:
        cid = run.client.query_room(record.cname).cid
    except RoomNotFound:
        return RoomStatus.GONE
    return RoomStatus.OPEN if record.cid in {None, cid} else RoomStatus.ANOTHER


def find_lost_creates(cname: str, run: Run) -> list[Record]:
    """Return the lost creates in a room of this account."""
    records = _records_of_account(run)
    return [record for record in records if record.cname == cname and is_lost(record, run.journal)]


def find_tasks_in_room(cid: int, run: Run) -> list[Record]:
    """Return the tasks that, according to the journal, run in a room of this account."""
    return [record for record in _records_of_account(run) if record.cid == cid and record.is_unfinished]


def _records_of_account(run: Run) -> list[Record]:
    account = (run.client.settings.app_key, run.client.settings.room_endpoint)
    return [record for record in read_records(run.journal) if (record.app_key, record.room_endpoint) == account]


def end_room(cid: int, cname: str, run: Run) -> list[Record]:
    """End a room; a room that no longer exists counts as success.

    Returns:
        The records of the tasks that ended with it, now recorded as closed. The next `pulumi up` of their stack starts
        new ones.

    Raises:
        RtcAiError: the room may still be open; nothing is recorded.
    """
    with suppress(RoomNotFound):
        run.retrier.run(lambda: run.client.end_room(cid, cname=cname), HARMLESS)
    ended = find_tasks_in_room(cid, run)
    for record in ended:
        run.journal.record_close(str(record.task))
    return ended
