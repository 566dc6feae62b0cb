"""After any process is killed at any moment, one more `up` leaves one agent for each room, and `destroy` none."""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from allpairspy import AllPairs  # type: ignore[import-untyped]  # it ships no types

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import journal_location
from rtcai_pulumi.journal.record import RecordState
from tests.engine.crash import Interrupted, interrupted
from tests.engine.service import live, overlaps, rooms
from tests.engine.stack import Stack
from tests.engine.test_up import one_room

pytestmark = [
    pytest.mark.full("more moments, victims and histories; one life of a stack is ended in each way every day"),
    pytest.mark.shows("promise 1", "promise 8", "safety duplicate-repeated"),
]

PARALLEL = ["--parallel", "32"]
UP = ["up", "--yes", "--skip-preview"]
DESTROY = ["destroy", "--yes", "--skip-preview"]
OF_A_CREATE = [
    "before the intent",
    "after the intent",
    "the create has been sent",
    "the create has been done",
    "the answer has arrived",
    "the journal has it",
    "the engine is about to get the result",
]
OF_A_CLOSE = ["closing is noted", "the close has been sent", "the close has been done", "closed is noted"]
MOMENTS = [
    *[("create", moment) for moment in OF_A_CREATE],
    *[("replace", moment) for moment in [*OF_A_CLOSE, *OF_A_CREATE]],
    *[("destroy", moment) for moment in OF_A_CLOSE],
]
VICTIMS = ["engine", "plugin", "SIGINT", "two SIGINTs"]
PROGRAMS = ["same program", "changed program"]
CIRCUMSTANCES: list[list[Any]] = [
    [1, 20],  # rooms
    ["with checkpoints", "without checkpoints"],
    ["alone", "beside another stack"],
]


class Crash(NamedTuple):
    """A command that is ended at a moment, and the program of the next `up`."""

    command: str
    moment: str
    victim: str
    program: str

    def __str__(self) -> str:
        return f"{self.command} at {self.moment!r} ended by {self.victim}, then {self.program}"


AT_ONCE = [("create", "the create has been done"), ("replace", "closed is noted"), ("destroy", "closing is noted")]


def lives() -> list[Any]:
    """The life of a stack: its circumstances, and the crashes that end its commands one after the other.

    The journal is in a file or in a database, in turns. In the lives of `make test`, one for each of them, engine and
    plugin are killed at the same time. The lives of `make test-full` have every
    moment once, and every pair of the other factors. In `make test-all`, every circumstance and moment has a life that
    is ended in every way, with and without a change of the program. Half of these lives use the ways in reverse order.
    """
    journals = ["file", "database"]
    everyday = [(1, "with checkpoints", "alone", [Crash(*moment, "both", "same program") for moment in AT_ONCE])]
    pairs = list(AllPairs([VICTIMS, PROGRAMS, *CIRCUMSTANCES]))
    full: dict[tuple[Any, ...], list[Crash]] = {}
    for number, moment in enumerate(MOMENTS):
        victim, program, *circumstances = pairs[number % len(pairs)]
        full.setdefault(tuple(circumstances), []).append(Crash(*moment, victim, program))
    ways = list(itertools.product(VICTIMS, PROGRAMS))
    exhaustive = [
        (*circumstances, [Crash(*moment, *way) for way in ways[:: -1 if (number + turn) % 2 else 1]])
        for number, moment in enumerate(MOMENTS)
        for turn, circumstances in enumerate(itertools.product(*CIRCUMSTANCES))
    ]
    at_once = (1, "with checkpoints", "alone", [Crash(*moment, "both", "same program") for moment in MOMENTS])
    return [
        *(
            pytest.param(*life, journal, id=f"killed immediately, {journal}", marks=pytest.mark.everyday)
            for life in everyday
            for journal in journals
        ),
        *(
            pytest.param(*life, crashes, journals[number % 2], id="-".join(map(str, [*life, journals[number % 2]])))
            for number, (life, crashes) in enumerate(full.items())
        ),
        *(
            pytest.param(
                *life,
                journals[number % 2],
                id="-".join(map(str, [*life[:3], *life[3][0][:2], journals[number % 2]])),
                marks=pytest.mark.exhaustive,
            )
            for number, life in enumerate(exhaustive)
        ),
        *(
            pytest.param(
                *at_once, journal, id=f"killed at once at every moment, {journal}", marks=pytest.mark.exhaustive
            )
            for journal in journals
        ),
    ]


