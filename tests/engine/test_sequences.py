"""Sequences of commands that once led, or could lead, to a second agent or to none."""

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import HOOK, interrupted
from tests.engine.service import bodies, calls, live, overlaps, rooms
from tests.engine.stack import TYPE, Stack
from tests.engine.test_crashes import CHANGED, ROOM, UP, assert_known, assert_settled, recover
from tests.engine.test_up import one_room

pytestmark = pytest.mark.full("longer sequences; the model tries every order of these commands every day")

Verb = Literal["create", "close", "query"]
URN = f"urn:pulumi:test::rooms::{TYPE}::host"


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")


def rtcai(stack: Stack, *arguments: str) -> None:
    """Run a command of `rtcai`, which must succeed."""
    subprocess.run(["rtcai", *arguments], env=stack.environment, check=True, capture_output=True)


@pytest.mark.shows("safety replace-after-good-run")
@pytest.mark.parametrize("checkpoints", [True, False])
@pytest.mark.parametrize("options", [[], ["--refresh"]], ids=" ".join)
def test_a_targeted_replace_straight_after_the_first_up(
    stack: Stack, emulator: Emulator, options: list[str], checkpoints: bool
) -> None:
    environment = {} if checkpoints else {"PULUMI_SKIP_CHECKPOINTS": "true"}
    stack.program(ROOM)
    stack.up(**environment).succeeded()
    stack.up("--replace", URN, *options, **environment).succeeded()
    assert calls(emulator) == ["create", "close", "create"]
    assert overlaps(emulator) == []
    assert_settled(stack, emulator, ["keynote"], **environment)


@pytest.mark.shows("safety replace-after-killed-run")
@pytest.mark.parametrize("moment", ["the create has been done", "closed is noted"])
def test_a_targeted_replace_after_a_killed_one(stack: Stack, emulator: Emulator, moment: str) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    with interrupted(stack, emulator, [*UP, "--replace", URN], moment) as run:
        run.kill_plugin()
    stack.pulumi("cancel", "--yes")
    stack.up("--replace", URN).succeeded()
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.everyday
@pytest.mark.shows("promise 6", "safety target")
def test_a_target_changes_only_its_room(stack: Stack, emulator: Emulator) -> None:
    other = one_room(cname="other").replace('"host"', '"other"')
    stack.program(ROOM + other)
    stack.up().succeeded()
    (untouched,) = [task for task in live(emulator) if task["cname"] == "other"]
    stack.program(CHANGED + other.replace("asr_vendor=6", "asr_vendor=7"))
    stack.up("--target", URN).succeeded()
    assert untouched in live(emulator)
    assert rooms(emulator) == ["keynote", "other"]


