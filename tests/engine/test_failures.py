"""A room that fails in the middle of an `up` silences no other room."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import indent

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.cli.test_ls import in_hours
from tests.emulator.raw import until
from tests.engine.crash import PATIENCE, Output, running
from tests.engine.service import calls, live, overlaps, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import assert_settled
from tests.engine.test_sequences import URN
from tests.engine.test_up import one_room

pytestmark = [
    pytest.mark.full("one failure is tried every day; tests/unit tries each rule without the engine"),
    pytest.mark.shows("safety one-room-fails"),
]

ROOMS = ["keynote", "lobby", "stage", "workshop"]
OTHERS = ROOMS[1:]
UP = ["up", "--yes", "--skip-preview"]


def program(tts: str = "", more: str = "", opts: str = "", rooms: Sequence[str] = ROOMS) -> str:
    """A program with an agent in each room."""
    options = f", opts=pulumi.ResourceOptions({opts})"
    texts = [one_room(cname=name, tts=tts, more=options).replace('"host"', f'"{name}"') for name in rooms]
    return "import pulumi\n" + "".join(texts) + more


GATED = """
import asyncio, pathlib, pulumi

async def opened():
    while not pathlib.Path({gate!r}).exists():
        await asyncio.sleep(0.05)

def declare(_):
{block}

