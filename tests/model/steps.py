"""The atomic steps of a plugin process: calls of `Journal`, `Client` and `Run` that happen completely or not at all.

Each step has options (none while it has to wait), and one option is taken. The step returns the answer, or `Raised`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from rtcai_pulumi.lifecycle import end_time, recovery_rules
from rtcai_pulumi.service.errors import EndPassed, RoomNotFound, TakenOver
from tests.model.world import Raised, Request, the_one

if TYPE_CHECKING:
    from datetime import datetime

    from tests.model.world import World

AT_ONCE = ("",)


@dataclass(frozen=True, slots=True)
class Step:
    """One step, by default without a choice."""

    writes: ClassVar[bool] = False
    """Whether the step changes the journal or the service. A verb that a preview calls must not take such a step."""

    def options(self, world: World, process: int) -> tuple[str, ...]:
        return AT_ONCE

    def take(self, world: World, process: int, option: str) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Now(Step):
    """`Run.now`."""

    def take(self, world: World, process: int, option: str) -> datetime:
        return world.now


@dataclass(frozen=True, slots=True)
class Records(Step):
    """`Journal.records`."""

    owner: str

    def take(self, world: World, process: int, option: str) -> tuple[Record, ...]:
        return tuple(record for record in world.records if record.owner == self.owner)


@dataclass(frozen=True, slots=True)
class RecordOf(Step):
    """`Journal.record`."""

    trace: str

    def take(self, world: World, process: int, option: str) -> Record | None:
        return world.record(self.trace)


@dataclass(frozen=True, slots=True)
class RecordsOfTask(Step):
    """`Journal.records_of_task`."""

    task: str

    def take(self, world: World, process: int, option: str) -> tuple[Record, ...]:
        return tuple(record for record in world.records if record.task == self.task)


@dataclass(frozen=True, slots=True)
class Add(Step):
    """`Journal.add`."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> Record:
        assert world.record(self.record.trace_id) is None, f"{self.record.trace_id} twice"
        world.records = (*world.records, self.record)
        return self.record


@dataclass(frozen=True, slots=True)
class RecordResponse(Step):
    """`Journal.record_response`: only while this process still owns the record."""

    writes = True
    record: Record
    task: str

    def take(self, world: World, process: int, option: str) -> Record | None:
        cid, _, task_id = self.task.partition("/")
        now = world.record(self.record.trace_id)
        if now is None or now.process != process or now.state is not RecordState.ASKED:
            return None
        return change(world, now, state=RecordState.OPEN, cid=int(cid), task_id=task_id)


@dataclass(frozen=True, slots=True)
class RecordClose(Step):
    """`Journal.record_close`: in all records of the task."""

    writes = True
    task: str

    def take(self, world: World, process: int, option: str) -> None:
        for record in world.records:
            if record.task == self.task:
                change(world, record, state=RecordState.CLOSED)


@dataclass(frozen=True, slots=True)
class BeginClose(Step):
    """`Journal.begin_close`: this process now owns the close. Returns whether no other process had begun one."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> bool:
        now = world.record(self.record.trace_id)
        if now is not None and now.state is not RecordState.CLOSED:
            change(world, now, state=RecordState.CLOSING, process=process)
        return now is not None and now.state is RecordState.OPEN


@dataclass(frozen=True, slots=True)
class BeginCloseUnlessChanged(Step):
    """`Journal.begin_close_unless_changed`: only if process, state and end are as they were read."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> bool:
        now = world.record(self.record.trace_id)
        if now is None or self._identify(now) != self._identify(self.record):
            return False
        change(world, now, state=RecordState.CLOSING, process=process)
        return True

    @staticmethod
    def _identify(record: Record) -> tuple[object, ...]:
        return record.process, record.state, record.ends_at


