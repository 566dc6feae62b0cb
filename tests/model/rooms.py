"""A small model of `Room`: the product's own verbs on an in-memory service and journal, killed at every call.

`World` holds everything that exists, and never changes. A command runs on a `Machine` made from it. The machine calls
the real functions of ``lifecycle/room.py`` and ``room_end.py`` as an engine does: a replacement creates before it
deletes, resources that left the program are deleted last, and the state changes after each verb. Each call of the
service or of the journal is one step. At a step, the process can be killed before or after the call, the answer can be
lost, or the request can be refused. `explore` tries all sequences of commands, and in every world it checks the result
of one more command without a fault. The rules, and what breaks without each of them, are in ``test_rooms.py``.

The model leaves out: agents that only the state knows, or that end with the room; several rooms in one program; two
processes at the same time (the verbs of a room are short); a service that does not return members or creator; other
accounts; ``takeOver``; and rooms that no state ever named, because the service itself ends an empty room.

The model accepts two refusals, because `create` does not receive the state. Assume that a killed run was about to
delete, rename or adopt a room. If the program then changes again, the room may be refused because it belongs to another
resource (`World.given_up`). The room may also be refused if the program no longer declares the ``uid`` with which a
killed run opened it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

from rtcai_pulumi.config.conversation import former_owners
from rtcai_pulumi.journal.record import NOBODY, Record, RecordState, RoomRecord, StackState
from rtcai_pulumi.lifecycle import room as verbs
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.service.client import RoomInfo
from rtcai_pulumi.service.errors import AnswerLost, InvalidRequest, RoomExists, RoomInUse, RoomNotFound, RtcAiError
from rtcai_pulumi.service.retry import Retrier
from rtcai_pulumi.service.settings import Settings

T = TypeVar("T")

SETTINGS: Final = Settings("key", app_secret="secret")
STRANGER: Final = 7
"""The creator of a room that someone else has opened."""


class Program(NamedTuple):
    """The one room that the program declares."""

    name: str = "hall"
    cname: str = "main"
    uid: int | None = None
    adopt: bool = False
    force: bool = False
    alias: str = ""
    """The name that the resource had before."""

    @property
    def owner(self) -> str:
        return f"backend:urn:pulumi:dev::rooms::room::{self.name}"

    @property
    def inputs(self) -> dict[str, Any]:
        inputs = {"cname": self.cname, "uid": self.uid, "adoptExisting": self.adopt, "force": self.force}
        options = {"formerOwners": [replace_name(self.owner, self.alias)]} if self.alias else {}
        return {**inputs, "owner": self.owner, "options": options}


def replace_name(owner: str, name: str) -> str:
    """The owner of another resource of the stack."""
    return f"{owner.rpartition('::')[0]}::{name}"


class OpenRoom(NamedTuple):
    """A room at the service."""

    cname: str
    cid: int
    creator: int
    opener: str | None = None
    """The owner of the resource that opened the room; None: someone else opened it."""
    marked: bool = False
    """Whether its creator is the mark of that resource, and not a number that the program declares."""
    people: int = 0


class Resource(NamedTuple):
    """A room in the state."""

    cid: int
    program: Program

    @property
    def outputs(self) -> dict[str, Any]:
        added = {"cid": str(self.cid), "appKey": SETTINGS.app_key, "roomEndpoint": SETTINGS.room_endpoint}
        return {**self.program.inputs, **added}


class World(NamedTuple):
    """Everything that outlives a command."""

    agents_count: bool = True
    """Whether the service counts an agent as a member. This is not documented."""
    rooms: tuple[OpenRoom, ...] = ()
    agents: tuple[int, ...] = ()
    """The numbers of the rooms in which one of our agents runs."""
    journal: tuple[RoomRecord, ...] = ()
    records: tuple[Record, ...] = ()
    state: tuple[Resource, ...] = ()
    pending: tuple[Resource, ...] = ()
    """Resources that were replaced and are still to be deleted."""
    replaced: bool = False
    """The engine's ``pendingReplacement`` of the first resource in the state."""
    last: int = 0
    """The last number that was given to a room."""
    named: frozenset[int] = frozenset()
    """Rooms that the state has named, and that were empty when it dropped them."""
    given_up: frozenset[int] = frozenset()
    """Rooms for which a delete, a rename or an adoption had begun: the state of a killed run may name the old owner."""
    gone: frozenset[int] = frozenset()
    """Rooms that have ended without a command of ours. An engine learns this only by a refresh."""

    def room(self, cid: int) -> OpenRoom | None:
        return next((room for room in self.rooms if room.cid == cid), None)

    def occupied(self, cid: int) -> bool:
        room = self.room(cid)
        return room is not None and (room.people > 0 or cid in self.agents)

    def seems_occupied(self, cid: int) -> bool:
        """Whether the journal knows an agent in the room; a killed run may already have stopped this agent."""
        return self.occupied(cid) or any(record.cid == cid and record.is_unfinished for record in self.records)


