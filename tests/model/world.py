"""Everything that exists: agents at the service, journal records, a stack's state, engine and plugin processes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from rtcai_pulumi.service.errors import RtcAiError

if TYPE_CHECKING:
    from tests.model.commands import Command

OWNER: Final = "backend:urn::host"
OTHER: Final = "backend:urn::other"
"""A resource of another stack, in the same room and the same journal."""
OTHERS_TASK: Final = "1/other"
ROOM_1: Final = "room-1"
ROOM_2: Final = "room-2"
END: Final = "2026-10-13T18:00:00Z"
"""The end of an agent; `World.over` says whether it has passed."""
LATER: Final = "2026-10-13T21:00:00Z"
"""A later end, which never passes."""
_BEFORE: Final = datetime(2026, 10, 13, 17, tzinfo=UTC)
_AFTER: Final = datetime(2026, 10, 13, 19, tzinfo=UTC)


class Inputs(NamedTuple):
    """The inputs that the program declares for the resource."""

    config: str = "A"
    cname: str = ROOM_1
    start_first: bool = False
    retained: bool = False
    ends_at: str = ""

    @property
    def kept(self) -> KeepReason:
        """`journal.record.keep_reason_of`."""
        return KeepReason.RETAINED if self.retained else KeepReason.NO

    @property
    def digest(self) -> str:
        """`config.canonical.digest`: different for inputs that it distinguishes."""
        return f"{self.config} in {self.cname}"

    def __str__(self) -> str:
        options = f"{' (start-first)' if self.start_first else ''}{' (retained)' if self.retained else ''}"
        ends = {END: " (ends)", LATER: " (ends later)"}.get(self.ends_at, "")
        return f"{self.digest}{options}{ends}"


class Resource(NamedTuple):
    """The resource in a state: its id and the inputs with which it was created."""

    task: str
    inputs: Inputs


class Stack(NamedTuple):
    """The part of a stack's state that concerns this resource."""

    current: Resource | None = None
    replaced: bool = False
    """The engine's ``pendingReplacement``: the current resource is deleted and has no successor yet."""
    pending: tuple[Resource, ...] = ()
    """Resources that were replaced and are still to be deleted."""

    @property
    def tasks(self) -> set[str]:
        return {resource.task for resource in (self.current, *self.pending) if resource}


class Agent(NamedTuple):
    """A task at the service."""

    task: str
    cname: str
    owner: str
    digest: str
    trace: str
    lives: bool = True


class Request(NamedTuple):
    """A request that has been sent."""

    kind: str
    trace: str
    cname: str
    digest: str
    task: str
    sender: int | None
    """The process that waits for the answer; None if no process waits any more."""
    answer: Any = None
    alone: bool = False
    """Whether no other agent of the resource may be in the room when the service processes the request."""


class Raised(NamedTuple):
    """An error instead of an answer."""

    error: type[Exception]


class Failed(Exception):
    """A call of the engine failed, or the command was interrupted. The command ends without a crash."""


Procedure = Callable[..., Generator[Any, Any, Any]]


class Actor:
    """A running procedure at one of its steps: a generator that can continue from here more than once.

    It is completely determined by its start and by the answers that it has received since. So there is only one `Actor`
    for each such history (see `World.actor`), and it remembers the next `Actor` for each answer.
    """

    __slots__ = ("_answers", "_next", "_procedure", "_running", "outcome", "step")

    def __init__(self, procedure: Callable[[], Generator[Any, Any, Any]], answers: tuple[Any, ...] = ()) -> None:
        self._procedure = procedure
        self._answers = answers
        self._next: dict[Any, Actor] = {}
        self._running: Generator[Any, Any, Any] | None = None
        self.step: Any = None
        self.outcome: tuple[Any] | Raised | None = None
        """The result. A returned value is in a tuple, because the value may be None."""
        if not answers:
            self._go_on(procedure(), None)

    def answered(self, answer: Any) -> Actor:
        """The same procedure, one step further."""
        found = self._next.get(answer)
        if found is None:
            running, self._running = self._running, None
            if running is None:
                running = self._once_more()
            found = self._next[answer] = Actor(self._procedure, (*self._answers, answer))
            found._go_on(running, answer)
        return found

    def _once_more(self) -> Generator[Any, Any, Any]:
        """Another generator at the same step."""
        running = self._procedure()
        next(running)
        for answer in self._answers:
            _send(running, answer)
        return running

    def _go_on(self, running: Generator[Any, Any, Any], answer: Any) -> None:
        try:
            self.step = _send(running, answer)
            self._running = running
        except StopIteration as end:
            self.outcome = (end.value,)
        except (RtcAiError, Failed) as error:
            self.outcome = Raised(type(error))


