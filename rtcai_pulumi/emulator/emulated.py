"""Everything that one emulator has: what it was started with, its clock, its rooms and tasks, and its memory."""

from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

from rtcai_pulumi.emulator.checksum import Nonces
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.duplicates import Duplicates
from rtcai_pulumi.emulator.fault_list import FaultList
from rtcai_pulumi.emulator.gauge import Gauge
from rtcai_pulumi.emulator.rate import Windows
from rtcai_pulumi.emulator.record import Record
from rtcai_pulumi.emulator.settings import Settings
from rtcai_pulumi.emulator.state import Room, State, Task
from rtcai_pulumi.emulator.state_file import StateFile
from rtcai_pulumi.emulator.waits import Waits


@dataclass(slots=True)
class EmulatedService:
    """One emulated service. Its parts change in one event loop only."""

    settings: Settings
    clock: Clock
    state: State
    state_file: StateFile | None = None
    nonces: Nonces = field(default_factory=Nonces)
    record: Record = field(default_factory=Record)
    waits: Waits = field(default_factory=Waits)
    faults: FaultList = field(default_factory=FaultList)
    windows: Windows = field(default_factory=Windows)
    gauge: Gauge = field(default_factory=Gauge)
    instance: str = field(default_factory=lambda: uuid4().hex)
    """A random id: tells a restarted emulator from the one before."""
    duplicates: Duplicates = field(init=False)

    def __post_init__(self) -> None:
        self.duplicates = Duplicates(self.waits)

    @classmethod
    def started(cls, settings: Settings, clock: Clock, state_file: StateFile | None) -> Self:
        """A service that goes on where its state file was; an empty one without."""
        return cls(settings, clock, state_file.state if state_file else State(), state_file)

    async def keep(self) -> None:
        """Put what has changed on the disk, where the state is kept in a file; before any answer that tells of it."""
        if self.state_file:
            await self.state_file.save()

    async def open_room(self, cname: str, uid: int = 0) -> Room:
        """The open room of this name, opened where there is none."""
        room = self.state.open_room(cname, uid, self.clock.now_ms())
        await self.keep()
        return room

    async def end_room(self, room: Room, *, end_tasks: bool = True) -> None:
        """End a room, and by default the tasks in it."""
        self.state.end_room(room, self.clock.now_ms(), end_tasks=end_tasks)
        await self.keep()

    async def end_task(self, task: Task) -> None:
        """End a task."""
        self.state.end_task(task, self.clock.now_ms())
        await self.keep()

    async def reset(self) -> None:
        """Forget everything that happened, and every fault; what waits is hung up on and does no work any more."""
        self.waits.drop()
        for forgetful in (self.state, self.nonces, self.record, self.faults, self.windows, self.gauge):
            forgetful.clear()
        await self.keep()

    def end(self) -> None:
        """Hang up on everything that waits: nobody will let it go on."""
        self.waits.end()
