"""What there is: agents at the service, records in the journal, the state of a stack, engine and plugin processes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rtcai_pulumi.journal.record import Kept, Record, State
from rtcai_pulumi.service.errors import RtcAiError

if TYPE_CHECKING:
    from tests.model.commands import Command

OWNER: Final = "backend:urn::host"
OTHER: Final = "backend:urn::other"
"""A resource of another stack, in the same room and the same journal."""
OTHERS_TASK: Final = "1/other"
ROOM_1: Final = "room-1"
ROOM_2: Final = "room-2"


class Inputs(NamedTuple):
    """What the program states of the resource."""

    config: str = "A"
    cname: str = ROOM_1
    start_first: bool = False
    retained: bool = False

    @property
    def kept(self) -> Kept:
        """`lifecycle.task.kept_of`."""
        return Kept.RETAINED if self.retained else Kept.NO

    @property
    def digest(self) -> str:
        """What `config.canonical.digest` tells apart."""
        return f"{self.config} in {self.cname}"

    def __str__(self) -> str:
        options = f"{' (start-first)' if self.start_first else ''}{' (retained)' if self.retained else ''}"
        return f"{self.digest}{options}"


class Resource(NamedTuple):
    """The resource in a state: its id and what it was made with."""

    task: str
    inputs: Inputs


class Stack(NamedTuple):
    """The state of a stack, as far as this resource goes."""

    current: Resource | None = None
    replaced: bool = False
    """The engine's ``pendingReplacement``: the current one is deleted already, its successor is not there yet."""
    pending: tuple[Resource, ...] = ()
    """Replaced, and still to be deleted."""

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
    """The process that waits for the answer; None where nobody does any more."""
    answer: Any = None
    alone: bool = False
    """Whether no other agent of the resource may be in the room when it is worked on."""


class Raised(NamedTuple):
    """An error in place of an answer."""

    error: type[Exception]


class Failed(Exception):
    """A call of the engine's failed, or the command was interrupted: it ends in order."""


Procedure = Callable[..., Generator[Any, Any, Any]]


class Actor:
    """A running procedure at one of its steps: a generator that can go on from here more than once.

    It is fully told by where it began and by the answers that it has got since; so there is only one `Actor` for each
    such history (see `World.begun`), and it remembers what each answer made of it.
    """

    __slots__ = ("_answers", "_next", "_procedure", "_running", "outcome", "step")

    def __init__(self, procedure: Callable[[], Generator[Any, Any, Any]], answers: tuple[Any, ...] = ()) -> None:
        self._procedure = procedure
        self._answers = answers
        self._next: dict[Any, Actor] = {}
        self._running: Generator[Any, Any, Any] | None = None
        self.step: Any = None
        self.outcome: tuple[Any] | Raised | None = None
        """What came of it; a value in a tuple, because that may be None."""
        if not answers:
            self._go_on(procedure(), None)

    def answered(self, answer: Any) -> Actor:
        """The same procedure, one step on."""
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
    """A plugin process. It holds its lock as long as it is here."""

    process: int
    verb: Actor | None = None
    engine_lives: bool = True
    deletes: str | None = None
    """The task that its engine has told it to delete, while it does so."""
    updates: str | None = None
    """The task that is to stay alone, while it is told so."""
    lost: frozenset[str] = frozenset()
    """`Run.lost`: what this process owes."""
    only_looks: bool = False
    """Whether its verb is one that a preview calls, too, and so must write nothing."""


class Engine(NamedTuple):
    """An engine process: one command."""

    command: Command
    actor: Actor
    process: int
    """Its plugin."""
    memory: Stack
    interrupted: bool = False
    given: frozenset[str] = frozenset()
    """Retained tasks that it was given by a create; its end tells the plugin that it has stored them."""