ROOM, CHANGED, MOVED = one_room(), one_room(tts=", speed=2"), one_room(cname="elsewhere")
STARTED_FIRST = one_room(tts=", speed=2", more=", replace_strategy='start-first'")


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    """A service that drops duplicates by trace id. Without this, no later run could find a lost agent."""
    emulator.change_settings(dedup="replay")


def started_beside(stack: Stack, emulator: Emulator, folder: Path) -> Stack:
    """Another stack with its own agent, on the same journal."""
    other = Stack(folder, emulator)
    other.environment["RTCAI_JOURNAL"] = stack.environment["RTCAI_JOURNAL"]
    other.program(one_room(cname="other"))
    other.up().succeeded()
    return other


def many_rooms(count: int, speed: float) -> str:
    return f"""
from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Tts
for number in range({count}):
    RealtimeConversation(f"room-{{number:02}}", cname=f"room-{{number:02}}", asr=Asr(asr_vendor=6),
        llm=Llm(llm_vendor=1), tts=Tts(tts_vendor=6, speed={speed}), pipeline=Pipeline(interrupt_mode=1))
"""


def end(run: Interrupted, victim: str) -> None:
    """Kill one process, or interrupt the run, and let the remaining processes run to their end."""
    if victim == "engine":
        run.kill_engine()
    elif victim == "plugin":
        run.kill_plugin()
    elif victim == "both":
        run.kill_both()
    else:
        run.interrupt({"SIGINT": 1, "two SIGINTs": 2}[victim])
    run.finish()


def recover(stack: Stack, **environment: str) -> None:
    """The steps of an operator after a crash: unlock, restore a half-written checkpoint, `up`."""
    stack.pulumi("cancel", "--yes")
    run = stack.up(**environment)
    if "failed to load checkpoint" in run.output:
        state = stack.state_file()
        shutil.copyfile(f"{state}.bak", state)
        run = stack.up(**environment)
    run.succeeded()


def assert_known(stack: Stack, emulator: Emulator, expected: Sequence[str], others: Sequence[str] = ()) -> None:
    """There is one agent for each room, the state has it, and the journal has no other."""
    assert rooms(emulator) == sorted([*expected, *others])
    known = {room["outputs"]["taskId"] for room in stack.conversations().values()}
    assert known == {task["taskId"] for task in live(emulator) if task["cname"] in expected}
    with Journal(journal_location(stack.environment)) as journal:
        unfinished = {(record.task, record.state) for record in journal.records() if record.is_unfinished}
    assert unfinished == {(f"{task['cid']}/{task['taskId']}", RecordState.OPEN) for task in live(emulator)}


def assert_settled(
    stack: Stack, emulator: Emulator, expected: Sequence[str], *, others: Sequence[str] = (), **environment: str
) -> None:
    """State and journal know every agent, another `up` changes nothing, and `destroy` leaves none."""
    assert_known(stack, emulator, expected, others)
    assert f"{len(expected) + 1} unchanged" in stack.up(**environment).succeeded().output
    stack.destroy(**environment).succeeded()
    assert rooms(emulator) == sorted(others)


@contextmanager
def changing(neighbour: Stack | None, speed: int) -> Iterator[None]:
    """Another stack on the same journal replaces its agent while the block runs."""
    if neighbour is None:
        yield
        return
    neighbour.program(one_room(cname="other", tts=f", speed={speed}"))
    with ThreadPoolExecutor() as pool:
        run = pool.submit(neighbour.up)
        yield
        assert "1 replaced" in run.result().succeeded().output


