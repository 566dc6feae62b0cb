"""`read`: does the task still exist? Only its room can be queried, and only a clear response counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.lifecycle.context import require_account, require_room_api
from rtcai_pulumi.lifecycle.recovery_rules import is_closed
from rtcai_pulumi.service.errors import OtherAccount, RoomNotFound, RtcAiError
from rtcai_pulumi.service.retry import QUERY

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a refresh."""

    gone: bool
    """Whether the task is definitely gone: its room is gone, or has another number."""
    warning: str | None = None
    """Why the result is in doubt; the state is kept then."""


def read(resource_id: str, outputs: Mapping[str, Any], run: Run) -> Reading:
    """Ask the room API whether a task's room is still the room that it was started in; nothing is written.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: the outputs in the state.
        run: the service and the journal.

    Raises:
        OtherAccount: the settings name another AppKey or endpoint than the task was started with.
    """
    if is_closed(run.records.records_of_task(resource_id), resource_id):
        return Reading(gone=True)
    reading = _query_room(Record.from_state(resource_id, outputs, process=0), run)
    if reading.gone:
        run.gone.add(resource_id)
    return reading


def _query_room(task: Record, run: Run) -> Reading:
    try:
        client = run.client
        require_account(task, client.settings)
        require_room_api(task, client.settings)
        room = run.retrier.run(lambda: client.query_room(task.cname), QUERY)
    except RoomNotFound:
        return Reading(gone=True)
    except OtherAccount:
        raise
    except RtcAiError as error:
        return Reading(False, f"Whether the agent in room {task.cname} is still there is not known; kept. {error}")
    if room.cid != task.cid:
        return Reading(gone=True)
    if room.ended:
        # The meaning of `stats` comes from an older version of the room API: it is a hint, not a proof.
        return Reading(False, f"The service says that room {task.cname} has ended, and still lists it; kept.")
    return Reading(gone=False)
