"""The rooms that are open and the tasks that run or ran. Changed by one event loop only; every object is immutable."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

KEPT_ENDED_TASKS: Final = 5000
"""How many ended tasks are remembered, so that neither memory nor the state file grows for ever."""


TraceKey = tuple[str, str]
"""An AppKey and a trace id that it used."""


def trace_key(app_key: str | None, trace_id: str | None) -> TraceKey | None:
    """Under what a create is known to its sender; None where it has no trace id."""
    return (app_key, trace_id) if app_key and trace_id else None


@dataclass(frozen=True, slots=True)
class Room:
    """An open room."""

    cid: int
    """Its number, 64 bits; made anew each time a room of this name is opened."""
    cname: str
    uid: int
    """Who opened it; 0 where a create or the emulator's own path did."""
    opened_ms: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Task:
    """One agent in one room, running or ended."""

    cid: int
    task_id: str
    cname: str
    agent_uid: int
    """The uid of the agent as a member of the room."""
    mode: str
    """``parameters``, ``agent`` or ``agent+parameters``."""
    started_ms: int
    """Milliseconds since 1970."""
    ended_ms: int | None
    """None while it runs."""
    request_id: str
    trace_id: str | None
    """``X-custom-traceid`` of the create."""
    data: Mapping[str, Any]
    """``data`` of the create body as it was sent."""
    app_key: str = ""
    """Who started it; empty where a state file of an older emulator does not say."""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended_ms is None


class State:
    """All rooms and tasks of one emulator."""

    def __init__(self, rooms: Iterable[Room] = (), tasks: Iterable[Task] = ()) -> None:
        self.rooms: dict[str, Room] = {room.cname: room for room in rooms}
        self.tasks: dict[tuple[int, str], Task] = {(task.cid, task.task_id): task for task in tasks}
        self.revision = 0
        """Goes up with every change."""
        self._traced: dict[TraceKey, Task] = {}
        for task in self.tasks.values():
            self._note_trace(task)

    def room_of(self, cid: int) -> Room | None:
        """The open room with this number."""
        return next((room for room in self.rooms.values() if room.cid == cid), None)

    def members(self, cid: int) -> list[Task]:
        """The agents that run in a room: the only members that an emulated room has."""
        return [task for task in self.tasks.values() if task.cid == cid and task.running]

    def open_room(self, cname: str, uid: int, now_ms: int) -> Room:
        """The open room of this name; opened now, under a new number, where there is none."""
        if cname not in self.rooms:
            self.rooms[cname] = Room(_new_number(), cname, uid, now_ms)
            self.revision += 1
        return self.rooms[cname]

    def end_room(self, room: Room, now_ms: int, *, end_tasks: bool = True) -> None:
        """Close a room for good, and by default end the agents in it."""
        del self.rooms[room.cname]
        self.revision += 1
        if end_tasks:
            for task in self.members(room.cid):
                self.end_task(task, now_ms)

    def start_task(
        self,
        room: Room,
        now_ms: int,
        *,
        mode: str,
        data: Mapping[str, Any],
        request_id: str,
        trace_id: str | None,
        app_key: str = "",
    ) -> Task:
        """Start an agent in a room, beside those that are there."""
        task = Task(
            room.cid, uuid4().hex, room.cname, _new_number(), mode, now_ms, None, request_id, trace_id, data, app_key
        )
        self.tasks[task.cid, task.task_id] = task
        self._note_trace(task)
        self.revision += 1
        return task

    def running_task(self, cid: int, task_id: str) -> Task | None:
        """The running task with this id in this room; None where either is unknown, or the task has ended."""
        task = self.tasks.get((cid, task_id))
        return task if task and task.running else None

    def traced(self, key: TraceKey) -> Task | None:
        """The first task that was started under a trace id, as it was at its start; it may have ended."""
        return self._traced.get(key)

    def end_task(self, task: Task, now_ms: int) -> None:
        """End an agent; the room stays open."""
        self.tasks[task.cid, task.task_id] = replace(task, ended_ms=now_ms)
        self.revision += 1
        if len(self.tasks) > KEPT_ENDED_TASKS:
            ended = [key for key, known in self.tasks.items() if not known.running]
            for key in ended[:-KEPT_ENDED_TASKS]:
                self._forget_trace(self.tasks.pop(key))

    def clear(self) -> None:
        """Forget every room and task."""
        self.rooms.clear()
        self.tasks.clear()
        self._traced.clear()
        self.revision += 1

    def _note_trace(self, task: Task) -> None:
        if key := trace_key(task.app_key, task.trace_id):
            self._traced.setdefault(key, task)

    def _forget_trace(self, task: Task) -> None:
        key = trace_key(task.app_key, task.trace_id)
        if key and self._traced[key].task_id == task.task_id:
            del self._traced[key]


def _new_number() -> int:
    """A number above 2^53, where one that went through a float has lost digits, and below 2^63."""
    return 2**53 + secrets.randbelow(2**62)
