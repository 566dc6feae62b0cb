"""`delete`: stop the agent. That it is not there any more is as good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rtcai_pulumi.lifecycle.task import StoredTask
from rtcai_pulumi.service.errors import Refused, RoomNotFound, RtcAiError, TaskNotFound

if TYPE_CHECKING:
    from rtcai_pulumi.service.client import Client


def delete(resource_id: str, outputs: Mapping[str, Any], client: Client) -> None:
    """Close the task; afterwards no agent of this resource is in the room.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: what the state holds.
        client: the service.

    Raises:
        OtherAccount: the settings name another AppKey or endpoint than the task was started under.
        RtcAiError: the agent may still be in the room; the state must be kept.
    """
    task = StoredTask.of(resource_id, outputs)
    task.require_same_account(client.settings, "stop")
    try:
        client.close_task(task.cid, task.task_id, cname=task.cname, trace_id=uuid4().hex)
    except (TaskNotFound, RoomNotFound):
        return
    except Refused:
        if not _room_is_gone(task, client):
            raise


def _room_is_gone(task: StoredTask, client: Client) -> bool:
    """Whether the task's room is surely gone; a refusal to close what is in no room is no error."""
    try:
        return client.query_room(task.cname).cid != task.cid
    except RoomNotFound:
        return True
    except RtcAiError:
        return False  # doubt: the refusal itself is the error to report
