"""The emulator's own view: what the service would never tell, and what happens behind a client's back.

One method for each path under ``/-/``, and the same methods for the Python fixture.
"""

import os
from typing import Any

from rtcai_pulumi.emulator.clock import iso
from rtcai_pulumi.emulator.emulated import EmulatedService
from rtcai_pulumi.emulator.state import Room, Task


class Admin:
    """What tests and people see of an emulator, and do to it. To be used in the emulator's event loop."""

    def __init__(self, service: EmulatedService) -> None:
        self._service = service

    async def health(self) -> dict[str, Any]:
        """That it runs, and which one it is."""
        return {"status": "ok", "pid": os.getpid(), "instance": self._service.instance}

    async def tasks(self) -> list[dict[str, Any]]:
        """Every task, running and ended, in order of start."""
        return [_shown_task(task) for task in self._service.state.tasks.values()]

    async def rooms(self) -> list[dict[str, Any]]:
        """Every open room, in order of opening."""
        return [_shown_room(room) for room in self._service.state.rooms.values()]

    async def requests(self) -> list[dict[str, Any]]:
        """Every API request, in the order in which they came."""
        return self._service.record.shown()

    async def reset(self) -> None:
        """Forget all rooms, tasks, nonces and requests."""
        await self._service.reset()

    async def open_room(self, cname: str) -> int:
        """Open a room, as if someone had joined; its number, also where it was open."""
        return (await self._service.open_room(cname)).cid

    async def end_room(self, cname: str, *, end_tasks: bool = True) -> None:
        """End a room, as if everyone had left.

        Raises:
            LookupError: no such room is open.
        """
        room = self._service.state.rooms.get(cname)
        if room is None:
            message = f"no room {cname!r} is open"
            raise LookupError(message)
        await self._service.end_room(room, end_tasks=end_tasks)

    async def end_task(self, cid: int, task_id: str) -> None:
        """End a task, as if its agent had died.

        Raises:
            LookupError: no such task runs.
        """
        task = self._service.state.running_task(cid, task_id)
        if task is None:
            message = f"no task {task_id!r} runs in room {cid}"
            raise LookupError(message)
        await self._service.end_task(task)


def _shown_room(room: Room) -> dict[str, Any]:
    return {"cid": room.cid, "cname": room.cname, "openedAt": iso(room.opened_ms / 1000)}


def _shown_task(task: Task) -> dict[str, Any]:
    return {
        "taskId": task.task_id,
        "cid": task.cid,
        "cname": task.cname,
        "mode": task.mode,
        "state": "running" if task.running else "ended",
        "startedAt": iso(task.started_ms / 1000),
        "endedAt": None if task.ended_ms is None else iso(task.ended_ms / 1000),
        "requestId": task.request_id,
        "traceId": task.trace_id,
        "data": task.data,
    }
