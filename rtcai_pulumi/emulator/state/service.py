"""All parts of one emulated service: settings, clock, state, faults and log."""

from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

from rtcai_pulumi.config.emulator import EmulatorSettings
from rtcai_pulumi.emulator.admin.request_log import Gauge, RequestLog
from rtcai_pulumi.emulator.api.auth import Nonces
from rtcai_pulumi.emulator.api.deduplication import Duplicates
from rtcai_pulumi.emulator.api.rate_limit import RateLimiter
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.faults.cancellation import Waits
from rtcai_pulumi.emulator.faults.registry import FaultList
from rtcai_pulumi.emulator.state.changes import Changes
from rtcai_pulumi.emulator.state.file import StateFile
from rtcai_pulumi.emulator.state.model import EmulatedRoom, EmulatedTask, EndedBy, ServiceState


@dataclass(slots=True)
class EmulatedService:
    """One emulated service. Its parts change in one event loop only."""

    settings: EmulatorSettings
    clock: Clock
    state: ServiceState
    state_file: StateFile | None = None
    nonces: Nonces = field(default_factory=Nonces)
    waits: Waits = field(default_factory=Waits)
    rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    gauge: Gauge = field(default_factory=Gauge)
    instance: str = field(default_factory=lambda: uuid4().hex)
    """A random id that distinguishes a restarted emulator from the previous one."""
    record: RequestLog = field(init=False)
    faults: FaultList = field(init=False)
    duplicates: Duplicates = field(init=False)

    def __post_init__(self) -> None:
        self.record = RequestLog(self.changes)
        self.faults = FaultList(self.changes)
        self.duplicates = Duplicates(self.waits)

    @property
    def changes(self) -> Changes:
        """The changes, for subscribers."""
        return self.state.changes

    @classmethod
    def load(cls, settings: EmulatorSettings, clock: Clock, state_file: StateFile | None) -> Self:
        """Create a service that continues with the content of its state file; an empty one if there is none."""
        state = state_file.state if state_file else ServiceState()
        state.assign_account(settings.app_key)
        return cls(settings, clock, state, state_file)

    def advance(self) -> None:
        """Start and end the tasks whose time has come. Call it before anything reads or changes tasks."""
        self.state.advance(self.clock.now_ms())

    async def keep(self) -> None:
        """Write the changes to the state file, if there is one. Call it before any answer that reports them."""
        if self.state_file:
            await self.state_file.save()

    async def open_room(self, cname: str, app_key: str, uid: int = 0) -> EmulatedRoom:
        """Return the open room of this name in an account; open one if there is none."""
        room = self.state.open_room(cname, uid, self.clock.now_ms(), app_key)
        await self.keep()
        return room

    async def end_room(self, room: EmulatedRoom, *, end_tasks: bool | None = None) -> None:
        """End a room and, if the argument or by default the setting says so, the tasks in it."""
        ends = self.settings.tasks_end_with_room if end_tasks is None else end_tasks
        self.state.end_room(room, self.clock.now_ms(), end_tasks=ends)
        await self.keep()

    async def end_task(self, task: EmulatedTask, ended_by: EndedBy) -> None:
        """End a task."""
        self.state.end_task(task, self.clock.now_ms(), ended_by)
        await self.keep()

    async def reset(self) -> None:
        """Delete all state and every fault; waiting requests are disconnected and do no work."""
        self.waits.drop()
        for part in (self.state, self.nonces, self.record, self.faults, self.rate_limiter, self.gauge):
            part.clear()
        await self.keep()

    def end(self) -> None:
        """Disconnect every waiting request, because nothing will release it."""
        self.waits.end()