@pytest.mark.shows("safety crash-create", "safety crash-replace", "safety crash-destroy", "safety crash-signals")
@pytest.mark.usefixtures("any_journal")
@pytest.mark.parametrize(
    ("count", "checkpoints", "neighbour", "crashes", "any_journal"), lives(), indirect=["any_journal"]
)
def test_ended_at_a_moment(
    stack: Stack,
    emulator: Emulator,
    tmp_path: Path,
    count: int,
    checkpoints: str,
    neighbour: str,
    crashes: Sequence[Crash],
) -> None:
    environment = {"PULUMI_SKIP_CHECKPOINTS": "true"} if checkpoints == "without checkpoints" else {}
    names = [f"room-{number:02}" for number in range(count)]
    speeds = itertools.cycle([1, 1.5, 2])
    other = started_beside(stack, emulator, tmp_path / "other") if neighbour == "beside another stack" else None
    others = ["other"] if other else []
    up = False
    stack.program(many_rooms(count, next(speeds)))
    for number, crash in enumerate(crashes):
        print(crash)  # printed if the test fails
        if crash.command == "create" and up:
            stack.destroy(*PARALLEL, **environment).succeeded()
            assert rooms(emulator) == others
        elif crash.command != "create" and not up:
            stack.up(*PARALLEL, **environment).succeeded()
        if crash.command == "replace":
            stack.program(many_rooms(count, next(speeds)))
        arguments = DESTROY if crash.command == "destroy" else UP
        with interrupted(stack, emulator, [*arguments, *PARALLEL], crash.moment, count=count, **environment) as run:
            end(run, crash.victim)
        if crash.program == "changed program":
            stack.program(many_rooms(count, next(speeds)))
        with changing(other, speed=2 - number % 2):
            recover(stack, **environment)
        up = True
        assert_known(stack, emulator, names, others)
    assert overlaps(emulator) == []
    assert_settled(stack, emulator, names, others=others, **environment)
    if other:
        other.destroy().succeeded()
        assert live(emulator) == []


def replacements_that_start_first() -> list[Any]:
    """All moments, each ended in a different way. Every day: one moment of the create and one of the close."""
    moments = [*OF_A_CREATE, *OF_A_CLOSE]
    return [
        pytest.param(
            program,
            moment,
            VICTIMS[(number + turn) % len(VICTIMS)],
            id=f"{kind}-{moment}",
            marks=[] if moment in {"the journal has it", "closing is noted"} else [pytest.mark.exhaustive],
        )
        for turn, (kind, program) in enumerate({"moved": MOVED, "started first": STARTED_FIRST}.items())
        for number, moment in enumerate(moments)
    ]


@pytest.mark.parametrize(("program", "moment", "victim"), replacements_that_start_first())
def test_a_replacement_that_starts_first_is_ended_at_a_moment(
    stack: Stack, emulator: Emulator, program: str, moment: str, victim: str
) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.program(program)
    with interrupted(stack, emulator, UP, moment) as run:
        end(run, victim)
    recover(stack)
    assert_settled(stack, emulator, ["elsewhere" if program == MOVED else "keynote"])