class Fault(NamedTuple):
    """What goes wrong at one call of a command."""

    call: int
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} call {self.call}"


class Killed(BaseException):
    """The plugin and its engine are killed. This is not an `Exception`, so no code catches it."""


class Broken(Exception):
    """A promise is broken. The message says which one, and how."""


FAULTS: Final = ("killed before", "killed after", "answer lost at", "refused at")


class Machine:
    """One command: an engine, a plugin process, and the service and journal that they call."""

    settings = SETTINGS
    process = 1

    def __init__(self, world: World, fault: Fault | None = None) -> None:
        self.world = world
        self.calls = 0
        self._state = StackState(rooms=[(each.cid, each.program.owner) for each in world.state])
        self.changes: list[str] = []
        """The requests that change something at the service, and the verbs that an engine shows as a change."""
        self._fault = fault
        self._program = Program()
        self._only_looks = False
        """Whether the running verb is one that a preview also calls."""
        self._now = 0.0
        retrier = Retrier(clock=lambda: self._now, sleep=self._sleep, dice=lambda: 1.0)
        self.run = Run(
            lambda: self,  # type: ignore[arg-type,return-value]
            lambda: self,  # type: ignore[arg-type,return-value]
            retrier=retrier,
            sleep=self._sleep,
            clock=lambda: self._now,
            state=lambda _: self._state,
        )

    # the engine

    def up(self, program: Program | None, *, forced: bool = False, delete_first: bool = False) -> None:
        old = self._old(program) if program else None
        if program and old is None:
            self._created(program, None)
        elif program and old:
            self._changed(program, old, forced=forced, delete_first=delete_first)
        self._deleted_last(program)

    def destroy(self) -> None:
        self._deleted_last(None)

    def refresh(self) -> None:
        for resource in self.world.state if not self.world.replaced else ():
            if self._looked(lambda resource=resource: verbs.read_room(resource.outputs, self.run)).gone:  # type: ignore[misc]
                self._save(state=_drop(self.world.state, resource))

    def _looked(self, verb: Callable[[], T]) -> T:
        """The result of a verb that must not write."""
        self._only_looks = True
        said = verb()
        self._only_looks = False
        return said

    def _old(self, program: Program) -> Resource | None:
        by_name = {resource.program.name: resource for resource in self.world.state}
        return by_name.get(program.name) or by_name.get(program.alias)

    def _changed(self, program: Program, old: Resource, *, forced: bool, delete_first: bool) -> None:
        changes, replaces = False, forced or self.world.replaced
        if not replaces:
            changes, named = self._looked(lambda: verbs.diff_room(str(old.cid), old.outputs, program.inputs, self.run))
            replaces = bool(named)
        if replaces:
            if delete_first and not self.world.replaced:
                self._delete(old)
                self._save(replaced=True)
            self._created(program, old)
        elif changes:
            self.changes.append("update")
            self._program = program
            if program.name != old.program.name:
                self.world = self.world._replace(given_up=self.world.given_up | {old.cid})
            verbs.update_room(str(old.cid), old.outputs, program.inputs, self.run)
            self.world = self.world._replace(given_up=self.world.given_up - {old.cid})
        if not replaces:
            self._save(state=tuple(Resource(old.cid, program) if each is old else each for each in self.world.state))

    def _created(self, program: Program, old: Resource | None) -> None:
        self._program = program
        owners = {program.owner, *former_owners(program.inputs)}
        known = {room.cid for room in self.world.journal if room.owner in owners}
        given_up = self.world.given_up | {room.cid for room in self.world.journal if room.owner == NOBODY}
        if not self.world.replaced:
            known |= {resource.cid for resource in self.world.state if resource is old} - given_up
        before = self.world
        found = {
            room.cid for room in self.world.rooms if room.cname == program.cname and (not old or old.cid != room.cid)
        }
        self.world = self.world._replace(given_up=self.world.given_up | found)
        try:
            cid = int(verbs.create_room(program.inputs, self.run)[0])
        except (RoomExists, RoomInUse) as error:
            self._justify(error, program, known)
            raise
        taken = before.room(cid)
        holder = next((room.owner for room in before.journal if room.cid == cid), NOBODY)
        of_another = holder not in {NOBODY, *owners}
        if taken and (taken.opener is None or of_another) and not program.adopt and cid not in known:
            message = f"room {cid} is taken, which belongs to another owner"
            raise Broken(message)
        self.world = self.world._replace(given_up=self.world.given_up - {cid})
        rest = _drop(self.world.state, old)
        pending = self.world.pending if old is None or self.world.replaced else (*self.world.pending, old)
        self._save(state=(Resource(cid, program), *rest), pending=pending, replaced=False)
        if old:
            self._leave(old)

    def _justify(self, error: RtcAiError, program: Program, known: set[int]) -> None:
        """A create may be refused only if the room belongs to someone else, or is occupied and would have to end."""
        (room,) = (room for room in self.world.rooms if room.cname == program.cname)
        if isinstance(error, RoomInUse):
            justified = self.world.seems_occupied(room.cid) and not program.force
        else:
            recognizable = room.marked or room.creator == program.uid
            holder = next((each.owner for each in self.world.journal if each.cid == room.cid), NOBODY)
            unclaimed = holder in {NOBODY, program.owner, *former_owners(program.inputs)}
            own = room.cid in known or (room.opener is not None and unclaimed and recognizable)
            justified = not own and not program.adopt
        if not justified:
            message = f"refused without a reason: {error}"
            raise Broken(message)

    def _deleted_last(self, program: Program | None) -> None:
        for resource in self.world.pending:
            self._delete(resource)
            self._save(pending=_drop(self.world.pending, resource))
            self._leave(resource)
        for resource in self.world.state:
            if program is None or resource.program.name != program.name:
                if not self.world.replaced:
                    self._delete(resource)
                self._save(state=_drop(self.world.state, resource), replaced=False)
                self._leave(resource)

    def _delete(self, resource: Resource) -> None:
        self._program = resource.program
        self.world = self.world._replace(given_up=self.world.given_up | {resource.cid})
        verbs.delete_room(resource.outputs, self.run)

    def _leave(self, resource: Resource) -> None:
        """The state no longer names a room. The room may stay open if it seems to be occupied."""
        still_named = resource.cid in {each.cid for each in (*self.world.state, *self.world.pending)}
        if self.world.seems_occupied(resource.cid) and not still_named:
            self.world = self.world._replace(named=self.world.named - {resource.cid})

    def _save(self, **what: Any) -> None:
        self.world = self.world._replace(**what)
        self.world = self.world._replace(named=self.world.named | {each.cid for each in self.world.state})

    # the service

    def query_room(self, cname: str) -> RoomInfo:
        return self._call(lambda: self._query(cname), sent=True)

    def open_room(self, cname: str, uid: int) -> int:
        return self._writes(lambda: self._open(cname, uid), sent=True)

    def end_room(self, cid: int, *, cname: str) -> None:
        self._writes(lambda: self._end(cid), sent=True)

    def close_task(self, cid: int, task_id: str, *, cname: str, trace_id: str) -> None:
        self._call(lambda: self._close(cid), sent=True)

    def _query(self, cname: str) -> RoomInfo:
        room = next((room for room in self.world.rooms if room.cname == cname), None)
        if room is None:
            raise RoomNotFound("The room does not exist.")
        members = room.people + (self.world.agents.count(room.cid) if self.world.agents_count else 0)
        return RoomInfo(room.cid, ended=False, members=members, creator=room.creator)

    def _open(self, cname: str, uid: int) -> int:
        self.changes.append("open")
        found = next((room for room in self.world.rooms if room.cname == cname), None)
        if found is not None:
            return found.cid  # the same result as if an answer was lost
        self.world = opened(self.world, OpenRoom(cname, 0, uid, self._program.owner, self._program.uid is None))
        return self.world.last

    def _end(self, cid: int) -> None:
        self.changes.append("end")
        self._require_empty(cid)
        if self.world.room(cid) is None:
            raise RoomNotFound("The room does not exist.")
        self.world = ended(self.world, cid)

    def _close(self, cid: int) -> None:
        self.changes.append("close")
        self._require_empty(cid)
        self.world = self.world._replace(agents=tuple(other for other in self.world.agents if other != cid))

    def _require_empty(self, cid: int) -> None:
        if self.world.occupied(cid) and not self._program.force:
            message = f"a member is disconnected from room {cid}"
            raise Broken(message)

    # the journal

    def room(self, cid: int, *, app_key: str, room_endpoint: str) -> RoomRecord | None:
        return self._call(lambda: next((room for room in self.world.journal if room.cid == cid), None))

    def records_in_room(self, cid: int, *, app_key: str) -> list[Record]:
        return self._call(
            lambda: [record for record in self.world.records if record.cid == cid and record.is_unfinished]
        )

    def records(self, owner: str) -> list[Record]:
        return self._call(lambda: [record for record in self.world.records if record.owner == owner])

    def record_room(self, room: RoomRecord) -> None:
        self._writes(lambda: self._journal((*(other for other in self.world.journal if other.cid != room.cid), room)))

    def drop_room(self, cid: int, *, app_key: str, room_endpoint: str) -> None:
        self._writes(lambda: self._journal(tuple(room for room in self.world.journal if room.cid != cid)))

    def begin_close(self, record: Record) -> bool:
        return self._call(lambda: self._write(record, RecordState.CLOSING))

    def cancel_close(self, record: Record) -> None:
        self._call(lambda: self._write(record, RecordState.OPEN))

    def record_close(self, task: str) -> None:
        for record in self.world.records:
            if record.task == task:
                self._call(lambda record=record: self._write(record, RecordState.CLOSED))  # type: ignore[misc]

    def _journal(self, rooms: tuple[RoomRecord, ...]) -> None:
        self.world = self.world._replace(journal=rooms)

    def _write(self, record: Record, state: RecordState) -> bool:
        made = replace(record, state=state)
        records = tuple(made if other.trace_id == record.trace_id else other for other in self.world.records)
        self.world = self.world._replace(records=records)
        return record.state is RecordState.OPEN

    def _writes(self, work: Callable[[], T], *, sent: bool = False) -> T:
        if self._only_looks:
            message = "a verb that previews call writes"
            raise Broken(message)
        return self._call(work, sent=sent)

    def _call(self, work: Callable[[], T], *, sent: bool = False) -> T:
        self.calls += 1
        kind = self._fault.kind if self._fault and self._fault.call == self.calls else ""
        if kind == "killed before":
            raise Killed
        if kind == "refused at" and sent:
            raise InvalidRequest("The service refuses it.")
        done = work()
        if kind == "killed after":
            raise Killed
        if kind == "answer lost at" and sent:
            raise AnswerLost("The connection broke.")
        return done

    def _sleep(self, seconds: float) -> None:
        self._now += seconds


