"""A dynamic provider of the user's own in the same program: our presence changes nothing for it."""

import itertools
import signal
import time

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import HOOK, PATIENCE, ends, interrupted, running, wait_for_end
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import UP
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more ends of a run; the frames of a neighbour are tried every day"),
    pytest.mark.shows("promise 7"),
]

OWN = '''
import os, time
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Ticket(ResourceProvider):
    serialize_as_secret_always = False

    def create(self, props):
        log(f"begin {props['number']:.0f}")
        if props["fails"]:
            raise LookupError("no tickets are left")
        wait(props["number"])
        log(f"end {props['number']:.0f}")
        return CreateResult(f"ticket-{props['number']:.0f}", props)

def log(line):
    with open(os.environ["LOG"], "a") as file:
        file.write(f"{line}\\n")

def wait(number):
    """Until the test releases it."""
    while not os.path.exists(os.environ["LOG"] + ".go"):
        time.sleep(0.02)

class TicketResource(Resource):
    def __init__(self, number, fails=False, opts=None):
        super().__init__(Ticket(), f"ticket-{number}", {"number": number, "fails": fails}, opts)
'''


@pytest.fixture(autouse=True)
def neighbour(stack: Stack) -> None:
    """Put the user's own module next to the program."""
    (stack.folder / "program" / "tickets.py").write_text(OWN, encoding="utf-8")
    stack.environment["LOG"] = str(stack.folder / "log")


def program(tickets: int, *, fails: bool = False, host: bool = True) -> str:
    own = f"import tickets\nfor number in range({tickets}):\n    tickets.TicketResource(number, {fails})\n"
    return own + (one_room() if host else "")


def logged(stack: Stack) -> list[str]:
    log = stack.folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def wait_for_lines(stack: Stack, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(logged(stack)) < count:
        assert time.monotonic() < until, logged(stack)
        time.sleep(0.02)


def let_go_on(stack: Stack) -> None:
    (stack.folder / "log.go").touch()


@pytest.mark.everyday
def test_its_errors_keep_their_frames_and_ours_have_none(stack: Stack, emulator: Emulator) -> None:
    emulator.fault("create", "answer", code=611, times=None)
    stack.program(program(1, fails=True))
    run = stack.up("--continue-on-error").failed(frames=True)
    theirs = run.output[run.output.rindex("Diagnostics:") :]
    assert "Traceback (most recent call last):" in theirs
    assert "in create" in theirs
    assert "LookupError: no tickets are left" in theirs
    assert "error: rtcai_pulumi.NotPermitted: The service did not start the agent" in theirs
    assert theirs.count("Traceback") == 1


def test_a_defect_of_ours_shows_where_it_is(stack: Stack) -> None:
    stack.program(one_room())
    stack.environment |= {"RTCAI_CONCURRENCY": "32", "TEST_DEFECT": "1", "PYTHONPATH": str(HOOK)}
    run = stack.up().failed(frames=True)
    assert "KeyError: 'a defect'" in run.output
    assert "rtcai_pulumi/lifecycle" in run.output


def test_its_running_call_is_not_cut_off_when_the_engine_dies(stack: Stack, emulator: Emulator) -> None:
    stack.program(program(1))
    with interrupted(stack, emulator, UP, "the create has been done") as run:
        wait_for_lines(stack, 1)
        (plugin,) = run.plugins()
        run.kill_engine()
        run.release()
        # Our own call has ended, and the watcher has checked the engine in the meantime.
        until = time.monotonic() + PATIENCE
        while live(emulator):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not ends(plugin, within=3)
        let_go_on(stack)
        wait_for_end(plugin)
    assert logged(stack) == ["begin 0", "end 0"]


@pytest.mark.parametrize("concurrency", some_of(["4", None]))
def test_how_many_of_its_calls_run_at_once_can_be_kept(
    stack: Stack, emulator: Emulator, concurrency: str | None
) -> None:
    environment = {"RTCAI_CONCURRENCY": concurrency} if concurrency else {}
    host = one_room().replace('RealtimeConversation("host"', 'host = RealtimeConversation("host"')
    # The pool is widened at the first call of our provider.
    after = program(12, host=False).replace("False)", "False, pulumi.ResourceOptions(depends_on=host))")
    stack.program(f"import pulumi\n{host}{after}")
    with running(stack, ["up", "--yes", "--skip-preview", "--parallel", "32"], **environment) as (process, _):
        wait_for_lines(stack, int(concurrency or 12))
        let_go_on(stack)
        assert process.wait(PATIENCE) == 0
    steps = [1 if line.startswith("begin") else -1 for line in logged(stack)]
    assert max(itertools.accumulate(steps)) == int(concurrency or 12)


@pytest.mark.shows("safety ctrl-c")
@pytest.mark.parametrize("waiting", ["room", "retry"])
@pytest.mark.parametrize("command", ["up"])
def test_one_ctrl_c_ends_a_wait_and_nothing_starts_afterwards(
    stack: Stack, emulator: Emulator, waiting: str, command: str
) -> None:
    stack.program(one_room(more=", wait_for_room=3600"))
    if waiting == "room":
        emulator.change_settings(rooms="required")
    else:
        emulator.fault("create", "answer", times=None, status=429, code=429, headers={"Retry-After": "60"})
    with running(stack, [command, "--yes", "--skip-preview"]) as (process, output):
        output.wait_for("waiting for it" if waiting == "room" else r"Retrying \(next attempt in")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) != 0
        text = output.ended()
    assert "The run was interrupted" in text
    emulator.clear_faults()
    emulator.open_room("keynote")
    asked = calls(emulator)
    assert live(emulator) == []
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote"]
    assert len(calls(emulator)) == len(asked) + 1
