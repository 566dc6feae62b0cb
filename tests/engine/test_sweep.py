"""Agents that no `up` recovers, because no program declares them: `rtcai ls` lists them, `rtcai sweep` stops them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import interrupted, kill_all
from tests.engine.service import live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import CHANGED, DESTROY, ROOM, UP, end, recover
from tests.engine.test_up import one_room

pytestmark = [
    pytest.mark.full("more ways to an agent that nothing declares; tests/cli tries each command without the engine"),
    pytest.mark.shows("safety not-declared"),
]

RTCAI = str(Path(sys.executable).with_name("rtcai"))
ELSE = one_room(cname="else").replace('"host"', '"else"')
NAMED = ("--stack-name", "test", "--project-name", "rooms")


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")


def rtcai(stack: Stack, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **stack.environment, **more}
    return subprocess.run(
        [RTCAI, *arguments],
        cwd=stack.folder / "program",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def exported(stack: Stack) -> str:
    file = str(stack.folder / "export.json")
    stack.pulumi("stack", "export", "--file", file).succeeded()
    return file


def marks(stack: Stack, *arguments: str) -> dict[str, str | None]:
    """The mark of each agent, by its room."""
    run = rtcai(stack, "ls", "--json", "--stack-export", exported(stack), *arguments)
    assert run.returncode == 0, run.stderr
    return {agent["cname"]: agent["mark"] for agent in json.loads(run.stdout)}


def swept(stack: Stack, *arguments: str, code: int = 0) -> list[tuple[Any, Any]]:
    """Room and outcome of each agent that a sweep checked."""
    run = rtcai(stack, "sweep", "--json", "--stack-export", exported(stack), *arguments)
    assert run.returncode == code, run.stderr
    return [(agent["cname"], agent["outcome"]) for agent in json.loads(run.stdout)["agents"]]


def killed(stack: Stack, emulator: Emulator, program: str, victim: str = "engine", moment: str = "") -> None:
    """A run that is killed. If its plugin survives, it is killed too, before it can clean up."""
    stack.program(program)
    with interrupted(stack, emulator, UP, moment or "the journal has it") as run:
        if victim == "engine":
            plugins = run.plugins()
            run.kill_engine()
            kill_all(plugins)
        end(run, victim)
    stack.pulumi("cancel", "--yes")


@pytest.mark.parametrize("victim", ["engine", "plugin"])
def test_an_agent_that_is_not_declared_any_more_is_shown_and_ended(
    stack: Stack, emulator: Emulator, victim: str
) -> None:
    stack.program(ELSE)
    stack.up().succeeded()
    killed(stack, emulator, ELSE + ROOM, victim)
    stack.program(ELSE)
    recover(stack)
    assert rooms(emulator) == ["else", "keynote"]
    assert marks(stack) == {"else": "in state", "keynote": "unclaimed"}
    assert swept(stack, code=2) == [("keynote", "to close")]
    assert rooms(emulator) == ["else", "keynote"]
    assert swept(stack, "--yes") == [("keynote", "closed")]
    assert rooms(emulator) == ["else"]
    assert swept(stack, "--yes") == []
    assert "2 unchanged" in stack.up().succeeded().output


def test_a_sweep_of_one_stack_leaves_the_other_s(stack: Stack, emulator: Emulator, tmp_path: Path) -> None:
    # A stack of the same project in the same backend: only its name is different.
    other = Stack(tmp_path / "other", emulator, "other")
    other.environment |= {name: stack.environment[name] for name in ("RTCAI_JOURNAL", "PULUMI_BACKEND_URL")}
    other.pulumi("stack", "init", "other").succeeded()
    killed(other, emulator, ELSE)
    killed(stack, emulator, ROOM)
    assert rooms(emulator) == ["else", "keynote"]
    assert swept(stack, "--yes", *NAMED) == [("keynote", "closed")]
    assert rooms(emulator) == ["else"]
    other.program("")
    assert swept(other, "--yes", "--stack-name", "other", "--project-name", "rooms") == [("else", "closed")]
    assert live(emulator) == []


def test_two_stacks_under_two_app_keys_on_one_journal_are_swept_each_under_its_own(
    tmp_path: Path,
) -> None:
    with Emulator(accounts={"first-key": "first-secret", "second-key": "second-secret"}, dedup="replay") as emulator:
        stacks = [Stack(tmp_path / name, emulator, name) for name in ("first", "second")]
        for stack in stacks:
            stack.environment |= {
                "RTCAI_APP_KEY": f"{stack.name}-key",
                "RTCAI_APP_SECRET": f"{stack.name}-secret",
                "RTCAI_JOURNAL": str(tmp_path / "journal.db"),
                "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
            }
            (tmp_path / "backend").mkdir(exist_ok=True)
            stack.pulumi("stack", "init", stack.name).succeeded()
            stack.program(ELSE)
            stack.up().succeeded()
            killed(stack, emulator, ELSE + ROOM)
        first, second = stacks
        named = ["--stack", "first", "--yes"]
        as_the_other = {name: second.environment[name] for name in ("RTCAI_APP_KEY", "RTCAI_APP_SECRET")}
        refused = rtcai(first, "sweep", *named, **as_the_other)
        assert refused.returncode == 1
        assert "RTCAI_APP_KEY is second-key" in refused.stdout
        assert rooms(emulator) == ["else", "else", "keynote", "keynote"]
        assert rtcai(first, "sweep", *named).returncode == 0
        left = sorted((task["appKey"], task["cname"]) for task in live(emulator))
        assert left == [("first-key", "else"), ("second-key", "else"), ("second-key", "keynote")]
        assert rtcai(second, "sweep", "--stack", "second", "--yes").returncode == 0
        assert sorted((task["appKey"], task["cname"]) for task in live(emulator)) == left[:2]


def test_a_stack_of_the_same_name_in_another_backend_is_left_alone(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    other = Stack(tmp_path / "other", emulator)
    other.environment["RTCAI_JOURNAL"] = stack.environment["RTCAI_JOURNAL"]
    killed(other, emulator, ELSE)
    assert swept(stack, "--yes", *NAMED, code=3) == []
    assert rooms(emulator) == ["else"]


def test_an_up_that_was_killed_before_a_destroy_is_swept_by_the_stack_s_name(stack: Stack, emulator: Emulator) -> None:
    killed(stack, emulator, ROOM)
    stack.pulumi(*DESTROY).succeeded()
    assert rooms(emulator) == ["keynote"]
    assert swept(stack, "--yes", *NAMED) == [("keynote", "closed")]
    assert live(emulator) == []


def test_a_lost_create_is_reported_and_not_passed_over(stack: Stack, emulator: Emulator) -> None:
    killed(stack, emulator, ROOM, moment="the create has been done")
    run = rtcai(stack, "sweep", "--yes", "--stack-export", exported(stack), *NAMED)
    assert run.returncode == 3, run.stderr
    assert "Lost: " in run.stdout
    assert "room keynote, request " in run.stdout
    assert rooms(emulator) == ["keynote"]


@pytest.mark.everyday
@pytest.mark.shows("rtcai ls", "rtcai show", "rtcai sweep", "promise 1")
def test_by_its_name_a_stack_is_read_and_swept_from_the_project_s_folder(stack: Stack, emulator: Emulator) -> None:
    killed(stack, emulator, ROOM)
    stack.program(ELSE)
    recover(stack)
    listed = rtcai(stack, "ls", "--stack", "test", "--json")
    assert listed.returncode == 0, listed.stderr
    marks = {agent["cname"]: agent["mark"] for agent in json.loads(listed.stdout)}
    assert marks == {"else": "in state", "keynote": "unclaimed"}
    (room,) = stack.conversations().values()
    printed = rtcai(stack, "show", room["id"], "--stack", "test", "--json")
    assert (json.loads(printed.stdout)["mark"], json.loads(printed.stdout)["room"]) == ("in state", "open")
    sweep = rtcai(stack, "sweep", "--stack", "test", "--yes")
    assert sweep.returncode == 0, sweep.stderr
    assert "Closed:\n  room keynote, task " in sweep.stdout
    assert rooms(emulator) == ["else"]
    # An empty state names neither stack nor project: they come from the option and from the project file.
    stack.destroy().succeeded()
    killed(stack, emulator, ROOM)
    stack.pulumi(*DESTROY).succeeded()
    assert rtcai(stack, "sweep", "--stack", "test", "--yes").returncode == 0
    assert live(emulator) == []


@pytest.mark.parametrize("how", ["--stack", "--stack-export"])
def test_a_stack_that_a_running_up_has_locked_is_not_swept(stack: Stack, emulator: Emulator, how: str) -> None:
    killed(stack, emulator, ROOM)
    stack.program(ELSE)
    with interrupted(stack, emulator, UP, "the journal has it") as run:
        sweep = rtcai(stack, "sweep", how, "test" if how == "--stack" else exported(stack), *NAMED, "--yes")
        run.finish()
    assert sweep.returncode == 1
    assert "The stack is locked: process " in sweep.stderr
    assert "`pulumi cancel` unlocks" in sweep.stderr
    assert rooms(emulator) == ["else", "keynote"]


def test_a_stack_that_cannot_be_read_is_one_clear_error(stack: Stack, emulator: Emulator) -> None:
    killed(stack, emulator, ROOM)
    for command in (["sweep", "--yes"], ["ls"], ["show", "1/a"]):
        run = rtcai(stack, *command, "--stack", "nowhere")
        assert run.returncode == 1
        assert "`pulumi stack export --stack nowhere` failed: " in run.stderr
        assert "to do: " in run.stderr
    assert rooms(emulator) == ["keynote"]


@pytest.mark.everyday
@pytest.mark.shows("rtcai close", "rtcai release")
def test_what_was_closed_by_hand_is_started_again_and_what_was_released_is_not_touched(
    stack: Stack, emulator: Emulator
) -> None:
    stack.program(ROOM + ELSE)
    stack.up().succeeded()
    tasks = {room["outputs"]["cname"]: room["id"] for room in stack.conversations().values()}
    assert rtcai(stack, "close", tasks["keynote"], "--yes").returncode == 0
    assert rooms(emulator) == ["else"]
    assert "1 replaced" in stack.up().succeeded().output
    assert rooms(emulator) == ["else", "keynote"]
    assert rtcai(stack, "release", tasks["else"], "--yes").returncode == 0
    urn = stack.conversations()["else"]["urn"]
    stack.pulumi("state", "delete", urn, "--yes").succeeded()
    stack.program(ROOM)
    assert "2 unchanged" in stack.up().succeeded().output
    assert rtcai(stack, "sweep", "--stack", "test", "--yes").returncode == 0
    assert rooms(emulator) == ["else", "keynote"]


@pytest.mark.everyday
@pytest.mark.shows("rtcai pending", "promise 1")
def test_a_killed_create_that_no_journal_knows_is_found_and_named(stack: Stack, emulator: Emulator) -> None:
    stack.program(ELSE)
    stack.up().succeeded()
    assert rtcai(stack, "pending", "--stack", "test").returncode == 0
    killed(stack, emulator, ELSE + ROOM, moment="the create has been done")
    assert rtcai(stack, "pending", "--stack", "test").returncode == 0
    # If the resource had another configuration before, the agent is identified by the configuration that was requested.
    recover(stack)
    killed(stack, emulator, ELSE + CHANGED, moment="the create has been done")
    assert rtcai(stack, "pending", "--stack", "test").returncode == 0
    for part in stack.folder.glob("journal.db*"):
        part.unlink()
    run = rtcai(stack, "pending", "--stack", "test")
    assert (run.returncode, run.stdout) == (1, "room keynote (host)\n")
    assert "to do: restore the journal of that run" in run.stderr
    run = rtcai(stack, "pending", "--stack-export", exported(stack), "--json")
    assert [each["cname"] for each in json.loads(run.stdout)] == ["keynote"]
