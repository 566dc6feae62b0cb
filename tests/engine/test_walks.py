"""Random walks through options and commands: two conversations and a room, with the real CLI.

Each step may edit the program, and runs a command. After each step that succeeded, state and service agree, there is
one agent for each conversation, and a preview that shows no change has written nothing. A walk that once found a
mistake stays here as a separate test.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from rtcai_pulumi.emulator import Emulator
from tests.engine import test_rooms
from tests.engine.crash import interrupted
from tests.engine.service import live
from tests.engine.stack import TYPE, Run, Stack
from tests.engine.test_crashes import UP, end, recover
from tests.engine.test_previews import written
from tests.postgres.server import Server

pytestmark = [
    pytest.mark.full("options and commands in any order; each option and each command is tried every day by itself"),
    pytest.mark.shows("promise 1", "promise 2", "promise 6", "promise 8", "safety any-order"),
]

# The program reads its declarations from a file, so an edit is a change of data.
PROGRAM = """
import json
from pathlib import Path
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation, Room, Tts

plan = json.loads(Path("plan.json").read_text())


def options(agent, **more):
    return pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name) for name in agent["aliases"]], **more)


hall = plan["hall"] and Room(
    plan["hall"]["name"], cname="hall", force=plan["hall"]["force"], opts=options(plan["hall"])
)
for agent in plan["agents"]:
    more = {"retain_on_delete": True} if agent["retained"] else {}
    if hall and agent["with_hall"]:
        more["deleted_with"] = hall
    RealtimeConversation(
        agent["name"],
        cname=hall.cname if hall and agent["cname"] == "hall" else agent["cname"],
        agent=Agent(agent_id="a" if agent["first"] else "b", user_id="u"),
        replace_strategy="start-first" if agent["start_first"] else None,
        opts=options(agent, **more),
    )
"""
NAMES: Final = ("host", "guest", "moderator")
CNAMES: Final = ("hall", "studio", "lobby")
ROOM_NAMES: Final = ("hall", "aula")
# Allowed refusals in a step without a fault: the program asks for something impossible, and nothing was changed.
REFUSALS: Final = r"RoomExists|RoomInUse"


@dataclass
class Declared:
    """A conversation of the program."""

    name: str
    cname: str
    first: bool = True
    start_first: bool = False
    retained: bool = False
    with_hall: bool = False
    aliases: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [self.name, *self.aliases]


@dataclass
class Hall:
    """The room of the program."""

    name: str = "hall"
    force: bool = False
    aliases: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """What the program declares."""

    agents: list[Declared]
    hall: Hall | None

    def edited(self, edits: list[tuple[str, int]]) -> "Plan":
        """Another program: a copy with these edits."""
        made = Plan([Declared(**asdict(agent)) for agent in self.agents], self.hall and Hall(**asdict(self.hall)))
        for agent in made.agents:
            agent.aliases = []  # a successful run has seen them
        if made.hall:
            made.hall.aliases = []
        for kind, index in edits:
            getattr(made, kind)(index)
        return made

    def change(self, index: int) -> None:
        if agent := self.agent(index):
            agent.first = not agent.first

    def move(self, index: int) -> None:
        if agent := self.agent(index):
            agent.cname = CNAMES[(CNAMES.index(agent.cname) + 1) % len(CNAMES)]

    def order(self, index: int) -> None:
        if agent := self.agent(index):
            agent.start_first = not agent.start_first

    def retain(self, index: int) -> None:
        if agent := self.agent(index):
            agent.retained = not agent.retained

    def with_hall(self, index: int) -> None:
        if agent := self.agent(index):
            agent.with_hall = not agent.with_hall

    def remove(self, index: int) -> None:
        if agent := self.agent(index):
            self.agents.remove(agent)

    def add(self, index: int) -> None:
        if free := self.free():
            self.agents.append(Declared(free[0], CNAMES[index % len(CNAMES)]))

    def rename(self, index: int) -> None:
        free, agent = self.free(), self.agent(index)
        if free and agent and not agent.aliases:
            agent.aliases, agent.name = [agent.name], free[-1]

    def hall_or_none(self, index: int) -> None:
        self.hall = None if self.hall else Hall(ROOM_NAMES[index % 2])

    def rename_hall(self, index: int) -> None:
        if self.hall and not self.hall.aliases:
            self.hall = Hall(next(name for name in ROOM_NAMES if name != self.hall.name), aliases=[self.hall.name])

    def force_hall(self, index: int) -> None:
        if self.hall:
            self.hall.force = not self.hall.force

    def agent(self, index: int) -> Declared | None:
        return self.agents[index % len(self.agents)] if self.agents else None

    @property
    def names(self) -> set[str]:
        return {agent.name for agent in self.agents} | ({self.hall.name} if self.hall else set())

    def free(self) -> list[str]:
        """Names that no agent has, and that no agent had before its last change of name."""
        taken = {name for agent in self.agents for name in agent.names}
        return [name for name in NAMES if name not in taken]


@dataclass(frozen=True)
class Known:
    """The resources in the state."""

    agents: dict[str, str]
    """By the resources' names: ``{cid}/{taskId}``."""
    retained: set[str]
    """Tasks that the engine will not delete."""
    rooms: dict[str, str]
    """By the rooms' names: the number."""


