"""Closes a task by its record. The verbs, the recovery, `rtcai close` and `rtcai sweep` all close tasks here.

The rules of every close:

- The settings must name the account that started the task: "not found" from another account proves nothing.
- The journal says "closing", with this process as the owner, before the request is sent. Whoever closes a record of
  another process takes it over first.
- A task or a room that no longer exists counts as success. If the service refuses for another reason, the close still
  counts as success if the room is definitely gone.
- On success, every record of the task says "closed".
- If the task was definitely not closed (every attempt was refused, or never sent), the journal says again what it said
  before. Otherwise the record stays "closing", and a later run or `rtcai sweep` closes it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.service.errors import (
    ConnectionFailed,
    OutcomeUnknown,
    Refused,
    RoomNotFound,
    RtcAiError,
    TaskNotFound,
)
from rtcai_pulumi.service.retry import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.lifecycle.context import Run


def close_task(record: Record, run: Run) -> None:
    """Close the task of a record.

    Raises:
        OtherAccount: the settings name another account than the task was started with.
        RtcAiError: the agent may still be in the room; if it definitely is, the record says "open" again.
    """
    require_account(record, run.client.settings)
    was_open = run.journal.begin_close(record)
    _request_close(record, run, undo=partial(run.journal.cancel_close, record) if was_open else None)
    run.journal.record_close(str(record.task))


def close_task_unless_changed(record: Record, run: Run) -> bool:
    """Close the task of a record, if its record is still as it was read: a run may just move the end of the task.

    Returns:
        Whether the record was unchanged; if not, nothing was sent.

    Raises:
        OtherAccount: the settings name another account than the task was started with.
        RtcAiError: the agent may still be in the room; if it definitely is, the record says "open" again.
    """
    require_account(record, run.client.settings)
    if not run.journal.begin_close_unless_changed(record):
        return False
    was_open = record.state is RecordState.OPEN
    _request_close(record, run, undo=partial(run.journal.cancel_close, record) if was_open else None)
    run.journal.record_close(str(record.task))
    return True


def close_unrecorded_task(record: Record, run: Run) -> None:
    """Close a task that only the user knows.

    The user names the room. If the service answers that this room does not exist, the name may be wrong: this counts as
    success only if the room API confirms it.

    Args:
        record: a new record of the task, with the state "closing".
        run: the service and the journal.

    Raises:
        RtcAiError: the agent may still be in the room; if it definitely is, the record is deleted again. Otherwise the
            task could not be adopted any more.
    """
    added = run.journal.add(record)
    _request_close(added, run, undo=partial(run.journal.drop, added), is_room_certain=False)
    run.journal.record_close(str(added.task))


def close_without_journal(record: Record, run: Run) -> None:
    """Close a task without the journal, because the journal cannot be written.

    Raises:
        RtcAiError: the agent may still be in the room.
    """
    _request_close(record, run)


def _request_close(
    record: Record, run: Run, *, undo: Callable[[], None] | None = None, is_room_certain: bool = True
) -> None:
    """Send the close request.

    Args:
        record: the task.
        run: the service.
        undo: called if the task was definitely not closed.
        is_room_certain: whether the record has the name of the task's room for certain.
    """
    client, trace_id = run.client, uuid4().hex
    report_wait = run.make_wait_reporter(record.cname)
    may_be_closed = False

    def attempt() -> None:
        client.close_task(record.cid or 0, record.task_id or "", cname=record.cname, trace_id=trace_id)

    def before_retry(error: RtcAiError, seconds: float) -> None:
        nonlocal may_be_closed
        may_be_closed = may_be_closed or isinstance(error, OutcomeUnknown)
        report_wait(error, seconds)

    try:
        run.retrier.run(attempt, HARMLESS, before_retry)
    except TaskNotFound:
        return
    except (Refused, ConnectionFailed) as error:
        if isinstance(error, RoomNotFound) and is_room_certain:
            return
        if isinstance(error, Refused) and run.is_room_gone(record):
            return
        if undo and not may_be_closed:
            undo()
        raise
