"""`read`: is the task still there? Only the room can be asked, and only a clear answer counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.lifecycle.task import StoredTask
from rtcai_pulumi.service.errors import OtherAccount, RoomNotFound, RtcAiError

if TYPE_CHECKING:
    from rtcai_pulumi.service.client import Client


@dataclass(frozen=True, slots=True)
class Reading:
    """What a refresh found."""

    gone: bool
    """Whether the task is surely gone: its room is, or has another number."""
    warning: str | None = None
    """What made the answer doubtful; the state is kept then."""


def read(resource_id: str, outputs: Mapping[str, Any], connect: Callable[[], Client]) -> Reading:
    """Ask the room API whether the room of a task is still the one that it was started in.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: what the state holds.
        connect: gives the client; raises SettingsError where there are no credentials.

    Raises:
        OtherAccount: the settings name another AppKey or endpoint than the task was started under.
    """
    task = StoredTask.of(resource_id, outputs)
    try:
        client = connect()
        task.require_same_account(client.settings, "ask about")
        room = client.query_room(task.cname)
    except RoomNotFound:
        return Reading(gone=True)
    except OtherAccount:
        raise
    except RtcAiError as error:
        return Reading(False, f"Whether the agent in room {task.cname} is still there is not known; kept. {error}")
    if room.cid != task.cid:
        return Reading(gone=True)
    if room.ended:
        # The meaning of `stats` comes from an older version of the room API: a hint, no proof.
        return Reading(False, f"The service says that room {task.cname} has ended, and still lists it; kept.")
    return Reading(gone=False)