def opened(world: World, room: OpenRoom) -> World:
    """The world with one more room, under the next number."""
    room = room._replace(cid=world.last + 1)
    return world._replace(rooms=(*world.rooms, room), last=room.cid)


def ended(world: World, cid: int) -> World:
    rooms = tuple(room for room in world.rooms if room.cid != cid)
    return world._replace(rooms=rooms, agents=tuple(agent for agent in world.agents if agent != cid))


def _drop(resources: tuple[Resource, ...], resource: Resource | None) -> tuple[Resource, ...]:
    return tuple(other for other in resources if other is not resource)


# what users and other people do

HALL: Final = Program()
FORCED: Final = Program(force=True)
ANOTHER_NAME: Final = Program(cname="other")
ANOTHER_CREATOR: Final = Program(uid=41)
ADOPTING: Final = Program(adopt=True)
RENAMED: Final = Program(name="foyer")
RENAMED_WITH_ALIAS: Final = Program(name="foyer", alias="hall")
RENAMED_AND_ADOPTING: Final = Program(name="foyer", adopt=True)

Command = Callable[[Machine], None]
COMMANDS: Final[dict[str, Command]] = {
    "up": lambda machine: machine.up(HALL),
    "up with force": lambda machine: machine.up(FORCED),
    "up with another name of the room": lambda machine: machine.up(ANOTHER_NAME),
    "up with another creator": lambda machine: machine.up(ANOTHER_CREATOR),
    "up with adopt_existing": lambda machine: machine.up(ADOPTING),
    "up under another name": lambda machine: machine.up(RENAMED),
    "up under another name with an alias": lambda machine: machine.up(RENAMED_WITH_ALIAS),
    "up under another name with adopt_existing": lambda machine: machine.up(RENAMED_AND_ADOPTING),
    "up without the room": lambda machine: machine.up(None),
    "up --replace": lambda machine: machine.up(HALL, forced=True),
    "up --replace with force": lambda machine: machine.up(FORCED, forced=True),
    "up --replace with delete_before_replace": lambda machine: machine.up(HALL, forced=True, delete_first=True),
    "up --replace under another name": lambda machine: machine.up(RENAMED, forced=True),
    "refresh": Machine.refresh,
    "destroy": Machine.destroy,
}
LAST: Final = (HALL, FORCED, RENAMED_WITH_ALIAS)
"""The program of the last `up` that succeeded, in each history."""


