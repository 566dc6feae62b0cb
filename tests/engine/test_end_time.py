"""An event that ends on time: `ends_at` and `rtcai sweep --over`, with the clock moved for every process."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.stores import open_read_only
from tests.engine.crash import HOOK, interrupted
from tests.engine.service import bodies, calls, live, overlaps, rooms
from tests.engine.stack import Run, Stack
from tests.engine.test_sequences import URN
from tests.engine.test_sweep import rtcai
from tests.engine.test_up import one_room

pytestmark = pytest.mark.full(
    "the clock is moved through many runs; tests/unit and tests/cli try each rule without the engine"
)

HOUR = 3600.0
START = datetime.now(UTC).replace(microsecond=0)
UP = ["up", "--yes", "--skip-preview"]
BELOW_A_STAGE = """
import pulumi
from rtcai_pulumi import EventRooms
EventRooms("event", {{
    "createRooms": {create_rooms},
    "endsAt": {ends_at!r},
    "agent": {{"asr": {{"asrVendor": 6}}, "llm": {{"llmVendor": 1}}, "tts": {{"ttsVendor": 6, "speed": {speed}}}}},
    "rooms": {rooms!r},
}})
"""


def in_hours(hours: float) -> str:
    """A time from the beginning of the tests."""
    return (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def program(hours: float | None, tts: str = "") -> str:
    """A program with one room, whose agent ends at that time."""
    return one_room(more=f", ends_at={in_hours(hours)!r}" if hours is not None else "", tts=tts)


class Clock:
    """The clock of every process: of the engine's plugin, of `rtcai` and of the emulator."""

    def __init__(self, stack: Stack, emulator: Emulator) -> None:
        self.stack, self.emulator = stack, emulator
        stack.environment |= {"PYTHONPATH": str(HOOK), "TEST_CLOCK": "0"}

    def set(self, hours: float) -> None:
        """Set it to a time from the beginning of the tests."""
        offset = hours * HOUR + (START - datetime.now(UTC)).total_seconds()
        self.stack.environment["TEST_CLOCK"] = str(offset)
        self.emulator.clock.offset = offset


@pytest.fixture
def clock(stack: Stack, emulator: Emulator) -> Clock:
    moved = Clock(stack, emulator)
    moved.set(0)
    return moved


def sweep(stack: Stack, *arguments: str, code: int) -> dict[str, Any]:
    """Sweep without the state and without the Pulumi CLI."""
    run = rtcai(stack, "sweep", "--over", "--json", *(arguments or ("--all",)), PATH="/nonexistent")
    assert run.returncode == code, run.stdout + run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    return report


def outcomes(report: dict[str, Any], kind: str = "agents") -> list[tuple[str, str]]:
    return sorted((item["cname"], item["outcome"]) for item in report[kind])


def nothing_changes(stack: Stack, emulator: Emulator, *, fully: bool = False) -> None:
    """A command that compares program, state and service shows no change, and no request writes."""
    before = calls(emulator)
    if fully:
        stack.preview("--expect-no-changes").succeeded()
        stack.up("--expect-no-changes").succeeded()
        stack.preview("--refresh", "--expect-no-changes").succeeded()
    stack.up("--refresh", "--expect-no-changes").succeeded()
    assert calls(emulator) == before


def journaled_end(stack: Stack) -> str:
    journal = open_read_only(stack.folder / "journal.db")
    return journal.records()[-1].ends_at