@dataclass(frozen=True, slots=True)
class CancelClose(Step):
    """`Journal.cancel_close`: only while this process still owns the close."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> None:
        now = world.record(self.record.trace_id)
        if now is not None and now.process == process and now.state is RecordState.CLOSING:
            change(world, now, state=RecordState.OPEN)


@dataclass(frozen=True, slots=True)
class RecordReturn(Step):
    """`Journal.record_return`: from now on, the engine is responsible for the record."""

    writes = True
    record: Record
    kept: KeepReason
    ends_at: str = ""

    def take(self, world: World, process: int, option: str) -> None:
        plugin = world.plugin(process)
        if plugin is not None:
            world.put(plugin._replace(unrecovered=plugin.unrecovered - {self.record.trace_id}))
        change(world, self.record, handed=True, kept=self.kept, ends_at=self.ends_at)


@dataclass(frozen=True, slots=True)
class Claim(Step):
    """`Journal.claim`: write what the engine has passed about a task to all its records that are not closed."""

    writes = True
    task: str
    owner: str
    kept: KeepReason
    ends_at: str = ""

    def take(self, world: World, process: int, option: str) -> None:
        for record in world.records:
            if record.task == self.task and record.state is not RecordState.CLOSED:
                change(world, record, owner=self.owner, kept=self.kept, ends_at=self.ends_at, stored=True)
        if self.kept is KeepReason.NO:
            world.sure -= {self.task}


@dataclass(frozen=True, slots=True)
class TakeOver(Step):
    """`Journal.take_over`: None if another process was faster."""

    writes = True
    record: Record
    owes: bool = False
    """Whether the process becomes responsible for the record (`Run.unrecovered`); not needed if it closes the task."""

    def take(self, world: World, process: int, option: str) -> Record | None:
        now = world.record(self.record.trace_id)
        if now is None or now.process != self.record.process:
            return None
        plugin = world.plugin(process)
        if self.owes and plugin is not None:
            world.put(plugin._replace(unrecovered=plugin.unrecovered | {now.trace_id}))
        return change(world, now, process=process)


@dataclass(frozen=True, slots=True)
class Forget(Step):
    """`Journal.forget`: only while this process still owns the record."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> None:
        now = world.record(self.record.trace_id)
        if now is None or now.process != process or now.state is not RecordState.ASKED:
            return
        world.records = tuple(record for record in world.records if record.trace_id != self.record.trace_id)