INDEX: Final = st.integers(0, 2)
KINDS: Final = (
    *("change", "move", "order", "retain", "with_hall", "remove", "add", "rename"),
    *("hall_or_none", "rename_hall", "force_hall"),
)
EDITS: Final = st.lists(st.tuples(st.sampled_from(KINDS), INDEX), max_size=2)
MOMENTS: Final = [
    "before the intent",
    "after the intent",
    "the create has been done",
    "the engine is about to get the result",
]
VICTIMS: Final = ["engine", "plugin", "both", "SIGINT"]


class Walk(RuleBasedStateMachine):
    """A stack, its program, and the agents that were left running on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="rtcai-walk-"))
        self.ends.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.emulator = self.ends.enter_context(Emulator(dedup="replay"))
        self.stack = Stack(self.folder, self.emulator)
        self.stack.program(PROGRAM)
        (self.folder / "journal").mkdir()
        self.stack.environment["RTCAI_JOURNAL"] = self.journal()
        self.plan = Plan([Declared("host", "hall"), Declared("guest", "studio")], Hall())
        self.left: set[str] = set()
        """Retained agents that are in no state any more."""
        self.opened: set[str] = set()
        """The numbers of all rooms that a state has ever named. Creates in other rooms open those."""
        self.sound = False
        """Whether every step succeeded so far."""

    def journal(self) -> str:
        """Where the journal is."""
        return str(self.folder / "journal" / "journal.db")

    def teardown(self) -> None:
        """A destroy leaves the retained agents, and nothing else."""
        with self.ends:
            if self.sound:
                self.destroy()

    # The steps

    @initialize()
    def first_up(self) -> None:
        self.up([], "")

    @rule(edits=EDITS, flags=st.sampled_from(["", "", "", "--refresh"]))
    def up(self, edits: list[tuple[str, int]], flags: str) -> None:
        """Edit the program and run `up`."""
        self.run(self.plan.edited(edits), lambda: self.stack.up(*flags.split()))

    @rule(index=INDEX, edits=EDITS, taints=st.booleans())
    def replace(self, index: int, edits: list[tuple[str, int]], taints: bool) -> None:
        """Have an agent, or the room, replaced."""
        urn = self.urn(index)
        plan = self.plan.edited(edits)
        if urn is None:
            return
        if taints:
            self.stack.pulumi("state", "taint", urn, "--yes").succeeded()
            self.run(plan, self.stack.up)
        elif urn.rpartition("::")[2] in plan.names:
            self.run(plan, lambda: self.stack.up("--replace", urn))

    @rule(edits=EDITS)
    def preview_of_a_branch(self, edits: list[tuple[str, int]]) -> None:
        """The preview of another program changes nothing, no matter what the program would change."""
        before = self.everything()
        plan, self.plan = self.plan, self.plan.edited(edits)
        self.declare()
        self.stack.preview()
        self.plan = plan
        self.declare()
        assert self.everything() == before

    @rule(index=INDEX, moment=st.sampled_from(MOMENTS), victim=st.sampled_from(VICTIMS))
    def killed(self, index: int, moment: str, victim: str) -> None:
        """End a replacement at a moment. One more `up` recovers."""
        if (urn := self.urn_of_an_agent(index)) is None:
            return
        before = self.known()
        self.plan = self.plan.edited([])
        self.declare()
        with interrupted(self.stack, self.emulator, [*UP, "--replace", urn], moment) as ended:
            end(ended, victim)
        with suppress(ValueError):  # `recover` restores a half-written state
            before.retained.update(self.known().retained)
        recover(self.stack)
        self.check(before)

    @rule(index=INDEX, works=st.booleans())
    def lost(self, index: int, works: bool) -> None:
        """The answer to a create is lost. One more `up` recovers."""
        if (urn := self.urn_of_an_agent(index)) is None:
            return
        before = self.known()
        self.plan = self.plan.edited([])
        self.declare()
        self.emulator.fault("create", "reset", work=works)
        self.stack.up("--replace", urn)  # fails if it is not certain that the request arrived
        self.emulator.clear_faults()
        before.retained.update(self.known().retained)
        self.stack.up().succeeded()
        self.check(before)

    @rule(index=INDEX)
    def removed_from_the_state(self, index: int) -> None:
        """A resource is removed by hand. The next `up` starts another agent and stops the one that is in no state."""
        urn = self.urn_of_an_agent(index)
        if urn is None or self.known().agents[urn.rpartition("::")[2]] in self.known().retained:
            return
        self.stack.pulumi("state", "delete", urn, "--yes").succeeded()
        before = self.known()
        self.stack.up().succeeded()
        self.check(before)

    @rule(cname=st.sampled_from(CNAMES))
    def room_ends(self, cname: str) -> None:
        """Drift, and what an `up --refresh` does about it."""
        cids = {str(room["cid"]) for room in self.emulator.rooms() if room["cname"] == cname}
        if cids:
            self.emulator.end_room(cname)
            self.left = {task for task in self.left if task.partition("/")[0] not in cids}
            self.run(self.plan.edited([]), lambda: self.stack.up("--refresh"))

    @rule()
    def refresh(self) -> None:
        """A refresh of a healthy stack shows no change."""
        before = self.known()
        self.stack.refresh("--expect-no-changes").succeeded()
        assert self.known() == before

    @rule()
    def destroy(self) -> None:
        """Only the retained agents still run."""
        before = self.known()
        self.stack.destroy().succeeded()
        assert self.known() == Known({}, set(), {})
        self.check_service(before)

    # What must hold

    def run(self, plan: Plan, command: Callable[[], Run]) -> None:
        """Run a command with another program. A refusal has changed nothing."""
        before, tasks, rooms = self.known(), live(self.emulator), self.emulator.rooms()
        former, self.plan, self.sound = self.plan, plan, False
        self.declare()
        run = command()
        if run.code == 0:
            self.check(before)
            return
        run.failed()
        assert re.search(REFUSALS, run.output), run.output
        assert {**self.known().agents, **self.known().rooms} == {**before.agents, **before.rooms}
        assert (live(self.emulator), self.emulator.rooms()) == (tasks, rooms)
        self.plan, self.sound = former, True
        self.declare()

    def check(self, before: Known) -> None:
        """State and service agree, and a preview has nothing to do and writes nothing."""
        assert set(self.known().agents) == {agent.name for agent in self.plan.agents}
        assert set(self.known().rooms) == ({self.plan.hall.name} if self.plan.hall else set())
        self.check_service(before)
        files = self.everything()
        self.stack.preview("--expect-no-changes").succeeded()
        assert self.everything() == files
        self.sound = True

    def check_service(self, before: Known) -> None:
        known = self.known()
        running = {f"{task['cid']}/{task['taskId']}" for task in live(self.emulator)}
        assert set(known.agents.values()) <= running, "the state names an agent that does not run"
        assert self.left <= running, "a retained agent was stopped"
        others = running - set(known.agents.values()) - self.left
        kept = {before.agents.get(name) for each in self.plan.agents if each.retained for name in each.names}
        assert others <= before.retained | kept, "an agent runs that the state does not name"
        self.left |= others
        opened, kept_open = {str(room["cid"]) for room in self.emulator.rooms()}, set(known.rooms.values())
        assert kept_open <= opened, "the state names a room that is not open"
        self.opened |= kept_open
        inhabited = {task.partition("/")[0] for task in running}
        assert opened & self.opened <= kept_open | inhabited, (
            "an empty room of ours is open that the state does not name"
        )

    def known(self) -> Known:
        deployment = json.loads(self.stack.state_text())["checkpoint"]["latest"] or {}
        agents, rooms = dict[str, str](), dict[str, str]()
        retained = set[str]()
        for resource in deployment.get("resources", []):
            name = resource["urn"].rpartition("::")[2]
            if resource["type"] == TYPE:
                agents[name] = resource["id"]
                retained |= {resource["id"]} if resource.get("retainOnDelete") else set()
            elif resource["type"] == test_rooms.TYPE:
                rooms[name] = resource["id"]
        return Known(agents, retained, rooms)

    def everything(self) -> dict[str, Any]:
        """All files of the journal and the backend, except the backend's locks."""
        files = {**written(self.folder / "journal"), **written(self.folder / "backend")}
        return {name: content for name, content in files.items() if "locks" not in name}

    # The program

    def declare(self) -> None:
        (self.folder / "program" / "plan.json").write_text(json.dumps(asdict(self.plan)), encoding="utf-8")

    def urn(self, index: int) -> str | None:
        """The URN of a conversation in the state, or of its room."""
        known = self.known()
        found = [*((name, TYPE) for name in known.agents), *((name, test_rooms.TYPE) for name in known.rooms)]
        name, type_ = found[index % len(found)] if found else ("", "")
        return f"urn:pulumi:test::rooms::{type_}::{name}" if found else None

    def urn_of_an_agent(self, index: int) -> str | None:
        names = list(self.known().agents)
        return f"urn:pulumi:test::rooms::{TYPE}::{names[index % len(names)]}" if names else None


