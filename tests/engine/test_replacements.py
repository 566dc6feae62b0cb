"""The order of a replacement, for every reason for which the engine replaces an agent."""

from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import interrupted
from tests.engine.service import calls, live, overlaps, rooms
from tests.engine.stack import Run, Stack
from tests.engine.test_crashes import OF_A_CLOSE, OF_A_CREATE, UP, assert_settled, end, recover
from tests.engine.test_sequences import URN
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more causes of a replacement; each order is tried every day for one of them"),
    pytest.mark.shows("promise 6"),
]

STOP_FIRST, START_FIRST = ["close", "create"], ["create", "close"]
FIRST = ", replace_strategy='start-first'"


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")


def program(more: str = "", speed: float = 1, **opts: Any) -> str:
    """A program with one room and with Pulumi options."""
    options = ", ".join(f"{name}={value!r}" for name, value in opts.items())
    return f"import pulumi\n{one_room(tts=f', speed={speed}', more=f'{more}, opts=pulumi.ResourceOptions({options})')}"


CAUSES = ["change", "--replace", "taint", "trigger"]


def replace(stack: Stack, cause: str, more: str = "", **opts: Any) -> Run:
    """Have the engine replace the agent that runs with speed 1 and the trigger "first"."""
    opts = {"replacement_trigger": "second" if cause == "trigger" else "first", **opts}
    stack.program(program(more, speed=2 if cause == "change" else 1, **opts))
    if cause == "taint":
        stack.pulumi("state", "taint", URN, "--yes").succeeded()
    return stack.up(*(["--replace", URN] if cause == "--replace" else [])).succeeded()


def begin(stack: Stack, more: str = "", **opts: Any) -> None:
    stack.program(program(more, **{"replacement_trigger": "first", **opts}))
    stack.up().succeeded()