class World:
    """Everything; changed only by replacing whole fields, so that a copy is cheap."""

    def __init__(self, *, replays: bool = True, rooms_required: bool = False) -> None:
        self.replays = replays
        """Whether the service drops duplicates by trace id and repeats the first answer."""
        self.rooms_required = rooms_required
        """Whether a create into a room that nobody has opened is refused."""
        self.rooms: tuple[tuple[str, int], ...] = ((ROOM_1, 1), (ROOM_2, 2))
        self.agents: tuple[Agent, ...] = (Agent(OTHERS_TASK, ROOM_1, OTHER, "other", "x-other"),)
        self.answers: tuple[tuple[str, str], ...] = ()
        """The first answer to each trace id."""
        self.requests: tuple[Request, ...] = ()
        self.records: tuple[Record, ...] = _records_of_the_other()
        self.told: frozenset[str] = frozenset()
        """Trace ids that the user was told to look for."""
        self.late: frozenset[str] = frozenset()
        """Tasks that were answered when the engine was gone already, and nothing has hindered their plugin since."""
        self.sure: frozenset[str] = frozenset()
        """Retained tasks that an engine had in its state for sure: nobody may close them, though no state has them."""
        self.stack = Stack()
        self.engine: Engine | None = None
        self.plugins: tuple[Plugin, ...] = ()
        self.processes = 0
        self.commands = 0
        self.faults = 0
        self.actors: dict[tuple[Procedure, tuple[Any, ...]], Actor] = {}
        """All procedures that were ever begun; shared by all copies."""
        self.drifted = False
        """Whether a room has ended, which only `refresh` can see."""
        self.wrong = ""
        """What a step has done that no step may ever do."""

    def copy(self) -> World:
        made = World.__new__(World)
        made.__dict__.update(self.__dict__)
        return made

    def begun(self, procedure: Procedure, *values: Any) -> Actor:
        """The procedure at its first step."""
        actor = self.actors.get((procedure, values))
        if actor is None:
            actor = self.actors[procedure, values] = Actor(partial(procedure, *values))
        return actor

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal where two worlds are; made of what is cheap to compare."""
        return (
            self.rooms,
            self.agents,
            self.answers,
            self.requests,
            tuple(map(id, self.records)),
            self.told,
            self.late,
            self.sure,
            self.stack,
            self.engine,
            self.plugins,
            self.processes,
            self.commands,
            self.faults,
            self.drifted,
            self.wrong,
        )

    @property
    def quiet(self) -> bool:
        """Whether nothing runs and nothing is under way."""
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
        """Tasks that may run beside another one, because the user wants them retained."""
        memory = self.engine.memory if self.engine else Stack()
        resources = (self.stack.current, *self.stack.pending, memory.current, *memory.pending)
        return {resource.task for resource in resources if resource and resource.inputs.retained} | self.sure

    def never_handed(self) -> list[Agent]:
        """What no engine was ever handed, and nothing excuses."""
        handed = {record.task for record in self.records if record.handed}
        return [agent for agent in self.running() if agent.task not in handed and not self.excused(agent)]

    def excused(self, agent: Agent) -> bool:
        """The one exception: no journal has its answer, the service ignores duplicates, and the user was told."""
        noted = any(record.task == agent.task for record in self.records)
        return not self.replays and not noted and agent.trace in self.told


def stored(world: World, process: int) -> None:
    """`Journal.stored`: the engine of a process has in its state what it was given."""
    world.records = tuple(
        the_one(replace(record, stored=True))
        if record.process == process and record.handed and record.kept is Kept.RETAINED
        else record
        for record in world.records
    )


def a_record(trace: str, owner: str, inputs: Inputs, process: int, **more: Any) -> Record:
    """A record of the product's own kind, with the fields that the model has a use for."""
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
        **more,
    )
    return the_one(record)


def the_one(record: Record) -> Record:
    """The one object that stands for all equal records, so that comparing identities is enough."""
    return _RECORDS.setdefault(record, record)


_RECORDS: Final[dict[Record, Record]] = {}


def _records_of_the_other() -> tuple[Record, ...]:
    running = a_record("x-other", OTHER, Inputs(), 0, state=State.OPEN, cid=1, task_id="other", handed=True)
    return (running, a_record("x-other-lost", OTHER, Inputs(), 0))
