"""Open rooms, and running and ended tasks. Objects are immutable; only the event loop changes the state."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import uuid4

from rtcai_pulumi.emulator.state.changes import Changes

KEPT_ENDED_TASKS: Final = 5000
"""How many ended tasks are kept, so that memory and the state file do not grow forever."""

RoomKey = tuple[str, str]
"""An AppKey and the name of a room: each account has its own rooms."""
TaskKey = tuple[int, str]
"""The number of a task's room, and its id."""
TraceKey = tuple[str, str]
"""An AppKey and a trace id that it used."""
EndedBy = Literal["close", "room", "itself", "admin"]
"""What ended a task: the API's close, the end of its room, its own time limit, or the admin API."""
Stage = Literal["starting", "running", "ended"]
"""The stage of a task."""


def make_trace_key(app_key: str | None, trace_id: str | None) -> TraceKey | None:
    """Return the key of a create; None if it has no trace id."""
    return (app_key, trace_id) if app_key and trace_id else None


@dataclass(frozen=True, slots=True)
class EmulatedRoom:
    """An open room."""

    cid: int
    """Its 64-bit number; a new one each time a room of this name is opened."""
    cname: str
    uid: int
    """The user who opened it; 0 if a create or the admin API did."""
    opened_ms: int
    """Milliseconds since 1970."""
    app_key: str = ""
    """Its account; empty if it comes from a state file of an older emulator."""

    @property
    def key(self) -> RoomKey:
        """Its key while it is open."""
        return self.app_key, self.cname


@dataclass(frozen=True, slots=True)
class EmulatedTask:
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
    """Its account; empty if it comes from a state file of an older emulator."""
    runs_ms: int = 0
    """When its agent joins the room, milliseconds since 1970; until then it is starting."""
    due_ms: int | None = None
    """When it ends by itself, milliseconds since 1970; None: never."""
    ended_by: EndedBy | None = None
    """What ended it; None while it runs, and if it comes from a state file of an older emulator."""

    @property
    def key(self) -> TaskKey:
        """Its key."""
        return self.cid, self.task_id

    @property
    def room_key(self) -> RoomKey:
        """The key of its room, by name."""
        return self.app_key, self.cname

    @property
    def running(self) -> bool:
        """Whether it has not ended; true also while it is starting."""
        return self.ended_ms is None

    def stage(self, now_ms: int) -> Stage:
        """Its stage at the given time."""
        if self.ended_ms is not None:
            return "ended"
        return "starting" if now_ms < self.runs_ms else "running"

    def next_ms(self, now_ms: int) -> int | None:
        """When it enters its next stage by itself; None: never."""
        return None if self.ended_ms is not None else self.runs_ms if now_ms < self.runs_ms else self.due_ms