def others(world: World) -> Iterator[tuple[str, World]]:
    """What other people do between two commands."""
    for room in world.rooms:
        if not room.people:
            rooms = tuple(each._replace(people=1) if each is room else each for each in world.rooms)
            yield f"someone joins room {room.cid}", world._replace(rooms=rooms)
        if room.cid not in world.agents:
            yield f"an agent starts in room {room.cid}", _with_an_agent(world, room)
        yield f"room {room.cid} ends", ended(world._replace(gone=world.gone | {room.cid}), room.cid)
    if not any(room.cname == HALL.cname for room in world.rooms):
        yield "someone else opens the room", opened(world, OpenRoom(HALL.cname, 0, STRANGER, people=1))


def _with_an_agent(world: World, room: OpenRoom) -> World:
    record = Record(
        trace_id=f"agent-{len(world.records)}",
        owner="backend:urn:pulumi:dev::rooms::agent::host",
        app_key=SETTINGS.app_key,
        endpoint=SETTINGS.endpoint,
        room_endpoint=SETTINGS.room_endpoint,
        cname=room.cname,
        request_id="",
        digest="",
        process=1,
        state=RecordState.OPEN,
        cid=room.cid,
        task_id=f"agent-{len(world.records)}",
        handed=True,
    )
    return world._replace(agents=(*world.agents, room.cid), records=(*world.records, record))


