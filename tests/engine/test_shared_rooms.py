"""A room that two resources, two stacks or two machines know stays open while one of them has it in its state."""

from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack
from tests.engine.test_machines import machine
from tests.engine.test_room_changes import EVENT, URN, assert_agree, counting, creators, program
from tests.engine.test_rooms import no_room_opens_by_itself, opened
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more ways in which a room has two holders; the ways of one holder are tried every day"),
    pytest.mark.shows("promise 6", "promise 8"),
]

__all__ = ["counting", "no_room_opens_by_itself"]

FOYER = URN.replace("::hall", "::foyer")
ALIAS = {"aliases": "[pulumi.Alias(name='hall')]"}


def room(name: str = "hall", more: str = "", **opts: Any) -> str:
    """A program with a room and no agent."""
    return program(name, host=False, room=more, **opts)


# Two resources of one stack.


@pytest.mark.parametrize(
    "arguments",
    some_of([["destroy", "--target", URN], ["up", "--target", URN], ["up", "--exclude", FOYER]]),
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_room_stays_open_for_the_second_resource_that_holds_it(
    stack: Stack, emulator: Emulator, arguments: list[str]
) -> None:
    stack.program(room())
    stack.up().succeeded()
    before = opened(emulator)
    stack.program(room("foyer", ", adopt_existing=True"))
    stack.up("--target", FOYER).succeeded()
    stack.pulumi(*arguments, "--yes", "--skip-preview").succeeded()
    assert URN not in stack.state_text()
    assert opened(emulator) == before
    assert_agree(stack, emulator, [])
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert opened(emulator) == {}


# Two stacks.


@pytest.fixture
def second(stack: Stack, emulator: Emulator, tmp_path: Path) -> Stack:
    """A stack of the same name in another backend, on the same journal."""
    (tmp_path / "second").mkdir()
    other = Stack(tmp_path / "second", emulator)
    other.environment["RTCAI_JOURNAL"] = stack.environment["RTCAI_JOURNAL"]
    return other


def test_a_room_of_another_stack_is_not_taken(stack: Stack, second: Stack, emulator: Emulator) -> None:
    stack.program(room(more=", uid=41"))
    stack.up().succeeded()
    before = opened(emulator)
    second.program(room(more=", uid=41"))
    assert "RoomExists: Room hall is already open" in second.up().failed().output
    second.destroy().succeeded()
    assert opened(emulator) == before
    assert "2 unchanged" in stack.up().succeeded().output
    assert_agree(stack, emulator, [])
    stack.destroy().succeeded()
    assert opened(emulator) == {}


def test_an_adopted_room_of_another_stack_is_left_open_for_it(stack: Stack, second: Stack, emulator: Emulator) -> None:
    stack.program(room())
    stack.up().succeeded()
    before = opened(emulator)
    second.program(room(more=", adopt_existing=True"))
    second.up().succeeded()
    for each in (stack, second, stack):
        assert "2 unchanged" in each.up().succeeded().output
    second.destroy().succeeded()
    assert opened(emulator) == before
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert opened(emulator) == {}


def test_adopting_a_room_cannot_change_its_creator(stack: Stack, second: Stack, emulator: Emulator) -> None:
    stack.program(room(more=", uid=41"))
    stack.up().succeeded()
    second.program(room(more=", uid=42, adopt_existing=True"))
    run = second.up().failed()
    assert "creator" in run.output
    assert "set uid=41" in run.output
    assert creators(emulator) == [41]
    second.program(room(more=", uid=41, adopt_existing=True"))
    second.up().succeeded()
    assert creators(emulator) == [41]
    assert_agree(second, emulator, [])
    assert_agree(stack, emulator, [])


def test_adopting_a_stranger_s_room_cannot_change_its_creator(stack: Stack, emulator: Emulator) -> None:
    emulator.open_room("hall")
    before = opened(emulator)
    stack.program(room(more=", uid=42, adopt_existing=True"))
    assert "creator" in stack.up().failed().output
    assert opened(emulator) == before
    assert creators(emulator) == []


# Another machine with an empty journal.


def test_an_event_that_is_renamed_on_another_machine_keeps_its_rooms(stack: Stack, emulator: Emulator) -> None:
    stack.program(EVENT.format(name="expo", key="one"))
    stack.up(**machine(stack, "first")).succeeded()
    before = opened(emulator)
    stack.program(EVENT.format(name="fair", key="one"))
    stack.up(**machine(stack, "second")).succeeded()
    assert opened(emulator) == before
    assert_agree(stack, emulator, ["main", "two"])


@pytest.mark.parametrize("renamed", some_of([True, False]), ids=["renamed", "same name"])
def test_a_room_that_is_replaced_on_another_machine_stays_open(
    stack: Stack, emulator: Emulator, *, renamed: bool
) -> None:
    stack.program(room())
    stack.up(**machine(stack, "first")).succeeded()
    before = opened(emulator)
    if renamed:
        stack.program(room("foyer", **ALIAS))
        stack.up(**machine(stack, "first")).succeeded()
    stack.up("--replace", FOYER if renamed else URN, **machine(stack, "second")).succeeded()
    assert opened(emulator) == before
    assert_agree(stack, emulator, [])


def test_another_machine_is_refused_another_creator_in_use(stack: Stack, emulator: Emulator, counting: str) -> None:
    stack.program(program(room=", uid=41"))
    stack.up(**machine(stack, "first")).succeeded()
    stack.program(program(room=", uid=42"))
    run = stack.up(**machine(stack, "second")).failed()
    assert "RoomInUse: The uid of room hall cannot be changed now" in run.output
    assert "RoomExists" not in run.output
    assert creators(emulator) == [41]
    assert_agree(stack, emulator, ["hall"])


# A new name and a replacement in one run.


@pytest.mark.parametrize("cause", some_of(["taint", "--replace", "trigger"]))
def test_a_room_that_is_renamed_and_replaced_in_one_run_stays_open(
    stack: Stack, emulator: Emulator, cause: str
) -> None:
    stack.program(room(replacement_trigger="'first'"))
    stack.up().succeeded()
    before = opened(emulator)
    if cause == "taint":
        stack.pulumi("state", "taint", URN, "--yes").succeeded()
    trigger = "'second'" if cause == "trigger" else "'first'"
    stack.program(room("foyer", replacement_trigger=trigger, **ALIAS))
    # The engine looks for a complete URN in the state, which does not contain the new name yet.
    run = stack.up(*(["--replace", "**::foyer"] if cause == "--replace" else [])).succeeded()
    assert "1 replaced" in run.output
    assert opened(emulator) == before
    assert_agree(stack, emulator, [])
    assert "2 unchanged" in stack.up().succeeded().output
