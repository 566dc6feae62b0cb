"""What no `up` settles any more, because nothing declares it: `rtcai ls` shows it and `rtcai sweep` ends it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import interrupted
from tests.engine.service import live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import DESTROY, ROOM, UP, end, recover
from tests.engine.test_up import one_room

RTCAI = str(Path(sys.executable).with_name("rtcai"))
ELSE = one_room(cname="else").replace('"host"', '"else"')
NAMED = ("--stack-name", "test", "--project-name", "rooms")


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")


def rtcai(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **stack.environment}
    return subprocess.run([RTCAI, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60)


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
    """Room and outcome of each agent that a sweep looked at."""
    run = rtcai(stack, "sweep", "--json", "--stack-export", exported(stack), *arguments)
    assert run.returncode == code, run.stderr
    return [(agent["cname"], agent["outcome"]) for agent in json.loads(run.stdout)["agents"]]


def killed(stack: Stack, emulator: Emulator, program: str, victim: str = "engine", moment: str = "") -> None:
    """A run that is killed, and whose plugin, where it lives on, is killed too, before it can clean up."""
    stack.program(program)
    with interrupted(stack, emulator, UP, moment or "the journal has it") as run:
        if victim == "engine":
            plugins = run.plugins()
            run.kill_engine()
            for plugin in plugins:
                os.kill(plugin, 9)
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
    # A stack of the same project in the same backend: its name alone tells them apart.
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


def test_a_stack_of_the_same_name_in_another_backend_is_left_alone(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    other = Stack(tmp_path / "other", emulator)
    other.environment["RTCAI_JOURNAL"] = stack.environment["RTCAI_JOURNAL"]
    killed(other, emulator, ELSE)
    assert swept(stack, "--yes", *NAMED) == []
    assert rooms(emulator) == ["else"]


def test_an_up_that_was_killed_before_a_destroy_is_swept_by_the_stack_s_name(stack: Stack, emulator: Emulator) -> None:
    killed(stack, emulator, ROOM)
    stack.pulumi(*DESTROY).succeeded()
    assert rooms(emulator) == ["keynote"]
    assert swept(stack, "--yes", *NAMED) == [("keynote", "closed")]
    assert live(emulator) == []


def test_a_running_up_is_left_alone(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    with interrupted(stack, emulator, UP, "the journal has it") as run:
        file = exported(stack)
        sweep = rtcai(stack, "sweep", "--yes", "--json", "--stack-export", file, *NAMED)
        run.finish()
    assert sweep.returncode == 0, sweep.stderr
    assert [agent["outcome"] for agent in json.loads(sweep.stdout)["agents"]] == ["process lives"]
    assert rooms(emulator) == ["keynote"]
    assert "2 unchanged" in stack.up().succeeded().output


def test_a_lost_create_is_reported_and_not_passed_over(stack: Stack, emulator: Emulator) -> None:
    killed(stack, emulator, ROOM, moment="the create has been done")
    run = rtcai(stack, "sweep", "--yes", "--stack-export", exported(stack), *NAMED)
    assert run.returncode == 3, run.stderr
    assert "Lost: " in run.stdout
    assert "room keynote, request " in run.stdout
    assert rooms(emulator) == ["keynote"]