# what must hold


def hold(world: World) -> None:
    """Check the result of one more command without a fault.

    Raises:
        Broken: a promise does not hold.
    """
    for program in LAST:
        machine = Machine(world)
        with suppress(RoomExists, RoomInUse):  # `Machine` has checked that the refusal is justified
            machine.up(program)
            _agree(machine.world, program)
            _no_surprise(machine.world, program)
            _nothing_is_left(machine.world, program)


def _agree(world: World, program: Program) -> None:
    """Rooms in the state are open. Other rooms that it ever named are closed, unless someone was in them."""
    if world.pending or world.replaced or len(world.state) != 1:
        message = "after a good up the state holds no room, or more than one"
        raise Broken(message)
    (resource,) = world.state
    room = world.room(resource.cid)
    # Without a refresh, an engine does not see that a room has ended without a command of ours.
    if room is None and resource.cid not in world.gone:
        message = f"the state names room {resource.cid}, which is not open"
        raise Broken(message)
    for room in world.rooms:
        if room.cid in world.named and room.cid != resource.cid:
            message = f"room {room.cid} is open, and the state names room {resource.cid}"
            raise Broken(message)


def _no_surprise(world: World, program: Program) -> None:
    again = Machine(world)
    again.up(program)
    if again.changes:
        message = f"a second up changes something: {again.changes}"
        raise Broken(message)