TestWalks = Walk.TestCase
TestWalks.settings = settings(
    max_examples=3,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a shorter walk is found faster by hand
    suppress_health_check=list(HealthCheck),
)


class WalkOnADatabase(Walk):
    """The same, with the journal in a database."""

    server: Server

    def journal(self) -> str:
        return self.server.url()

    def everything(self) -> dict[str, Any]:
        """The content of the journal's tables, and the files of the backend, except its locks."""
        schema = self.stack.environment["RTCAI_JOURNAL"].partition("schema=")[2]
        tables = ("records", "rooms", "processes", "version")
        with self.server.connect() as connection:
            content = {table: connection.execute(f"SELECT * FROM {schema}.{table}").fetchall() for table in tables}
        return {**super().everything(), **content}


@pytest.fixture(scope="module", autouse=True)
def server_of_walks(database_server: Server) -> None:
    WalkOnADatabase.server = database_server


TestWalksOnADatabase = WalkOnADatabase.TestCase
TestWalksOnADatabase.settings = settings(TestWalks.settings, max_examples=2)


@pytest.mark.exhaustive
class TestManyWalks(Walk.TestCase):  # type: ignore[misc, valid-type]  # hypothesis makes the class
    """The same test with more and longer walks, different ones each time."""

    settings = settings(TestWalks.settings, max_examples=100, stateful_step_count=25, derandomize=False)