class ServiceState:
    """All rooms and tasks of one emulator."""

    def __init__(self, rooms: Iterable[EmulatedRoom] = (), tasks: Iterable[EmulatedTask] = ()) -> None:
        self.rooms: dict[RoomKey, EmulatedRoom] = {room.key: room for room in rooms}
        self.tasks: dict[TaskKey, EmulatedTask] = {}
        self._running = 0
        self.revision = 0
        """Increases with every change."""
        self.changes = Changes()
        """Notifies the subscribers."""
        self._traced: dict[TraceKey, EmulatedTask] = {}
        self._by_room: dict[RoomKey, dict[TaskKey, None]] = {}
        self._names: dict[int, str] = {room.cid: room.cname for room in self.rooms.values()}
        self._timed: set[TaskKey] = set()
        self._next_ms = 0
        """No running task enters its next stage before this time."""
        for task in tasks:
            self._index(task)

    def find_room(self, cid: int) -> EmulatedRoom | None:
        """Return the open room with this number."""
        return next((room for room in self.rooms.values() if room.cid == cid), None)

    def find_room_name(self, cid: int) -> str | None:
        """Return the name of a room by its number; also of an ended one, if one of its tasks is known."""
        return self._names.get(cid)

    def list_members(self, cid: int, now_ms: int) -> list[EmulatedTask]:
        """Return the agents in a room: the only members that an emulated room has."""
        return [task for task in self._running_in(cid) if task.stage(now_ms) == "running"]

    def list_tasks(self, key: RoomKey) -> list[EmulatedTask]:
        """Return every known task of the rooms that have or had this name, in order of start."""
        return [self.tasks[task] for task in self._by_room.get(key, ())]

    @property
    def running(self) -> int:
        """How many tasks have not ended."""
        return self._running

    def room_keys(self) -> list[RoomKey]:
        """Return every room that is open or has a known task."""
        return list(dict.fromkeys([*self._by_room, *self.rooms]))

    def open_room(self, cname: str, uid: int, now_ms: int, app_key: str = "", cid: int | None = None) -> EmulatedRoom:
        """Return the open room of this name. If there is none, open one, with a new number unless one is given."""
        key = (app_key, cname)
        if key not in self.rooms:
            self.rooms[key] = room = EmulatedRoom(cid or generate_number(), cname, uid, now_ms, app_key)
            self._names[room.cid] = cname
            self._mark_changed(key)
        return self.rooms[key]

    def end_room(self, room: EmulatedRoom, now_ms: int, *, end_tasks: bool = True) -> None:
        """End a room, and by default the agents in it."""
        del self.rooms[room.key]
        self._forget_name(room.cid, room.key)
        self._mark_changed(room.key)
        if end_tasks:
            for task in self._running_in(room.cid):
                self.end_task(task, now_ms, "room")

    def start_task(
        self,
        room: EmulatedRoom,
        now_ms: int,
        *,
        mode: str,
        data: Mapping[str, Any],
        request_id: str,
        trace_id: str | None,
        runs_ms: int = 0,
        due_ms: int | None = None,
    ) -> EmulatedTask:
        """Start an agent in a room, in addition to those that are there."""
        task = EmulatedTask(
            room.cid, uuid4().hex, room.cname, generate_number(), mode, now_ms, None, request_id, trace_id, data,
            room.app_key, runs_ms, due_ms,
        )  # fmt: skip
        self.add_task(task)
        return task

    def add_task(self, task: EmulatedTask) -> None:
        """Add a task as it is, running or ended."""
        self._index(task)
        self._mark_changed(task.room_key)

    def find_running_task(self, cid: int, task_id: str) -> EmulatedTask | None:
        """Return the running task with this id in this room; None if either is unknown or the task has ended."""
        task = self.tasks.get((cid, task_id))
        return task if task and task.running else None

    def find_by_trace_id(self, key: TraceKey) -> EmulatedTask | None:
        """Return the first task that was started under a trace id, as it was at its start; it may have ended."""
        return self._traced.get(key)

    def end_task(self, task: EmulatedTask, now_ms: int, ended_by: EndedBy = "close") -> None:
        """End an agent; the room stays open."""
        self.tasks[task.key] = replace(task, ended_ms=now_ms, ended_by=ended_by)
        self._running -= 1
        self._timed.discard(task.key)
        self._mark_changed(task.room_key)
        if len(self.tasks) > KEPT_ENDED_TASKS:
            ended = [key for key, known in self.tasks.items() if not known.running]
            for key in ended[:-KEPT_ENDED_TASKS]:
                self._forget(self.tasks.pop(key))

    def advance(self, now_ms: int) -> None:
        """Move the tasks whose time has come to their next stage: into their room, or to their end."""
        if not self._timed or now_ms < self._next_ms:
            return
        for task in [self.tasks[key] for key in self._timed]:
            if task.due_ms is not None and task.due_ms <= now_ms:
                self.end_task(task, task.due_ms, "itself")
            elif now_ms >= task.runs_ms:
                self._mark_changed(task.room_key)
        self._find_next_change(now_ms)

    def assign_account(self, app_key: str) -> None:
        """Assign everything without an account to the given one: an older emulator had only one account and did not
        store it.
        """
        rooms = [replace(room, app_key=room.app_key or app_key) for room in self.rooms.values()]
        tasks = [replace(task, app_key=task.app_key or app_key) for task in self.tasks.values()]
        revision = self.revision
        self.clear()
        self.revision = revision
        self.rooms.update({room.key: room for room in rooms})
        self._names.update({room.cid: room.cname for room in rooms})
        for task in tasks:
            self._index(task)

    def clear(self) -> None:
        """Delete all rooms and tasks."""
        for collection in (self.rooms, self.tasks, self._traced, self._by_room, self._names, self._timed):
            collection.clear()
        self._running = 0
        self.revision += 1
        self.changes.restart()

    def _running_in(self, cid: int) -> list[EmulatedTask]:
        return [task for task in self.tasks.values() if task.cid == cid and task.running]

    def _mark_changed(self, key: RoomKey) -> None:
        self.revision += 1
        self.changes.touch("room", key)

    def _index(self, task: EmulatedTask) -> None:
        self.tasks[task.key] = task
        self._running += task.running
        self._names[task.cid] = task.cname
        self._by_room.setdefault(task.room_key, {})[task.key] = None
        if key := make_trace_key(task.app_key, task.trace_id):
            self._traced.setdefault(key, task)
        if task.running and (task.due_ms is not None or task.runs_ms > task.started_ms):
            self._timed.add(task.key)
            self._next_ms = 0

    def _forget_name(self, cid: int, key: RoomKey) -> None:
        room = self.rooms.get(key)
        if not (room and room.cid == cid) and all(task != cid for task, _ in self._by_room.get(key, ())):
            self._names.pop(cid, None)

    def _find_next_change(self, now_ms: int) -> None:
        times = {task.key: task.next_ms(now_ms) for task in (self.tasks[key] for key in self._timed)}
        self._timed = {key for key, next_ms in times.items() if next_ms is not None}
        self._next_ms = min((next_ms for next_ms in times.values() if next_ms is not None), default=0)

    def _forget(self, task: EmulatedTask) -> None:
        key = make_trace_key(task.app_key, task.trace_id)
        first = self._traced.get(key) if key else None
        if key and first and first.task_id == task.task_id:  # else the id belongs to another or a dropped task
            del self._traced[key]
        tasks_of_room = self._by_room[task.room_key]
        del tasks_of_room[task.key]
        if not tasks_of_room:
            del self._by_room[task.room_key]
            self.changes.touch("room", task.room_key)
        self._forget_name(task.cid, task.room_key)


def generate_number() -> int:
    """Return a number above 2^53 (a float would lose digits of it) and below 2^63."""
    return 2**53 + secrets.randbelow(2**62)
