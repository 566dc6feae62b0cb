"""Ends a room with the room API, and records in the journal which tasks ended with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rtcai_pulumi.service.errors import RoomNotFound
from rtcai_pulumi.service.retry import HARMLESS, QUERY

if TYPE_CHECKING:
    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.lifecycle.context import Run


def query_number(cname: str, run: Run) -> int | None:
    """Return the current number of a room; None if there is no room of this name."""
    try:
        return run.retrier.run(lambda: run.client.query_room(cname).cid, QUERY)
    except RoomNotFound:
        return None


def find_tasks_in_room(cid: int, run: Run) -> list[Record]:
    """Return the tasks that, according to the journal, run in a room of this account."""
    account = (run.client.settings.app_key, run.client.settings.room_endpoint)
    return [
        record
        for record in run.journal.records()
        if record.cid == cid and record.is_unfinished and (record.app_key, record.room_endpoint) == account
    ]


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