@pytest.mark.parametrize("victim", ["engine", "plugin"])
@pytest.mark.parametrize(
    ("command", "moment"), [("create", "the create has been done"), ("replace", "closed is noted")]
)
def test_a_refresh_is_the_first_command_after_a_crash(
    stack: Stack, emulator: Emulator, command: str, moment: str, victim: str
) -> None:
    stack.program(ROOM)
    if command == "replace":
        stack.up().succeeded()
        stack.program(CHANGED)
    with interrupted(stack, emulator, UP, moment) as run:
        end(run, victim)
    stack.pulumi("cancel", "--yes")
    if command == "create":
        stack.refresh("--clear-pending-creates").succeeded()
    stack.up("--refresh").succeeded()
    assert overlaps(emulator) == []
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety half-checkpoint")
def test_a_half_written_checkpoint_is_restored_and_recovered(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.program(CHANGED)
    stack.up().succeeded()
    state = stack.state_file()
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    assert "failed to load checkpoint" in stack.up().failed().output
    recover(stack)
    assert_settled(stack, emulator, ["keynote"])


HISTORIES = {
    "changed": (None, ROOM, CHANGED, "keynote"),
    "moved": (None, ROOM, MOVED, "elsewhere"),
    "reverted": (ROOM, CHANGED, ROOM, "keynote"),
    "move reverted": (ROOM, MOVED, ROOM, "keynote"),
    "moved, then changed": (ROOM, MOVED, CHANGED, "keynote"),
    "start-first reverted": (ROOM, STARTED_FIRST, ROOM, "keynote"),
}


@pytest.mark.shows("safety edit-after-crash", "safety second-agent-after-crash")
@pytest.mark.parametrize("victim", ["engine", pytest.param("plugin", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("history", HISTORIES)
def test_the_program_is_changed_before_the_next_up(stack: Stack, emulator: Emulator, history: str, victim: str) -> None:
    before, killed, after, room = HISTORIES[history]
    if before:
        stack.program(before)
        stack.up().succeeded()
    stack.program(killed)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        end(run, victim)
    stack.program(after)
    recover(stack)
    assert_settled(stack, emulator, [room])


@pytest.mark.shows("safety orphan-before-send")
def test_a_plugin_does_not_post_after_the_next_up_has_started(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "after the intent") as old:
        old.kill_engine()
        stack.pulumi("cancel", "--yes")
        # The old plugin is alive and its create is recorded: the new run waits for it, then takes it over.
        stack.up(RTCAI_TIMEOUT="1").succeeded()
        assert rooms(emulator) == ["keynote"]
        old.finish()
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety unlocked-stack")
def test_an_earlier_run_starts_nothing_next_to_a_later_run_s_agents(stack: Stack, emulator: Emulator) -> None:
    """The stack was unlocked although the run that holds its lock is only waiting."""
    stack.program(many_rooms(2, 1))
    command = [*UP, "--parallel", "1", "--continue-on-error"]
    with interrupted(stack, emulator, command, "after the intent") as old:
        stack.pulumi("cancel", "--yes")
        stack.up(RTCAI_TIMEOUT="1").succeeded()
        agents = live(emulator)
        old.finish()
        assert old.output.ended().count("a later run of this stack manages it now") >= 2
    assert live(emulator) == agents
    assert overlaps(emulator) == []


@pytest.mark.shows("safety orphan-has-started")
@pytest.mark.parametrize("refusals", [0, 2])
def test_a_plugin_whose_engine_is_gone_closes_what_it_has_started_and_ends_itself(
    stack: Stack, emulator: Emulator, refusals: int
) -> None:
    """The plugin does so even if the service is busy and no process reads its output any more."""
    stack.program(ROOM)
    if refusals:
        emulator.fault("close", "answer", status=429, headers={"Retry-After": "2"}, times=refusals)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        run.kill_engine()
        assert len(live(emulator)) == 1
        run.finish()
    assert live(emulator) == []


@pytest.mark.shows("safety two-stacks")
def test_two_stacks_on_one_journal_are_recovered_each_for_itself(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    other = started_beside(stack, emulator, tmp_path / "other")
    (untouched,) = live(emulator)
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        run.kill_plugin()
    other.up("--refresh").succeeded()
    assert untouched in live(emulator)
    recover(stack)
    assert rooms(emulator) == ["keynote", "other"]
    assert untouched in live(emulator)
    stack.destroy().succeeded()
    assert live(emulator) == [untouched]
    other.destroy().succeeded()
    assert live(emulator) == []