def _nothing_is_left(world: World, program: Program) -> None:
    """`destroy` ends the room if it is empty."""
    machine = Machine(world)
    machine.destroy()
    for room in machine.world.rooms:
        if room.cid in machine.world.named and not machine.world.seems_occupied(room.cid):
            message = f"room {room.cid} is open after destroy"
            raise Broken(message)


class Explored(NamedTuple):
    """How much was tried, and the first broken promise with the shortest history that leads to it."""

    worlds: int
    runs: int
    broken: str = ""


def explore(*, agents_count: bool, commands: int = 3, faults: int = 1) -> Explored:
    """All histories with this number of commands, of moves of other people, and of faults."""
    start = World(agents_count)
    seen: dict[tuple[World, int], int] = {(start, faults): 0}
    waiting: list[tuple[World, int, tuple[str, ...]]] = [(start, faults, ())]
    checked: set[World] = set()
    runs = 0
    for world, left, path in waiting:  # grows during the loop: breadth first
        try:
            if world not in checked:
                checked.add(world)
                hold(world)
        except Broken as broken:
            return Explored(len(seen), runs, "\n".join((*path, str(broken))))
        if len(path) >= commands:
            continue
        found = [(name, made, left) for name, made in others(world)]
        for name, command in COMMANDS.items():
            try:
                ran = [(name, *_run(world, command, None), left)]
                if left:
                    kinds = [Fault(call, kind) for call in range(1, ran[0][2] + 1) for kind in FAULTS]
                    ran += [(f"{name}, {fault}", *_run(world, command, fault), left - 1) for fault in kinds]
            except Broken as broken:
                return Explored(len(seen), runs, "\n".join((*path, name, str(broken))))
            runs += len(ran)
            found += [(words, made, rest) for words, made, _, rest in ran]
        for words, made, rest in found:
            if (made, rest) not in seen:
                seen[made, rest] = len(path) + 1
                waiting.append((made, rest, (*path, words)))
    return Explored(len(seen), runs)


def _run(world: World, command: Command, fault: Fault | None) -> tuple[World, int]:
    machine = Machine(world, fault)
    with suppress(Killed, RtcAiError):
        command(machine)
    return machine.world, machine.calls