def _send(running: Generator[Any, Any, Any], answer: Any) -> Any:
    return running.throw(answer.error("")) if isinstance(answer, Raised) else running.send(answer)


class Plugin(NamedTuple):
    """A plugin process. It holds its lock as long as it is in the world."""

    process: int
    verb: Actor | None = None
    engine_lives: bool = True
    deletes: str | None = None
    """The task that its engine is asking it to delete, during this call."""
    updates: str | None = None
    """The task that must be the only one left after the update that is running."""
    continues: bool = False
    """Whether that update moves or removes an end, so its agent must still run afterwards."""
    unrecovered: frozenset[str] = frozenset()
    """`Run.unrecovered`: the records for which this process is responsible."""
    only_looks: bool = False
    """Whether its verb is one that a preview also calls, so it must not write."""


class Engine(NamedTuple):
    """An engine process: one command."""

    command: Command
    actor: Actor
    process: int
    """The process number of its plugin."""
    memory: Stack
    interrupted: bool = False
    given: frozenset[str] = frozenset()
    """Retained tasks that a create returned to the engine. When it ends, the plugin records them as stored."""


class World:
    """Everything that exists. Fields are only replaced as a whole, so a copy is cheap."""

    def __init__(self, *, replays: bool = True, rooms_required: bool = False) -> None:
        self.replays = replays
        """Whether the service drops duplicates by trace id and repeats the first answer."""
        self.rooms_required = rooms_required
        """Whether a create is refused if no one has opened its room."""
        self.rooms: tuple[tuple[str, int], ...] = ((ROOM_1, 1), (ROOM_2, 2))
        self.agents: tuple[Agent, ...] = (Agent(OTHERS_TASK, ROOM_1, OTHER, "other", "x-other"),)
        self.answers: tuple[tuple[str, str], ...] = ()
        """The first answer to each trace id."""
        self.requests: tuple[Request, ...] = ()
        self.records: tuple[Record, ...] = _records_of_the_other()
        self.reported: frozenset[str] = frozenset()
        """Trace ids that were reported to the user as lost."""
        self.late: frozenset[str] = frozenset()
        """Tasks that were answered when the engine had already exited, with no fault for their plugin since then."""
        self.sure: frozenset[str] = frozenset()
        """Retained tasks that an engine definitely had in its state: no process may close them.

        This holds even if no state has them any more.
        """
        self.stack = Stack()
        self.engine: Engine | None = None
        self.plugins: tuple[Plugin, ...] = ()
        self.processes = 0
        self.commands = 0
        self.faults = 0
        self.over = False
        """Whether `END` has passed."""
        self.ticks = 0
        """How many times the clock may still move past `END`: once or never."""
        self.sweeps = 0
        """How many times ``rtcai sweep --over`` may still begin."""
        self.sweepers: frozenset[int] = frozenset()
        """The processes of the sweeps that have begun."""
        self.actors: dict[tuple[Procedure, tuple[Any, ...]], Actor] = {}
        """All procedures that were ever started; shared by all copies."""
        self.drifted = False
        """Whether a room has ended. Only `refresh` can see this."""
        self.wrong = ""
        """What a step did although no step may ever do it."""

    def copy(self) -> World:
        made = World.__new__(World)
        made.__dict__.update(self.__dict__)
        return made

    def actor(self, procedure: Procedure, *values: Any) -> Actor:
        """Return the procedure at its first step."""
        actor = self.actors.get((procedure, values))
        if actor is None:
            actor = self.actors[procedure, values] = Actor(partial(procedure, *values))
        return actor

    @property
    def key(self) -> tuple[Any, ...]:
        """A key that is equal for equal worlds, made of values that are cheap to compare."""
        return (
            self.rooms,
            self.agents,
            self.answers,
            self.requests,
            tuple(map(id, self.records)),
            self.reported,
            self.late,
            self.sure,
            self.stack,
            self.engine,
            self.plugins,
            self.processes,
            self.commands,
            self.faults,
            self.over,
            self.ticks,
            self.sweeps,
            self.sweepers,
            self.drifted,
            self.wrong,
        )

    @property
    def now(self) -> datetime:
        """`Run.now`."""
        return _AFTER if self.over else _BEFORE

    @property
    def quiet(self) -> bool:
        """Whether no process runs and no request is in flight."""
        return self.engine is None and not self.plugins and not self.requests

    def plugin(self, process: int) -> Plugin | None:
        return next((plugin for plugin in self.plugins if plugin.process == process), None)

    def put(self, plugin: Plugin) -> None:
        self.plugins = tuple(plugin if other.process == plugin.process else other for other in self.plugins)

    def record(self, trace: str) -> Record | None:
        return next((record for record in self.records if record.trace_id == trace), None)

    def running(self, owner: str = OWNER) -> list[Agent]:
        return [agent for agent in self.agents if agent.lives and agent.owner == owner]

    @property
    def retained(self) -> set[str]:
        """Tasks that may run next to another one, because the user wants to retain them."""
        memory = self.engine.memory if self.engine else Stack()
        resources = (self.stack.current, *self.stack.pending, memory.current, *memory.pending)
        return {resource.task for resource in resources if resource and resource.inputs.retained} | self.sure

    def never_returned(self) -> list[Agent]:
        """Agents that were never returned to an engine, and that no exception excuses."""
        returned = {record.task for record in self.records if record.handed}
        return [agent for agent in self.running() if agent.task not in returned and not self.excused(agent)]

    def excused(self, agent: Agent) -> bool:
        """The one exception: no journal has its answer, the service ignores duplicates, and the user got a report."""
        noted = any(record.task == agent.task for record in self.records)
        return not self.replays and not noted and agent.trace in self.reported


def stored(world: World, process: int) -> None:
    """`Journal.record_stored`: the state of a process's engine has what was returned to it."""
    world.records = tuple(
        the_one(replace(record, stored=True))
        if record.process == process and record.handed and record.kept is KeepReason.RETAINED
        else record
        for record in world.records
    )


def a_record(trace: str, owner: str, inputs: Inputs, process: int, **more: Any) -> Record:
    """A record of the product's own class, with the fields that the model uses."""
    record = Record(
        trace_id=trace,
        owner=owner,
        app_key="key",
        endpoint="service",
        room_endpoint="service",
        cname=inputs.cname,
        request_id="",
        digest=inputs.digest,
        process=process,
        ends_at=inputs.ends_at,
        **more,
    )
    return the_one(record)


def the_one(record: Record) -> Record:
    """The one object that stands for all equal records, so comparing identities is enough."""
    return _RECORDS.setdefault(record, record)


_RECORDS: Final[dict[Record, Record]] = {}


def _records_of_the_other() -> tuple[Record, ...]:
    running = a_record("x-other", OTHER, Inputs(), 0, state=RecordState.OPEN, cid=1, task_id="other", handed=True)
    return (running, a_record("x-other-lost", OTHER, Inputs(), 0))