@pytest.mark.parametrize(
    ("more", "opts", "order", "causes"),
    [
        pytest.param(FIRST, {}, START_FIRST, ["--replace"], id="some", marks=pytest.mark.everyday),
        pytest.param("", {}, STOP_FIRST, CAUSES, id="default"),
        pytest.param(FIRST, {}, START_FIRST, CAUSES, id="start-first"),
        pytest.param(
            "",
            {"delete_before_replace": False},
            START_FIRST,
            CAUSES,
            id="create before delete",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            "",
            {"delete_before_replace": True},
            STOP_FIRST,
            CAUSES,
            id="delete before create",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_a_replacement_keeps_its_order(
    stack: Stack, emulator: Emulator, more: str, opts: dict[str, Any], order: list[str], causes: list[str]
) -> None:
    begin(stack, more, **opts)
    for cause in causes:
        print(cause)  # printed if the test fails
        before = calls(emulator)
        run = replace(stack, cause, more, **opts)
        assert calls(emulator) == [*before, *order]
        assert rooms(emulator) == ["keynote"]
        assert "warning" not in run.output
        begin(stack, more, **opts)  # a changed field or trigger is changed back
    assert (overlaps(emulator) == []) is (order == STOP_FIRST)
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize("cause", some_of(["--replace", "trigger"]))
def test_into_another_room_the_new_agent_starts_first(stack: Stack, emulator: Emulator, cause: str) -> None:
    begin(stack)
    trigger = "second" if cause == "trigger" else "first"
    stack.program(program(replacement_trigger=trigger).replace("'keynote'", "'elsewhere'"))
    stack.up(*(["--replace", URN] if cause == "--replace" else [])).succeeded()
    assert calls(emulator) == ["create", *START_FIRST]
    assert_settled(stack, emulator, ["elsewhere"])


def test_with_delete_before_replace_the_old_agent_stops_first_also_if_the_room_changes(
    stack: Stack, emulator: Emulator
) -> None:
    """As two agents need it that exchange their rooms."""
    stack.program(program(delete_before_replace=True))
    stack.up().succeeded()
    stack.program(program(delete_before_replace=True).replace("keynote", "elsewhere"))
    stack.up().succeeded()
    assert calls(emulator) == ["create", *STOP_FIRST]
    assert_settled(stack, emulator, ["elsewhere"])


@pytest.mark.parametrize("cause", some_of(["taint", "--replace", "trigger"]))
def test_an_agent_that_is_renamed_and_replaced_in_one_run_stops_first(
    stack: Stack, emulator: Emulator, cause: str
) -> None:
    begin(stack)
    if cause == "taint":
        stack.pulumi("state", "taint", URN, "--yes").succeeded()
    renamed = program(replacement_trigger="second" if cause == "trigger" else "first", aliases=[URN])
    stack.program(renamed.replace('"host"', '"mod"'))
    run = stack.up(*(["--replace", "**::mod"] if cause == "--replace" else [])).succeeded()
    assert "1 replaced" in run.output
    assert calls(emulator) == ["create", *STOP_FIRST]
    assert overlaps(emulator) == []
    assert_settled(stack, emulator, ["keynote"])


def test_a_start_first_replacement_under_another_endpoint_starts_nothing(stack: Stack, emulator: Emulator) -> None:
    begin(stack, FIRST)
    with Emulator() as other:
        run = stack.up("--replace", URN, RTCAI_ENDPOINT=other.url).failed()
        assert emulator.url in run.output
        assert other.url in run.output
        assert calls(other) == []
    assert calls(emulator) == ["create"]
    assert_settled(stack, emulator, ["keynote"])


def test_a_start_first_replacement_that_is_refused_leaves_the_old_agent(stack: Stack, emulator: Emulator) -> None:
    begin(stack, FIRST)
    (running,) = live(emulator)
    emulator.fault("create", "answer", code=611)
    stack.up("--replace", URN).failed()
    assert live(emulator) == [running]
    assert_settled(stack, emulator, ["keynote"])


def test_an_old_agent_that_cannot_be_closed_yet_is_closed_by_the_engine(stack: Stack, emulator: Emulator) -> None:
    begin(stack, FIRST)
    emulator.fault("close", "answer", code=601)
    run = stack.up("--replace", URN).succeeded()
    assert "the old agent (task " in run.output
    assert rooms(emulator) == ["keynote"]
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize(
    ("more", "opts"),
    [(FIRST, {"delete_before_replace": True}), (", replace_strategy='stop-first'", {"delete_before_replace": False})],
    ids=["start-first", "stop-first"],
)
def test_a_contradiction_is_reported_at_preview(
    stack: Stack, emulator: Emulator, more: str, opts: dict[str, Any]
) -> None:
    stack.program(program(more, **opts))
    run = stack.preview().failed()
    assert "contradicts the option delete_before_replace=" in run.output
    assert emulator.requests() == []


@pytest.mark.parametrize("path", some_of(["request_id", "*", "requestId", "wait_for_room"]))
def test_replace_on_changes_replaces_for_what_else_changes_nothing(stack: Stack, emulator: Emulator, path: str) -> None:
    for request_id, replaced in (("one", False), ("two", True), ("two", False)):
        stack.program(
            program(f", request_id={request_id!r}, wait_for_room={len(request_id)}", replace_on_changes=[path])
        )
        before = len(calls(emulator))
        output = stack.up().succeeded().output
        is_replaced = replaced and path != "wait_for_room"
        assert ("1 replaced" in output) is is_replaced
        if before and not is_replaced:
            assert len(calls(emulator)) == before


MOMENTS = [*OF_A_CREATE, *OF_A_CLOSE]


@pytest.mark.shows("safety start-first-killed")
@pytest.mark.parametrize("victim", some_of(["engine", "plugin"]))
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(each, marks=[] if each in {"the journal has it", "closing is noted"} else [pytest.mark.exhaustive])
        for each in MOMENTS
    ],
)
def test_a_start_first_replace_is_ended_at_a_moment(stack: Stack, emulator: Emulator, moment: str, victim: str) -> None:
    begin(stack, FIRST)
    with interrupted(stack, emulator, [*UP, "--replace", URN], moment) as run:
        end(run, victim)
    recover(stack)
    assert_settled(stack, emulator, ["keynote"])
