"""The operations of the admin API. The Python class `Emulator` calls the same methods."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from rtcai_pulumi.config.emulator import ChangeableSettings
from rtcai_pulumi.emulator.api.rooms import is_room_name
from rtcai_pulumi.emulator.clock import ClockOffset, iso
from rtcai_pulumi.emulator.errors import InvalidInput, RequestDropped
from rtcai_pulumi.emulator.faults.model import parse_fault
from rtcai_pulumi.emulator.state.model import EmulatedRoom, EmulatedTask
from rtcai_pulumi.emulator.state.seed import Seed, add_seed
from rtcai_pulumi.emulator.state.service import EmulatedService
from rtcai_pulumi.emulator.strict_model import parse_strict


def room_to_json(room: EmulatedRoom) -> dict[str, Any]:
    """Return an open room as JSON."""
    return {
        "cid": room.cid,
        "cname": room.cname,
        "appKey": room.app_key,
        "openedAt": iso(room.opened_ms / 1000),
    }


def task_to_json(task: EmulatedTask, now_ms: int) -> dict[str, Any]:
    """Return a task as JSON, as it is at the given time in milliseconds since 1970."""
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
    """Inspects and changes an emulator, for tests and people. Use it in the emulator's event loop only."""

    def __init__(self, service: EmulatedService) -> None:
        self._service = service

    async def health(self) -> dict[str, Any]:
        """Return the status and the id of this emulator."""
        return {"status": "ok", "pid": os.getpid(), "instance": self._service.instance}

    async def tasks(self) -> list[dict[str, Any]]:
        """Return every task, running and ended, in order of start."""
        self._service.advance()
        now_ms = self._service.clock.now_ms()
        return [task_to_json(task, now_ms) for task in self._service.state.tasks.values()]

    async def rooms(self) -> list[dict[str, Any]]:
        """Return every open room, in order of opening."""
        return [room_to_json(room) for room in self._service.state.rooms.values()]

    async def requests(self) -> list[dict[str, Any]]:
        """Return every API request, in order of arrival."""
        return self._service.record.to_json()

    async def stats(self) -> dict[str, Any]:
        """Return how many requests there were, and how many of them at the same time."""
        return self._service.gauge.to_json()

    async def reset(self) -> None:
        """Delete all rooms, tasks, nonces, requests, counts and faults, and disconnect every request that waits."""
        await self._service.reset()

    async def seed(self, content: Any) -> dict[str, int]:
        """Add rooms, tasks and requests to the existing ones; return how many of each were added.

        Raises:
            InvalidInput: the seed is not valid; nothing was added.
        """
        added = add_seed(self._service, parse_strict(Seed, content))
        await self._service.keep()
        return added

    async def settings(self) -> dict[str, Any]:
        """Return the current values of the settings that can be changed."""
        return ChangeableSettings.of(self._service.settings).model_dump(mode="json", by_alias=True)

    async def change_settings(self, changes: ChangeableSettings) -> dict[str, Any]:
        """Change settings from the next request on; return the new values."""
        self._service.settings = self._service.settings.with_changes(changes)
        self._service.changes.touch("setting")
        return await self.settings()

    async def clock(self) -> dict[str, Any]:
        """Return the emulator's time and its offset from the real time."""
        clock = self._service.clock
        return {"now": iso(clock.now()), "offset": clock.offset}

    async def set_clock(self, offset: ClockOffset) -> dict[str, Any]:
        """Set the offset of the emulator's clock; return the new time and offset."""
        self._service.clock.offset = offset.offset
        self._service.changes.touch("setting")
        return await self.clock()

    async def add_fault(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Set a fault.

        Raises:
            InvalidInput: the fault is not valid.
        """
        return self._service.faults.add(parse_fault(content)).to_json()

    async def faults(self) -> list[dict[str, Any]]:
        """Return every fault in the order in which they were set, with what each has done."""
        return self._service.faults.to_json()

    async def fault(self, number: int) -> dict[str, Any]:
        """Return one fault.

        Raises:
            LookupError: no fault has this number.
        """
        return self._service.faults.get(number).to_json()

    async def remove_fault(self, number: int) -> None:
        """Remove a fault; the requests that it holds continue.

        Raises:
            LookupError: no fault has this number.
        """
        self._service.faults.remove(number)

    async def clear_faults(self) -> None:
        """Remove all faults; the requests that they hold continue."""
        self._service.faults.clear()

    async def release(self, number: int) -> dict[str, Any]:
        """Release the requests that a fault holds. It holds no further request and stays in the list.

        Raises:
            LookupError: no fault has this number.
        """
        return self._service.faults.release(number).to_json()

    async def wait_until_held(self, number: int, count: int, seconds: float) -> dict[str, Any]:
        """Wait until a fault has held this many requests, including those that have left since; return the fault.

        Raises:
            LookupError: no fault has this number, or it was released, removed or reset before.
            TimeoutError: fewer requests were held when the time was over.
        """
        fault = self._service.faults.get(number)
        try:
            async with asyncio.timeout(seconds):
                await self._service.waits.until(fault.gate.wait_for_arrivals(count))
        except TimeoutError:
            message = f"{fault.gate.arrivals} of {count} requests were held within {seconds:g} seconds"
            raise TimeoutError(message) from None
        except RequestDropped:
            message = "the emulator was reset or stopped"
            raise LookupError(message) from None
        return fault.to_json()

    async def open_room(self, cname: str, app_key: str | None = None) -> int:
        """Open a room, as if a user had joined; return its number, also if it was open already.

        Raises:
            LookupError: the account is unknown.
            InvalidInput: the name is not a valid room name.
        """
        if not is_room_name(cname):
            message = "cname: must be 1 to 64 bytes of UTF-8"
            raise InvalidInput(message)
        return (await self._service.open_room(cname, self._account(app_key))).cid

    async def end_room(self, cname: str, app_key: str | None = None, *, end_tasks: bool | None = None) -> None:
        """End a room, as if everyone had left. If the argument is None, the settings decide whether its tasks end too.

        Raises:
            LookupError: the room is not open, or the account is unknown.
        """
        self._service.advance()
        room = self._service.state.rooms.get((self._account(app_key), cname))
        if room is None:
            message = f"room {cname!r} is not open"
            raise LookupError(message)
        await self._service.end_room(room, end_tasks=end_tasks)

    async def end_task(self, cid: int, task_id: str) -> None:
        """End a task, as if its agent had crashed.

        Raises:
            LookupError: no such task is running.
        """
        self._service.advance()
        task = self._service.state.find_running_task(cid, task_id)
        if task is None:
            message = f"no task {task_id!r} is running in room {cid}"
            raise LookupError(message)
        await self._service.end_task(task, "admin")

    def _account(self, app_key: str | None) -> str:
        settings = self._service.settings
        if app_key is not None and app_key not in settings.secrets:
            message = f"unknown AppKey {app_key!r}; the known AppKeys are {', '.join(settings.secrets)}"
            raise LookupError(message)
        return settings.app_key if app_key is None else app_key