pulumi.Output.from_input(opened()).apply(declare)
"""


def declared_later(text: str, gate: Path) -> str:
    """A program that runs a text when a file exists: its resources come after others, on a slow machine as well."""
    return GATED.format(gate=str(gate), block=indent(text, "    "))


@contextmanager
def held(emulator: Emulator, verb: str, cnames: list[str]) -> Iterator[None]:
    """Hold the requests of rooms at the service for the time of the block."""
    with ExitStack() as holds:
        for cname in cnames:
            holds.enter_context(emulator.hold(verb, cname=cname))  # type: ignore[arg-type]  # a verb of the API
        yield


def closes(emulator: Emulator) -> list[str]:
    return [call for call in calls(emulator) if call == "close"]


def agents(emulator: Emulator) -> dict[str, str]:
    return {task["cname"]: task["taskId"] for task in live(emulator)}


def output_of_failure(process: subprocess.Popen[str], output: Output) -> str:
    assert process.wait(60) != 0
    return output.ended()


def start_all(stack: Stack, emulator: Emulator) -> dict[str, str]:
    stack.program(program())
    stack.up().succeeded()
    return agents(emulator)


REPLACE = [option for name in ROOMS for option in ("--replace", URN.replace("host", name))]
KINDS = [
    pytest.param(program(tts=", speed=2"), [], id="another configuration", marks=pytest.mark.everyday),
    pytest.param(program(opts="delete_before_replace=True"), REPLACE, id="--replace"),
]


@pytest.mark.parametrize(("after", "options"), KINDS)
def test_a_refused_create_silences_only_its_room(
    stack: Stack, emulator: Emulator, after: str, options: list[str]
) -> None:
    before = start_all(stack, emulator)
    stack.program(after)
    emulator.fault("create", "answer", code=611, cname="keynote")
    with running(stack, [*UP, *options]) as (process, output):
        with held(emulator, "close", OTHERS):
            # Each room is between its two steps when the create is refused.
            with held(emulator, "close", ["keynote"]):
                until(lambda: len(closes(emulator)) == len(ROOMS), PATIENCE)
            output.wait_for("it waits for the new agents of: lobby, stage, workshop")
        text = output_of_failure(process, output)
    assert rooms(emulator) == OTHERS, text
    assert all(task != before[cname] for cname, task in agents(emulator).items()), text
    stack.up().succeeded()
    assert overlaps(emulator) == []
    assert_settled(stack, emulator, ROOMS)


def test_an_agent_whose_turn_comes_after_a_failure_keeps_running(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    before = start_all(stack, emulator)
    gate = tmp_path / "gate"
    others = declared_later(program(tts=", speed=2", rooms=OTHERS), gate)
    stack.program(program(tts=", speed=2", rooms=["keynote"]) + others)
    emulator.fault("create", "answer", code=611, cname="keynote")
    holds = {cname: emulator.hold("close", cname=cname) for cname in OTHERS}
    with running(stack, [*UP, "--parallel", "3"]) as (process, output):
        with held(emulator, "close", ["keynote"]):
            until(lambda: len(closes(emulator)) == 1, PATIENCE)
            gate.touch()
            until(lambda: len(closes(emulator)) == 3, PATIENCE)
            output.wait_for(f"({'|'.join(OTHERS)}) deleting original", times=2)
        output.wait_for("it waits for the new agents of")
        first, second = (name for name in OTHERS if re.search(f"{name} deleting original", output.text))
        holds[first].release()
        (third,) = set(OTHERS) - {first, second}
        output.wait_for(f"{third} deleting original")
        for hold in holds.values():
            hold.release()
        text = output_of_failure(process, output)
    after = agents(emulator)
    assert after.keys() == set(OTHERS)
    assert after[third] == before[third], text
    assert before[first] != after[first]
    assert before[second] != after[second]
    assert "keeps running: another resource of this run has failed" in text
    stack.up().succeeded()
    assert_settled(stack, emulator, ROOMS)


def test_errors_that_wait_do_not_take_the_threads_of_what_they_wait_for(
    stack: Stack, emulator: Emulator, tmp_path: Path
) -> None:
    """There are more failures than threads: the plugin process has at least four."""
    bad, good = [f"bad-{number}" for number in range(5)], "good"
    stack.program(program(rooms=[*bad, good]))
    stack.up().succeeded()
    before = agents(emulator)
    gate = tmp_path / "gate"
    later = declared_later(program(rooms=bad, tts=", speed=2"), gate)
    stack.program(program(rooms=[good], tts=", speed=2") + later)
    for cname in bad:
        emulator.fault("create", "answer", code=611, cname=cname)
    stack.environment["RTCAI_CONCURRENCY"] = "2"
    with running(stack, UP) as (process, output):
        with held(emulator, "close", [good]):
            until(lambda: len(closes(emulator)) == 1, PATIENCE)
            with held(emulator, "close", bad):
                gate.touch()
                output.wait_for("deleting original", times=4)
                until(lambda: len(closes(emulator)) == 2, PATIENCE)
            output.wait_for("it waits for the new agents of")
        text = output_of_failure(process, output)
    after = agents(emulator)
    assert good in after, text
    # A room whose turn came after the first failure keeps its agent.
    assert {room: task for room, task in after.items() if room != good}.items() <= before.items()
    assert "have no agent now" not in text
    emulator.clear_faults()  # a room whose turn came after the first failure was not created again
    stack.up().succeeded()
    assert_settled(stack, emulator, sorted([*bad, good]))


def test_an_error_that_a_hook_repairs_refuses_nothing(stack: Stack, emulator: Emulator) -> None:
    hook = 'hooks=pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("again", lambda _: True)])'
    stack.program(program(opts=hook, rooms=["keynote"]) + program(rooms=OTHERS))
    stack.up().succeeded()
    before = agents(emulator)
    stack.program(program(opts=hook, rooms=["keynote"], tts=", speed=2") + program(rooms=OTHERS, tts=", speed=2"))
    emulator.fault("create", "answer", code=611, cname="keynote")
    stack.up("--skip-preview", "--parallel", "1").succeeded()
    assert all(task != before[cname] for cname, task in agents(emulator).items())
    assert overlaps(emulator) == []
    assert_settled(stack, emulator, ROOMS)


def test_an_agent_that_depends_on_the_failed_one_is_not_waited_for_long(stack: Stack, emulator: Emulator) -> None:
    """Its create comes after the failed one, so it never comes."""

    def dependent(speed: str) -> str:
        first = one_room(tts=f", speed={speed}").replace("RealtimeConversation(", "first = RealtimeConversation(")
        second = 'RealtimeConversation("second", cname="lobby", agent=Agent(agent_id=first.task_id, user_id="u"))'
        return f"{first}\nfrom rtcai_pulumi import Agent\n{second}\n"

    stack.program(dependent("1"))
    stack.up().succeeded()
    stack.program(dependent("2"))
    emulator.fault("create", "answer", code=611, cname="keynote")
    run = stack.up("--skip-preview").failed()
    assert "611" in run.output
    if "lobby" not in rooms(emulator):
        assert "these rooms have no agent now: lobby" in run.output
    stack.up().succeeded()
    assert_settled(stack, emulator, ["keynote", "lobby"])


def test_a_new_room_whose_end_has_passed_silences_no_other(stack: Stack, emulator: Emulator, tmp_path: Path) -> None:
    start_all(stack, emulator)
    gate = tmp_path / "gate"
    late = one_room(cname="late", more=f", ends_at={in_hours(-1)!r}").replace('"host"', '"late"')
    stack.program(program(tts=", speed=2", more=declared_later(late, gate)))
    with running(stack, UP) as (process, output):
        with held(emulator, "close", ROOMS):
            until(lambda: len(closes(emulator)) == len(ROOMS), PATIENCE)
            gate.touch()
            output.wait_for("it waits for the new agents of")
        text = output_of_failure(process, output)
    assert "endsAt" in text
    assert rooms(emulator) == ROOMS, text
    assert "late" not in agents(emulator)


def test_with_continue_on_error_all_others_are_replaced(stack: Stack, emulator: Emulator) -> None:
    before = start_all(stack, emulator)
    stack.program(program(tts=", speed=2"))
    emulator.fault("create", "answer", code=611, cname="keynote")
    for arguments, environment in ((["--continue-on-error"], {}), ([], {"PULUMI_CONTINUE_ON_ERROR": "true"})):
        run = stack.up("--skip-preview", "--parallel", "1", *arguments, **environment).failed()
        assert rooms(emulator) == OTHERS, run.output
        assert all(task != before[cname] for cname, task in agents(emulator).items()), run.output
        before = agents(emulator)
        stack.program(program(tts=", speed=1.5"))
        emulator.fault("create", "answer", code=611, cname="keynote")