@pytest.mark.everyday
@pytest.mark.shows("promise 6", "promise 8", "safety rename-with-alias")
def test_a_renamed_resource_with_an_alias_keeps_its_agent(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    alias = ", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name='host')])"
    renamed = one_room(more=alias).replace('"host"', '"moderator"')
    stack.program(f"import pulumi\n{renamed}")
    stack.up().succeeded()
    assert calls(emulator) == ["create"]
    assert list(stack.conversations()) == ["moderator"]
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety deleted-from-state")
def test_an_agent_that_was_deleted_from_the_state_is_closed_by_the_next_up(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.pulumi("state", "delete", URN, "--yes").succeeded()
    stack.up().succeeded()
    assert calls(emulator) == ["create", "close", "create"]
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety stack-renamed")
def test_a_renamed_stack_keeps_its_agents(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.pulumi("stack", "rename", "renamed").succeeded()
    stack.name = "renamed"
    assert "1 updated" in stack.up().succeeded().output, "the journal records whom the agent belongs to now"
    assert "2 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create"]
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety old-name-other-room", "safety old-name-same-room")
def test_the_old_name_of_a_renamed_stack_is_another_stack(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.pulumi("stack", "rename", "live").succeeded()
    assert "1 updated" in stack.pulumi("up", "--yes", "--stack", "live").succeeded().output
    (on_air,) = live(emulator)
    stack.pulumi("stack", "init", "test").succeeded()
    stack.program(one_room(cname="rehearsal"))
    run = stack.pulumi("up", "--yes", "--stack", "test").succeeded()
    assert "stopping task" not in run.output
    assert on_air in live(emulator)
    assert rooms(emulator) == ["keynote", "rehearsal"]


@pytest.mark.shows("safety equal-stacks")
def test_equal_stacks_in_backends_of_equal_relative_names_are_two(emulator: Emulator, tmp_path: Path) -> None:
    stacks = [Stack(tmp_path / name, emulator) for name in ("first", "second")]
    for stack, cname in zip(stacks, ["first", "second"], strict=True):
        (stack.folder / "program" / "state").mkdir()
        stack.environment |= {"PULUMI_BACKEND_URL": "file://./state", "RTCAI_JOURNAL": str(tmp_path / "journal.db")}
        stack.pulumi("stack", "init", stack.name).succeeded()
        stack.program(one_room(cname=cname))
        stack.up().succeeded()
    assert rooms(emulator) == ["first", "second"]


@pytest.mark.shows("safety backend-named-elsewhere")
@pytest.mark.parametrize("how", ["login", "project file"])
def test_a_backend_may_be_named_by_the_login_or_the_project_file(stack: Stack, emulator: Emulator, how: str) -> None:
    url = stack.environment.pop("PULUMI_BACKEND_URL")
    if how == "login":
        stack.pulumi("login", url).succeeded()
    else:
        project = stack.folder / "program" / "Pulumi.yaml"
        project.write_text(f"{project.read_text(encoding='utf-8')}backend: {{url: '{url}'}}\n", encoding="utf-8")
    stack.program(ROOM)
    stack.up().succeeded()
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert live(emulator) == []


@pytest.mark.shows("safety one-name-twice")
def test_one_name_under_two_components_is_two_agents(stack: Stack, emulator: Emulator) -> None:
    program = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
for parent in ("hall", "stage"):
    component = pulumi.ComponentResource(f"test:{parent}:Rooms", parent)
    RealtimeConversation("host", cname=parent, agent=Agent(agent_id="a", user_id="USER"),
        opts=pulumi.ResourceOptions(parent=component))
"""
    stack.program(program)
    stack.up().succeeded()
    stack.program(program.replace("USER", "another"))
    with interrupted(stack, emulator, UP, "the create has been done", count=2) as run:
        run.kill_engine()
    recover(stack)
    assert rooms(emulator) == ["hall", "stage"]
    stack.destroy().succeeded()
    assert live(emulator) == []


@pytest.mark.shows("safety adopt-by-hand")
@pytest.mark.everyday
def test_a_task_that_someone_started_by_hand_is_adopted_and_destroyed(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    (task,) = live(emulator)
    stack.pulumi("state", "delete", URN, "--yes").succeeded()
    stack.environment["RTCAI_JOURNAL"] = str(stack.folder / "another-journal.db")
    named = f"{task['cid']}/{task['taskId']}"
    stack.program(one_room(more=f", adopt={named!r}"))
    stack.up().succeeded()
    assert calls(emulator) == ["create"]
    assert stack.conversations()["host"]["id"] == named
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert live(emulator) == []
    stack.up().succeeded()
    assert calls(emulator) == ["create", "close", "create"], "what the journal ever held is not adopted again"


@pytest.mark.shows("safety replacement-refused")
def test_a_replacement_that_is_refused_leaves_the_room_silent_and_says_so(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.program(CHANGED)
    emulator.fault("create", "answer", code=611)
    run = stack.up().failed()
    assert "NotPermitted" in run.output
    assert "The room has no agent now, because the old one was stopped before." in run.output
    assert ". Then run `pulumi up` again; it starts the agent" in run.output
    assert live(emulator) == []
    recover(stack)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety duplicate-unknown")
def test_a_lost_create_that_the_service_does_not_know_again_is_reported(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(dedup="ignore")
    emulator.fault("create", "reset", work=True)
    stack.program(one_room(more=", request_id='request-42'"))
    lost = stack.up().failed().output
    (first,) = live(emulator)
    for fact in (
        "There may be an agent in the room",
        "room: keynote",
        "request id: request-42",
        f"trace id: {first['traceId']}",
    ):
        assert fact in lost
    told = stack.up().succeeded().output
    assert len(live(emulator)) == 2
    assert (
        f"an earlier request to start this agent got no response (request id request-42, trace id {first['traceId']})"
        in told
    )
    assert "If the service treats it as a new request, there will be two agents." in told


@pytest.mark.everyday
@pytest.mark.shows("promise 1", "rtcai end-room", "rtcai forget", "safety duplicate-refused")
def test_a_lost_create_that_the_service_knows_and_does_not_tell_stops_the_next_up(
    stack: Stack, emulator: Emulator
) -> None:
    emulator.change_settings(dedup="refuse")
    emulator.fault("create", "reset", work=True)
    stack.program(ROOM)
    stack.up().failed()
    run = stack.up().failed()
    assert "DuplicateRequest: The service has already received this request to start the agent" in run.output
    (lost,) = live(emulator)
    assert f"Then run `rtcai forget {lost['traceId']}`" in run.output
    rtcai(stack, "end-room", "keynote", "--yes")
    assert live(emulator) == []
    assert "DuplicateRequest" in stack.up().failed().output
    rtcai(stack, "forget", lost["traceId"], "--yes")
    stack.up().succeeded()
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety duplicate-unknown")
def test_a_killed_create_that_the_service_does_not_know_again_is_reported_too(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(dedup="ignore")
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        run.kill_both()
    (lost,) = live(emulator)
    stack.pulumi("cancel", "--yes")
    told = stack.up().succeeded().output
    warning = "warning: room keynote: an earlier request to start this agent got no response (request id "
    assert warning in told
    assert f"trace id {lost['traceId']}" in told
    assert "if there are two, `rtcai end-room keynote` ends it and disconnects everyone" in told


@pytest.mark.shows("safety rename-after-kill")
@pytest.mark.parametrize("how", ["stack", "resource"])
@pytest.mark.parametrize("moment", ["the create has been done", "the engine is about to get the result"])
def test_what_a_killed_run_left_under_an_old_name_is_named(
    stack: Stack, emulator: Emulator, how: str, moment: str
) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, moment) as run:
        run.kill_both()
    (left,) = live(emulator)
    stack.pulumi("cancel", "--yes")
    if how == "stack":
        stack.pulumi("stack", "rename", "renamed").succeeded()
        stack.name = "renamed"
    else:
        stack.program(ROOM.replace('"host"', '"moderator"'))
    told = stack.up().succeeded().output
    task = f"{left['cid']}/{left['taskId']}"
    if moment == "the create has been done":
        assert (
            f"another agent may be in this room: a request to start the agent of {URN} (trace id {left['traceId']}) "
            "got no response" in told
        )
    else:
        assert f"another agent is in this room: task {task} of {URN}" in told
        assert f"stop it with `rtcai close {task}`" in told
        rtcai(stack, "close", task, "--yes")
        assert_settled(stack, emulator, ["keynote"])


@pytest.mark.shows("safety rename-without-alias")
def test_a_rename_without_an_alias_reports_the_agent_that_still_runs(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    stack.program(ROOM.replace('"host"', '"moderator"'))
    assert "another agent is in this room" in stack.up().succeeded().output
    assert "another agent is in this room" not in stack.up().succeeded().output
    assert_settled(stack, emulator, ["keynote"])


REFUSED_FOR_GOOD: dict[str, dict[str, Any]] = {
    "refused": {"kind": "answer", "code": 611},
    "never answered": {"kind": "reset", "work": False},
}


@pytest.mark.shows("safety close-refused")
@pytest.mark.parametrize("fault", REFUSED_FOR_GOOD)
@pytest.mark.parametrize("command", ["replace", "destroy"])
def test_an_agent_that_cannot_be_stopped_stays_in_the_state(
    stack: Stack, emulator: Emulator, command: str, fault: str
) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    (running,) = live(emulator)
    stack.program(CHANGED)
    emulator.fault("close", times=None, **REFUSED_FOR_GOOD[fault])
    with shortened_patience(stack):
        run = (stack.destroy() if command == "destroy" else stack.up()).failed()
    assert "The service did not stop the agent" in run.output or "The connection broke" in run.output
    assert f"task: {running['taskId']}" in run.output
    assert live(emulator) == [running]
    assert stack.conversations()["host"]["outputs"]["taskId"] == running["taskId"]
    emulator.clear_faults()
    recover(stack)
    assert_settled(stack, emulator, ["keynote"])


@contextmanager
def shortened_patience(stack: Stack) -> Iterator[None]:
    """Two minutes are acceptable for a user, but too long for a test."""
    stack.environment |= {"TEST_PATIENCE": "3", "PYTHONPATH": str(HOOK)}
    yield
    for name in ("TEST_PATIENCE", "PYTHONPATH"):
        del stack.environment[name]


PASSING: dict[Verb, dict[str, dict[str, Any]]] = {
    "create": {
        "429": {"kind": "answer", "status": 429, "code": 429, "headers": {"Retry-After": "1"}, "times": 2},
        "416": {"kind": "answer", "code": 416},
        "slow": {"kind": "latency", "before": 1.0},
    },
    "close": {
        "reset": {"kind": "reset", "work": False},
        "done and reset": {"kind": "reset", "work": True},
        "half": {"kind": "half", "work": True},
        "garbage": {"kind": "garbage"},
        "503": {"kind": "answer", "status": 503, "times": 2},
        "429": {"kind": "answer", "code": 429},
        "hangs": {"kind": "hang", "work": True},
        "hangs before": {"kind": "hang", "work": False},
        "too late": {"kind": "latency", "before": 4.0},
    },
    "query": {
        "reset": {"kind": "reset", "work": False},
        "500": {"kind": "answer", "status": 500},
        "garbage": {"kind": "garbage"},
        "half": {"kind": "half"},
        "hangs": {"kind": "hang"},
        "429": {"kind": "answer", "status": 429, "code": 429},
    },
}


@pytest.mark.shows("safety busy-service", "safety close-lost")
@pytest.mark.parametrize("verb", [pytest.param("create", marks=pytest.mark.everyday), "close", "query"])
def test_a_passing_fault_is_waited_out(stack: Stack, emulator: Emulator, verb: Verb) -> None:
    stack.program(ROOM)
    stack.up(RTCAI_TIMEOUT="2").succeeded()
    speeds = itertools.cycle([1.5, 2])
    for name, fault in PASSING[verb].items():
        print(name)  # printed if the test fails
        emulator.fault(verb, **fault)
        stack.program(one_room(tts=f", speed={next(speeds)}"))
        assert "1 replaced" in stack.up("--refresh", RTCAI_TIMEOUT="2").succeeded().output
        assert rooms(emulator) == ["keynote"]
        assert all(each["left"] == 0 for each in emulator.faults()), "the fault was never met"
        emulator.clear_faults()
    assert_settled(stack, emulator, ["keynote"])


LOST: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset", "work": True},
    "half": {"kind": "half", "work": True},
    "garbage": {"kind": "garbage"},
    "500": {"kind": "answer-after", "status": 500},
    "hang": {"kind": "hang", "work": True},
    "hang before": {"kind": "hang", "work": False},
    "too late": {"kind": "latency", "before": 4.0},
    "reset before": {"kind": "reset", "work": False},
    "half before": {"kind": "half", "work": False},
    "503": {"kind": "answer", "status": 503},
}


@pytest.mark.shows("safety create-lost")
def test_a_lost_create_is_found_again_by_the_next_up(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    for name, fault in LOST.items():
        print(name)  # printed if the test fails
        before = calls(emulator)
        emulator.fault("create", **fault)
        lost = stack.up(RTCAI_TIMEOUT="2").failed()
        assert "There may be an agent in the room that no stack manages." in lost.output
        assert calls(emulator) == [*before, "create"]
        recover(stack)
        assert_known(stack, emulator, ["keynote"])
        stack.destroy().succeeded()
        assert live(emulator) == []


@pytest.mark.shows("safety room-missing")
@pytest.mark.everyday
@pytest.mark.parametrize("code", [404, 400, 601])
def test_an_agent_waits_for_its_room_if_the_program_says_so(stack: Stack, code: int) -> None:
    with Emulator(rooms="required", room_missing_code=code) as emulator:
        stack.environment["RTCAI_ENDPOINT"] = emulator.url
        waits_for_its_room(stack, emulator, code)


def waits_for_its_room(stack: Stack, emulator: Emulator, code: int) -> None:
    stack.program(ROOM)
    assert "rtcai_pulumi.RoomNotFound" in stack.up().failed().output
    stack.program(one_room(more=", wait_for_room=60"))
    emulator.fault("create", "answer", code=code, errmsg="房间不存在", times=2)
    emulator.open_room("keynote")
    run = stack.up().succeeded()
    line = "room keynote: the room does not exist yet; waiting for it (wait_for_room)."
    assert run.output.count(line) <= 2, "told once; the engine shows each line as it comes, and at the end"
    assert line in run.output
    assert rooms(emulator) == ["keynote"]


@pytest.mark.shows("safety room-missing")
def test_a_long_wait_is_explained_and_a_short_one_is_not(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    emulator.fault("create", "answer", code=429, headers={"Retry-After": "3"})
    line = "room keynote: The service did not start the agent: too many requests. Retrying (next attempt in 3.0 s)."
    assert line in stack.up().succeeded().output
    stack.program(CHANGED)
    emulator.fault("create", "answer", code=429)
    assert "Retrying" not in stack.up().succeeded().output


@pytest.mark.everyday
@pytest.mark.shows("promise 5", "safety busy-service")
def test_120_rooms_come_up_against_a_service_that_takes_50_a_second(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(max_rps=50)
    stack.program(
        """
from rtcai_pulumi import Agent, RealtimeConversation
for number in range(120):
    RealtimeConversation(f"room-{number:03}", cname=f"room-{number:03}", agent=Agent(agent_id="a", user_id="u"))
"""
    )
    stack.up("--parallel", "64", RTCAI_MAX_RPS="1000").succeeded()
    assert len(live(emulator)) == len(set(rooms(emulator))) == 120
    stack.destroy("--parallel", "64").succeeded()
    assert live(emulator) == []


@pytest.mark.parametrize(("parallel", "limit"), [(32, 32), (64, 5)])
@pytest.mark.parametrize("command", ["up", "destroy"])
def test_as_many_requests_are_in_flight_as_the_concurrency_allows(
    stack: Stack, emulator: Emulator, command: str, parallel: int, limit: int
) -> None:
    stack.program(
        """
from rtcai_pulumi import Agent, RealtimeConversation
for number in range(40):
    RealtimeConversation(f"room-{number}", cname=f"room-{number}", agent=Agent(agent_id="a", user_id="u"))
"""
    )
    moment = "the create has been sent" if command == "up" else "the close has been sent"
    if command == "destroy":  # all its calls reach the plugin before the first one can widen the pool
        stack.up("--parallel", "4").succeeded()
    environment = {"RTCAI_CONCURRENCY": str(limit)} if limit != 32 else {}
    arguments = [command, "--yes", "--skip-preview", "--parallel", str(parallel)]
    with interrupted(stack, emulator, arguments, moment, count=limit, **environment) as run:
        if command == "destroy":  # on `up`, the engine starts no more calls: its checks wait for the pool too
            run.output.wait_for(r"RealtimeConversation room-\d+ deleting", times=min(parallel, 40))
        run.finish()
        assert run.process.returncode == 0
    assert emulator.stats()["maxInFlight"] == limit
    assert len(bodies(emulator, "create" if command == "up" else "close")) == 40


def test_where_the_pool_is_not_found_four_calls_run_at_once_and_only_debug_says_so(
    stack: Stack, emulator: Emulator
) -> None:
    stack.program(
        """
from rtcai_pulumi import Agent, RealtimeConversation
for number in range(8):
    RealtimeConversation(f"room-{number}", cname=f"room-{number}", agent=Agent(agent_id="a", user_id="u"))
"""
    )
    emulator.fault("create", "latency", before=1.0, times=None)
    hidden = {"TEST_HIDDEN_POOL": "1", "PYTHONPATH": str(HOOK)}
    line = "rtcai: the plugin's thread pool was not found; four calls run at a time"
    assert line not in stack.up(**hidden).succeeded().output
    assert emulator.stats()["maxInFlight"] == 4
    assert line in stack.up("--debug", **hidden).succeeded().output