@dataclass(frozen=True, slots=True)
class RecordUnsent(Step):
    """`Journal.record_unsent`: only while this process still owns the record."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> None:
        now = world.record(self.record.trace_id)
        if now is not None and now.process == process and now.state is RecordState.ASKED:
            change(world, now, state=RecordState.CLOSED)


@dataclass(frozen=True, slots=True)
class UndoClose(Step):
    """`Journal.undo_close`: the task is left to the run that got it in an answer."""

    writes = True
    record: Record

    def take(self, world: World, process: int, option: str) -> None:
        world.late -= {str(self.record.task)}
        now = world.record(self.record.trace_id)
        if now is None or now.process != process or now.state is not RecordState.CLOSING:
            return
        world.records = tuple(record for record in world.records if record.trace_id != self.record.trace_id)


@dataclass(frozen=True, slots=True)
class RunningProcesses(Step):
    """`Journal.is_running`, for every process at the same time."""

    def take(self, world: World, process: int, option: str) -> frozenset[int]:
        return frozenset(plugin.process for plugin in world.plugins)


@dataclass(frozen=True, slots=True)
class WaitForProcess(Step):
    """`Run.wait_for_process` waits for a limited time. The limit is not fixed: both outcomes are tried."""

    record: Record

    def options(self, world: World, process: int) -> tuple[str, ...]:
        now = world.record(self.record.trace_id)
        return ("time has run out",) if self._waits(world, now) else AT_ONCE

    def take(self, world: World, process: int, option: str) -> Record | None:
        if self.record.state is not RecordState.ASKED or world.plugin(self.record.process) is None:
            return self.record
        return world.record(self.record.trace_id)

    def _waits(self, world: World, now: Record | None) -> bool:
        if self.record.state is not RecordState.ASKED or world.plugin(self.record.process) is None:
            return False
        return now is not None and now.state is RecordState.ASKED and now.process == self.record.process


@dataclass(frozen=True, slots=True)
class RequireStillWanted(Step):
    """`require_time_left` and `Run.require_still_wanted`, in this order, right before a request is sent.

    They are one step: if the end passes between the two, the request is sent some milliseconds after it.
    """

    trace: str
    ends_at: str = ""

    def take(self, world: World, process: int, option: str) -> Raised | None:
        if not end_time.may_start(self.ends_at, world.now):
            return Raised(EndPassed)
        lives = engine_lives(world, process)
        record = world.record(self.trace)
        may_send = recovery_rules.may_send(record, process=process, engine_lives=lives)
        others = [other for other in world.records if record and other.owner == record.owner]
        # A sweep that was refused leaves its task open, in its own name. `is_superseded` is asked about sweeps only,
        # because the model has one engine at a time.
        of_sweeps = [other for other in others if other.process in world.sweepers]
        refused = recovery_rules.is_being_closed(others, process=process) or recovery_rules.is_superseded(
            of_sweeps, process=process
        )
        return None if may_send and not refused else Raised(TakenOver)


@dataclass(frozen=True, slots=True)
class Send(Step):
    """A request has been sent."""

    writes = True
    kind: str
    trace: str = ""
    cname: str = ""
    digest: str = ""
    task: str = ""
    alone: bool = False
    """Whether no other agent of the resource may be in the room when the service processes the request."""
    ends_at: str = ""
    """The end of the agent that a new create starts. A repeated create may be sent after it, to close the agent."""

    def take(self, world: World, process: int, option: str) -> None:
        if self.kind == "create" and end_time.has_ended(self.ends_at, world.now):
            world.wrong = "an agent is started after its end"
        request = Request(self.kind, self.trace, self.cname, self.digest, self.task, sender=process, alone=self.alone)
        world.requests = (*world.requests, request)
        plugin, engine = world.plugin(process), world.engine
        held = world.stack.tasks | (engine.memory.tasks if engine else set())
        if self.kind == "close" and plugin and plugin.deletes not in {None, self.task} and self.task in held:
            world.wrong = f"the delete of {plugin.deletes} closes {self.task}, which the state holds"
        if self.kind == "close" and self.task in world.sure:
            if plugin and plugin.deletes == self.task:  # the state does not show yet that it is retained
                world.sure -= {self.task}
            elif engine_lives(world, process):  # a plugin without its engine may close a task that only it knows
                world.wrong = f"{self.task} is closed, which is retained"


@dataclass(frozen=True, slots=True)
class Receive(Step):
    """The answer arrives. Until then, this process waits."""

    def options(self, world: World, process: int) -> tuple[str, ...]:
        return AT_ONCE if self._mine(world, process).answer is not None else ()

    def take(self, world: World, process: int, option: str) -> Any:
        mine = self._mine(world, process)
        world.requests = tuple(request for request in world.requests if request is not mine)
        if mine.kind == "create" and isinstance(mine.answer, str) and not engine_lives(world, process):
            world.late |= {mine.answer}
        return mine.answer

    def _mine(self, world: World, process: int) -> Request:
        return next(request for request in world.requests if request.sender == process)


@dataclass(frozen=True, slots=True)
class Repeats(Step):
    """`Policy.waits` after an unknown outcome: whether there is time left to try again."""

    def options(self, world: World, process: int) -> tuple[str, ...]:
        return ("asks again", "gives up")

    def take(self, world: World, process: int, option: str) -> bool:
        return option == "asks again"


@dataclass(frozen=True, slots=True)
class QueryRoom(Step):
    """`Client.query_room`: the room's number."""

    cname: str

    def take(self, world: World, process: int, option: str) -> int | Raised:
        return dict(world.rooms).get(self.cname) or Raised(RoomNotFound)


@dataclass(frozen=True, slots=True)
class EngineLives(Step):
    """`Run.engine_lives`."""

    def take(self, world: World, process: int, option: str) -> bool:
        return engine_lives(world, process)


@dataclass(frozen=True, slots=True)
class Report(Step):
    """A create counts as lost (`Run.unrecovered`). If the engine still runs, its trace id is reported to the user."""

    trace: str

    def take(self, world: World, process: int, option: str) -> None:
        plugin = world.plugin(process)
        if plugin is not None:
            world.put(plugin._replace(unrecovered=plugin.unrecovered | {self.trace}))
        if engine_lives(world, process):
            world.reported |= {self.trace}


def engine_lives(world: World, process: int) -> bool:
    plugin = world.plugin(process)
    return plugin is not None and plugin.engine_lives


def change(world: World, record: Record, **what: Any) -> Record | None:
    """Write one record; None if it no longer exists."""
    now = world.record(record.trace_id)
    if now is None:
        return None
    made = the_one(replace(now, **what))
    world.records = tuple(made if other is now else other for other in world.records)
    return made