@pytest.mark.everyday
@pytest.mark.shows("safety over-stays", "rtcai sweep", "pulumi up", "pulumi preview", "promise 2", "promise 8")
def test_before_at_and_after_its_end(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    assert in_hours(2) not in json.dumps(bodies(emulator, "create"))
    assert stack.conversations()["host"]["outputs"]["endsAt"] == journaled_end(stack) == in_hours(2)
    clock.set(1.9)
    assert re.search(r"its agent ends in [56] min", stack.up("--expect-no-changes").succeeded().output)
    assert outcomes(sweep(stack, code=0)) == []
    clock.set(2)
    assert outcomes(sweep(stack, "--all", "--grace", "5m", code=0)) == []
    assert "may still be running; `rtcai sweep --over --all` stops it" in stack.preview().succeeded().output
    assert outcomes(sweep(stack, "--stack", "test", code=4)) == [("keynote", "stopped")]
    assert outcomes(sweep(stack, code=0)) == []
    nothing_changes(stack, emulator, fully=True)
    clock.set(48)
    nothing_changes(stack, emulator)
    # On another machine, whose journal does not know the agent.
    stack.environment["RTCAI_JOURNAL"] += "-other"
    nothing_changes(stack, emulator, fully=True)
    stack.environment["RTCAI_JOURNAL"] = stack.environment["RTCAI_JOURNAL"].removesuffix("-other")
    stack.destroy().succeeded()
    assert calls(emulator) == ["create", "close"]
    assert stack.conversations() == {}


@pytest.mark.shows("safety over-extended")
@pytest.mark.parametrize("hours", [5, None], ids=["extended", "removed"])
def test_a_later_end_starts_the_agent_again_and_preview_says_so(
    stack: Stack, emulator: Emulator, clock: Clock, hours: float | None
) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(3)
    sweep(stack, code=4)
    stack.program(program(hours))
    assert "1 to replace" in stack.preview().succeeded().output
    assert live(emulator) == []
    assert "1 replaced" in stack.up().succeeded().output
    assert rooms(emulator) == ["keynote"]
    nothing_changes(stack, emulator)
    assert outcomes(sweep(stack, code=0)) == []


@pytest.mark.shows("safety over-extended")
@pytest.mark.parametrize(("hours", "now"), [(5, 1), (5, 3), (1.5, 1), (None, 1), (None, 3)])
def test_another_end_of_a_running_agent_is_an_update_that_starts_and_stops_nothing(
    stack: Stack, emulator: Emulator, clock: Clock, hours: float | None, now: float
) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(now)
    stack.program(program(hours))
    assert "1 to update" in stack.preview().succeeded().output
    assert journaled_end(stack) == in_hours(2)
    assert "1 updated" in stack.up().succeeded().output
    assert calls(emulator) == ["create"]
    assert journaled_end(stack) == (in_hours(hours) if hours else "")
    nothing_changes(stack, emulator)
    clock.set(4)
    shortened = hours == 1.5
    assert outcomes(sweep(stack, code=4 if shortened else 0)) == ([("keynote", "stopped")] if shortened else [])


def test_an_end_in_the_past_stops_nothing_by_itself(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    clock.set(3)
    stack.program(program(2))
    assert "1 updated" in stack.up().succeeded().output
    assert rooms(emulator) == ["keynote"]
    assert outcomes(sweep(stack, code=4)) == [("keynote", "stopped")]
    nothing_changes(stack, emulator)


@pytest.mark.shows("safety over-changed")
def test_a_changed_agent_that_is_over_is_not_started_until_its_end_is_moved(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(3)
    changed = program(2, tts=", speed=2")
    for stopped in (False, True):
        stack.program(changed)
        run = stack.up("--expect-no-changes").succeeded()
        assert "so the change of tts starts nothing" in run.output
        assert calls(emulator) == ["create"] + ["close"] * stopped
        if not stopped:
            sweep(stack, code=4)
    stack.program(program(6, tts=", speed=2"))
    assert "1 replaced" in stack.up().succeeded().output
    assert bodies(emulator, "create")[-1]["data"]["tts"]["speed"] == 2
    nothing_changes(stack, emulator)


@pytest.mark.shows("safety over-not-started")
@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "still running"])
def test_replace_and_taint_of_an_agent_that_is_over_are_refused_with_the_reason(
    stack: Stack, emulator: Emulator, clock: Clock, stopped: bool
) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(3)
    if stopped:
        sweep(stack, code=4)
    before = calls(emulator)
    reason = f"endsAt: was {in_hours(2)} (over for 1 h), and an agent that is over is not replaced; set a later time"
    assert reason in stack.preview("--replace", URN).failed().output
    assert reason in stack.up("--replace", URN).failed().output
    stack.pulumi("state", "taint", URN, "--yes").succeeded()
    assert reason in stack.up().failed().output
    stack.pulumi("state", "untaint", URN, "--yes").succeeded()
    assert calls(emulator) == before
    nothing_changes(stack, emulator)
    stack.destroy().succeeded()
    assert live(emulator) == []


@pytest.mark.shows("safety over-not-started")
def test_a_first_up_after_the_end_fails_in_its_check(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    clock.set(3)
    stack.program(program(2))
    reason = f"endsAt: is {in_hours(2)} (over for 1 h), and an agent is not started after its end; to start it, set"
    for run in (stack.preview(), stack.pulumi("up", "--yes"), stack.up()):
        assert reason in run.failed().output
    assert calls(emulator) == []


@pytest.mark.shows("safety over-not-started")
def test_a_past_end_of_a_new_room_fails_the_preview_and_touches_no_other_room(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    stack.program(event(6, 0))
    stack.up().succeeded()
    before = calls(emulator)
    clock.set(3)
    stack.program(event(7, 1, speed=2).replace("hall-00", "late").replace("hall-06", "hall-00"))
    run = stack.pulumi("up", "--yes").failed()
    assert f"'event-late' has a problem: endsAt: is {in_hours(2)} (over for 1 h)" in run.output
    assert calls(emulator) == before
    assert len(rooms(emulator)) == 6


@pytest.mark.shows("safety secret-input")
def test_wrong_times_are_errors_at_preview_with_their_path(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(one_room(more=", ends_at='2026-10-13T18:00:00'"))
    assert "endsAt: has no offset from UTC; add one" in stack.preview().failed().output
    stack.program(one_room(more=", ends_at=__import__('datetime').datetime(2026, 10, 13, 18)"))
    assert "endsAt: has no offset from UTC; add one" in stack.preview().failed().output
    stack.program(one_room(more=", ends_at=__import__('pulumi').Output.from_input('soon')"))
    assert "endsAt: must be a date and a time in ISO 8601" in stack.preview().failed().output
    secret = f", ends_at=__import__('pulumi').Output.secret({in_hours(2)!r})"
    stack.program(one_room(more=secret))
    assert "endsAt: must not be a secret" in stack.preview().failed().output
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(1)
    stack.program(program(-24))
    run = stack.preview().failed()
    assert f"rtcai_pulumi.EndBeforeStart: endsAt: {in_hours(-24)} is before the start of the agent" in run.output
    assert calls(emulator) == ["create"]


def test_a_datetime_with_a_zone_and_an_output_are_in_utc_in_state_and_journal(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    zone = "timezone(timedelta(hours=8))"
    imports = "from datetime import datetime, timedelta, timezone\nimport pulumi\n"
    time = f"datetime.fromisoformat({in_hours(2)!r}).astimezone({zone})"
    for value in (time, f"{time}.isoformat()", f"pulumi.Output.from_input({time}.isoformat())"):
        stack.program(imports + one_room(more=f", ends_at={value}"))
        stack.up(*(["--expect-no-changes"] if calls(emulator) else [])).succeeded()
        assert stack.conversations()["host"]["outputs"]["endsAt"] == journaled_end(stack) == in_hours(2)
        assert stack.conversations()["host"]["inputs"]["endsAt"] == in_hours(2)


# A sweep in the middle of an `up`


@pytest.mark.shows("safety over-in-mid-up")
def test_a_sweep_leaves_alone_what_an_up_has_just_started(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(program(2))
    with interrupted(stack, emulator, UP, "the engine is about to get the result") as run:
        clock.set(3)
        assert outcomes(sweep(stack, code=0)) == [("keynote", "in use")]
        run.finish()
    assert rooms(emulator) == ["keynote"]
    assert outcomes(sweep(stack, code=4)) == [("keynote", "stopped")]


@pytest.mark.shows("safety over-in-mid-up")
def test_an_up_that_stops_an_agent_at_the_same_time_wins(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(1.99)
    stack.program(program(6, tts=", speed=2"))
    with interrupted(stack, emulator, UP, "closing is noted") as run:
        stack.environment["TEST_CLOCK"] = str(3 * HOUR)  # that of the sweep, which sends nothing
        assert outcomes(sweep(stack, code=0)) == [("keynote", "in use")]
        run.finish()
    assert rooms(emulator) == ["keynote"]
    assert overlaps(emulator) == []
    nothing_changes(stack, emulator)


@pytest.mark.shows("safety over-in-mid-up")
def test_a_sweep_before_an_up_starts_the_new_agent_changes_nothing(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(3)
    stack.program(program(6, tts=", speed=2"))
    with interrupted(stack, emulator, UP, "closed is noted") as run:
        assert outcomes(sweep(stack, code=0)) == []
        run.finish()
    assert rooms(emulator) == ["keynote"]
    nothing_changes(stack, emulator)


@pytest.mark.shows("safety over-in-mid-up")
def test_an_extension_that_loses_against_a_sweep_fails_cleanly_and_the_next_up_starts_the_agent(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(3)
    stack.program(program(6))
    with interrupted(stack, emulator, UP, "the new end is about to be noted") as run:
        assert outcomes(sweep(stack, code=4)) == [("keynote", "stopped")]
        run.finish()
        output = run.output.ended()
    assert "rtcai_pulumi.TakenOver: The agent was stopped while its end was being moved" in output
    assert "run `pulumi up` again; it starts a new agent" in output
    assert live(emulator) == []
    assert "1 replaced" in stack.up().succeeded().output
    assert rooms(emulator) == ["keynote"]
    nothing_changes(stack, emulator)


# Many rooms


def event(
    count: int, over: int, *, create_rooms: bool = False, hours: float = 2, later: float = 9, speed: int = 1
) -> str:
    keys = [f"hall-{number:02}" for number in range(count)]
    changes = {key: ({} if number < over else {"endsAt": in_hours(later)}) for number, key in enumerate(keys)}
    return BELOW_A_STAGE.format(create_rooms=create_rooms, ends_at=in_hours(hours), rooms=changes, speed=speed)


@pytest.mark.everyday
def test_of_forty_rooms_ten_are_over(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(event(40, 10))
    stack.up().succeeded()
    assert len(live(emulator)) == 40
    clock.set(3)
    report = sweep(stack, code=4)
    assert outcomes(report) == [(f"hall-{number:02}", "stopped") for number in range(10)]
    assert calls(emulator).count("close") == 10
    stack.up("--expect-no-changes").succeeded()
    assert len(live(emulator)) == 30
    stack.destroy().succeeded()
    assert calls(emulator).count("close") == 40
    assert live(emulator) == []


@pytest.mark.shows("safety over-room")
def test_the_rooms_of_an_event_end_with_it_and_open_again_with_it(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    emulator.change_settings(rooms="required")
    stack.program(event(3, 2, create_rooms=True))
    stack.up().succeeded()
    clock.set(3)
    report = sweep(stack, code=4)
    assert outcomes(report, "rooms") == [("hall-00", "ended"), ("hall-01", "ended")]
    assert [room["cname"] for room in emulator.rooms()] == ["hall-02"]
    nothing_changes(stack, emulator)
    stack.program(event(3, 2, create_rooms=True, hours=8))
    run = stack.up().succeeded()
    assert "4 replaced" in run.output
    assert rooms(emulator) == ["hall-00", "hall-01", "hall-02"]
    nothing_changes(stack, emulator)
    clock.set(10)
    sweep(stack, code=4)
    nothing_changes(stack, emulator)
    writes = len([request for request in emulator.requests() if request["method"] != "GET"])
    stack.destroy().succeeded()
    assert len([request for request in emulator.requests() if request["method"] != "GET"]) == writes
    assert emulator.rooms() == []


@pytest.mark.shows("safety over-room")
def test_a_room_that_its_last_member_left_is_no_drift_after_the_end(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    stack.program(event(2, 2, create_rooms=True))
    stack.up().succeeded()
    clock.set(3)
    emulator.end_room("hall-00")
    nothing_changes(stack, emulator)
    stack.program(event(2, 2, create_rooms=True, hours=8))
    stack.up().succeeded()
    assert rooms(emulator) == ["hall-00", "hall-01"]


@pytest.mark.shows("safety over-room")
def test_a_room_of_a_program_with_an_end_is_no_drift_after_it(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    program = """
from rtcai_pulumi import RealtimeConversation, Room
room = Room("stage", cname="stage", ends_at={end!r})
RealtimeConversation("host", cname=room.cname, asr={{"asrVendor": 6}}, llm={{"llmVendor": 1}}, tts={{"ttsVendor": 6}},
                     ends_at=room.ends_at)
"""
    stack.program(program.format(end=in_hours(2)))
    stack.up().succeeded()
    assert journaled_end(stack) == in_hours(2)
    clock.set(3)
    assert outcomes(sweep(stack, code=4)) == [("stage", "stopped")]
    emulator.end_room("stage")
    stack.preview("--refresh", "--expect-no-changes").succeeded()
    assert emulator.rooms() == []
    stack.program(program.format(end=in_hours(5)))
    stack.up().succeeded()
    assert rooms(emulator) == ["stage"]


@pytest.mark.shows("safety over-not-stopped")
def test_a_service_that_is_down_and_comes_back(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(program(2))
    stack.up().succeeded()
    clock.set(3)
    stack.environment["TEST_PATIENCE"] = "1"
    emulator.fault("close", "answer", times=None, status=503)
    assert outcomes(sweep(stack, code=1)) == [("keynote", "failed")]
    stack.up("--expect-no-changes").succeeded()
    assert rooms(emulator) == ["keynote"]
    emulator.clear_faults()
    assert outcomes(sweep(stack, code=4)) == [("keynote", "stopped")]
    nothing_changes(stack, emulator)


@pytest.mark.shows("safety over-twice")
def test_two_sweeps_at_the_same_time(stack: Stack, emulator: Emulator, clock: Clock) -> None:
    stack.program(event(6, 6, create_rooms=True))
    stack.up().succeeded()
    clock.set(3)
    with ThreadPoolExecutor() as pool:
        swept = list(pool.map(lambda _: rtcai(stack, "sweep", "--over", "--all"), range(2)))
    codes = [run.returncode for run in swept]
    assert set(codes) <= {0, 4}, [run.stdout + run.stderr for run in swept]
    assert 4 in codes
    assert live(emulator) == []
    assert calls(emulator).count("close") == 6
    sweep(stack, code=0 if emulator.rooms() == [] else 4)
    assert emulator.rooms() == []
    nothing_changes(stack, emulator)


@pytest.mark.shows("safety over-lost")
def test_a_killed_up_whose_agent_is_over_is_stopped_and_not_started_again(
    stack: Stack, emulator: Emulator, clock: Clock
) -> None:
    emulator.change_settings(dedup="replay")
    stack.program(program(2))
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        run.kill_both()
    stack.pulumi("cancel", "--yes")
    assert rooms(emulator) == ["keynote"]
    clock.set(3)
    assert outcomes(sweep(stack, code=1)) == [("keynote", "lost")]
    assert "`pulumi up` stops that agent, starts none, and fails" in stack.preview().succeeded().output
    failed: Run = stack.up().failed()
    assert "rtcai_pulumi.EndPassed" in failed.output
    assert live(emulator) == []
    assert outcomes(sweep(stack, code=0)) == []
    assert "an agent is not started after its end" in stack.preview().failed().output
