"""The operations of the admin API. The Python fixture calls the same methods."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from rtcai_pulumi.emulator.api.rooms import is_room_name
from rtcai_pulumi.emulator.clock import ClockOffset, iso
from rtcai_pulumi.emulator.errors import Dropped, NotUnderstood
from rtcai_pulumi.emulator.faults.model import fault_of
from rtcai_pulumi.emulator.settings import SettingsChange
from rtcai_pulumi.emulator.state.model import Room, Task
from rtcai_pulumi.emulator.state.seed import Seed, plant
from rtcai_pulumi.emulator.state.service import EmulatedService
from rtcai_pulumi.emulator.strict_model import understood


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


class Admin:
    """What tests and people see of an emulator, and do to it. To be used in the emulator's event loop."""

    def __init__(self, service: EmulatedService) -> None:
        self._service = service

    async def health(self) -> dict[str, Any]:
        """That it runs, and which one it is."""
        return {"status": "ok", "pid": os.getpid(), "instance": self._service.instance}

    async def tasks(self) -> list[dict[str, Any]]:
        """Every task, running and ended, in order of start."""
        self._service.advance()
        now_ms = self._service.clock.now_ms()
        return [shown_task(task, now_ms) for task in self._service.state.tasks.values()]

    async def rooms(self) -> list[dict[str, Any]]:
        """Every open room, in order of opening."""
        return [shown_room(room) for room in self._service.state.rooms.values()]

    async def requests(self) -> list[dict[str, Any]]:
        """Every API request, in the order in which they came."""
        return self._service.record.shown()

    async def stats(self) -> dict[str, Any]:
        """How many requests there were, and how many at once."""
        return self._service.gauge.shown()

    async def reset(self) -> None:
        """Forget all rooms, tasks, nonces, requests, counts and faults, and hang up on every request that waits."""
        await self._service.reset()

    async def seed(self, stated: Any) -> dict[str, int]:
        """Add rooms, tasks and requests to what there is; how many of each.

        Raises:
            NotUnderstood: something is wrong with it, and nothing was added.
        """
        added = plant(self._service, understood(Seed, stated))
        await self._service.keep()
        return added

    async def settings(self) -> dict[str, Any]:
        """The settings that can be changed, as they are."""
        return SettingsChange.of(self._service.settings).model_dump(mode="json", by_alias=True)

    async def change_settings(self, change: SettingsChange) -> dict[str, Any]:
        """Change settings from the next request on; what they are now."""
        self._service.settings = change.applied_to(self._service.settings)
        self._service.changes.touch("setting")
        return await self.settings()

    async def clock(self) -> dict[str, Any]:
        """The emulator's time, and how far it is off."""
        clock = self._service.clock
        return {"now": iso(clock.now()), "offset": clock.offset}

    async def set_clock(self, offset: ClockOffset) -> dict[str, Any]:
        """Set how far the emulator's time is off; what it is now."""
        self._service.clock.offset = offset.offset
        self._service.changes.touch("setting")
        return await self.clock()

    async def add_fault(self, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Set a fault.

        Raises:
            NotUnderstood: it is none.
        """
        return self._service.faults.add(fault_of(stated)).shown()

    async def faults(self) -> list[dict[str, Any]]:
        """Every fault that is set, in order of setting, with what it has done."""
        return self._service.faults.shown()

    async def fault(self, number: int) -> dict[str, Any]:
        """One fault.

        Raises:
            LookupError: there is none with this number.
        """
        return self._service.faults.get(number).shown()

    async def remove_fault(self, number: int) -> None:
        """Take a fault back; the requests that it holds go on.

        Raises:
            LookupError: there is none with this number.
        """
        self._service.faults.remove(number)

    async def clear_faults(self) -> None:
        """Take all faults back; the requests that they hold go on."""
        self._service.faults.clear()

    async def release(self, number: int) -> dict[str, Any]:
        """Let go on what a fault holds; it holds nothing more, and stays in the list.

        Raises:
            LookupError: there is none with this number.
        """
        return self._service.faults.release(number).shown()

    async def until_held(self, number: int, count: int, seconds: float) -> dict[str, Any]:
        """Wait until a fault has held so many requests, those included that are gone; the fault then.

        Raises:
            LookupError: there is none with this number; or it was released, removed or reset before.
            TimeoutError: there were fewer when the time was over.
        """
        fault = self._service.faults.get(number)
        try:
            async with asyncio.timeout(seconds):
                await self._service.waits.until(fault.gate.until_reached(count))
        except TimeoutError:
            message = f"{fault.gate.reached} of {count} requests were held within {seconds:g} seconds"
            raise TimeoutError(message) from None
        except Dropped:
            message = "the emulator was reset or stopped"
            raise LookupError(message) from None
        return fault.shown()

    async def open_room(self, cname: str, app_key: str | None = None) -> int:
        """Open a room, as if someone had joined; its number, also where it was open.

        Raises:
            LookupError: there is no such account.
            NotUnderstood: no room can have that name.
        """
        if not is_room_name(cname):
            message = "cname: must be 1 to 64 bytes of UTF-8"
            raise NotUnderstood(message)
        return (await self._service.open_room(cname, self._account(app_key))).cid

    async def end_room(self, cname: str, app_key: str | None = None, *, end_tasks: bool | None = None) -> None:
        """End a room, as if everyone had left; None ends its tasks where the settings say so.

        Raises:
            LookupError: no such room is open, or there is no such account.
        """
        self._service.advance()
        room = self._service.state.rooms.get((self._account(app_key), cname))
        if room is None:
            message = f"no room {cname!r} is open"
            raise LookupError(message)
        await self._service.end_room(room, end_tasks=end_tasks)

    async def end_task(self, cid: int, task_id: str) -> None:
        """End a task, as if its agent had died.

        Raises:
            LookupError: no such task runs.
        """
        self._service.advance()
        task = self._service.state.running_task(cid, task_id)
        if task is None:
            message = f"no task {task_id!r} runs in room {cid}"
            raise LookupError(message)
        await self._service.end_task(task, "admin")

    def _account(self, app_key: str | None) -> str:
        """The AppKey that is meant: the first one where none is named."""
        settings = self._service.settings
        if app_key is not None and app_key not in settings.secrets:
            message = f"no AppKey {app_key!r} is known; known are {', '.join(settings.secrets)}"
            raise LookupError(message)
        return settings.app_key if app_key is None else app_key
