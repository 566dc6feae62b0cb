"""Rooms and tasks as JSON, for the admin path; `rtcai_pulumi.emulator.seed` takes the same form back."""

from typing import Any

from rtcai_pulumi.emulator.clock import iso
from rtcai_pulumi.emulator.state import Room, Task


def shown_room(room: Room) -> dict[str, Any]:
    """An open room."""
    return {
        "cid": room.cid,
        "cname": room.cname,
        "appKey": room.app_key,
        "openedAt": iso(room.opened_ms / 1000),
    }


def shown_task(task: Task, now_ms: int) -> dict[str, Any]:
    """A task, as it is at a time in milliseconds since 1970."""
    return {
        "taskId": task.task_id,
        "cid": task.cid,
        "cname": task.cname,
        "appKey": task.app_key,
        "mode": task.mode,
        "state": task.stage(now_ms),
        "startedAt": iso(task.started_ms / 1000),
        "endedAt": None if task.ended_ms is None else iso(task.ended_ms / 1000),
        "endedBy": task.ended_by,
        "requestId": task.request_id,
        "traceId": task.trace_id,
        "data": task.data,
    }
