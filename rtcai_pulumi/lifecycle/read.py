"""`read`: do an agent and a room still exist? Only a room can be queried, and only a clear response counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.end_time import ends_at_of
from rtcai_pulumi.journal.record import Record, RoomRecord
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.lifecycle.end_time import stays_in_state
from rtcai_pulumi.lifecycle.recovery_rules import is_closed
from rtcai_pulumi.service.errors import OtherAccount, RoomNotFound, RtcAiError
from rtcai_pulumi.service.retry import QUERY

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a refresh of an agent or a room."""

    gone: bool
    """Whether it is definitely gone: its room is gone, or there is another room with the same name."""
    warning: str | None = None
    """Why the result is in doubt; it stays in the state then."""


def read(resource_id: str, outputs: Mapping[str, Any], run: Run) -> Reading:
    """Find out whether an agent is gone; nothing is written. An agent that is over stays in the state if it is gone.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: the outputs in the state.
        run: the service and the journal.

    Raises:
        OtherAccount: the settings name another account than the task was started with.
    """
    is_over = stays_in_state(ends_at_of(outputs), run.now())
    if is_closed(run.records.records_of_task(resource_id), resource_id):
        return Reading(gone=not is_over)
    reading = query_existence(Record.from_state(resource_id, outputs, process=0), run)
    if reading.gone:
        run.gone_tasks.add(resource_id)
    return Reading(gone=False) if is_over and reading.gone else reading


def query_existence(item: Record | RoomRecord, run: Run) -> Reading:
    """Ask the room API whether the room that an agent or a `Room` was started in is still there.

    Raises:
        OtherAccount: the settings name another account than it was started with.
    """
    is_agent = isinstance(item, Record)
    try:
        client = run.client
        require_account(item, client.settings, room_api=True)
        room = run.retrier.run(lambda: client.query_room(item.cname), QUERY)
    except RoomNotFound:
        return Reading(gone=True)
    except OtherAccount:
        raise
    except RtcAiError as error:
        question = f"the agent in room {item.cname} still runs" if is_agent else f"room {item.cname} is still open"
        return Reading(False, f"The refresh could not check whether {question}, so it stays in the state. {error}")
    if room.cid != item.cid:
        return Reading(gone=True)
    if is_agent and room.ended:
        # The meaning of `stats` comes from an older version of the room API: it is a hint, not a proof.
        return Reading(
            False, f"Room {item.cname} is reported as ended but is still listed; keeping its agent in the state."
        )
    return Reading(gone=False)
