"""Two machines, each with its own journal, deploy one stack in turn."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.sqlite.snapshot import JournalSnapshot
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_sequences import URN, shortened_patience
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("two machines with a journal each need ten commands"),
    pytest.mark.shows("promise 2", "promise 8"),
]


def machine(stack: Stack, name: str) -> dict[str, str]:
    """The environment of a machine."""
    return {"RTCAI_JOURNAL": str(stack.folder / f"journal-{name}.db")}


@pytest.mark.shows("safety replaced-elsewhere")
@pytest.mark.parametrize(
    "answer",
    some_of(
        [
            {"code": 400, "errmsg": "bad"},
            {"code": 611},
            {"status": 403, "code": 777},
            None,
        ]
    ),
    ids=str,
)
def test_what_another_machine_has_replaced_is_cleaned_up_once(
    stack: Stack, emulator: Emulator, answer: dict[str, object] | None
) -> None:
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(one_room())
    stack.up(**first).succeeded()
    stack.program(one_room(tts=", speed=2"))
    stack.up(**second).succeeded()
    (agent,) = live(emulator)

    # A drift check on the first machine, with the program that the second one has deployed.
    drift = stack.preview("--expect-no-changes", **first).failed()
    assert "1 to update" in drift.output
    if answer:
        emulator.fault("close", "answer", times=None, **answer)  # type: ignore[arg-type]  # parts of an answer
    run = stack.up(**first).succeeded()
    assert "1 updated" in run.output
    assert ("the service refuses to stop" in run.output) is (answer is not None)
    asked = len(calls(emulator))
    assert "2 unchanged" in stack.preview("--expect-no-changes", **first).succeeded().output
    again = stack.up(**first).succeeded()
    assert "2 unchanged" in again.output
    assert "the service refuses to stop" not in again.output
    assert len(calls(emulator)) == asked
    assert live(emulator) == [agent]
    if answer:
        rtcai = [str(Path(sys.executable).with_name("rtcai")), "ls", "--stack", "test", "--json"]
        environment = {**stack.selected(), **first}
        listed = subprocess.run(
            rtcai, cwd=stack.folder / "program", env=environment, check=True, capture_output=True, text=True
        )
        assert sorted(each["mark"] for each in json.loads(listed.stdout)) == ["in state", "refused"]
        emulator.clear_faults()
    stack.program(one_room(tts=", speed=1.5"))
    stack.up(**first).succeeded()
    assert rooms(emulator) == ["keynote"]
    stack.destroy(**second).succeeded()
    assert live(emulator) == []


def test_a_refused_close_does_not_fail_a_changed_program_either(stack: Stack, emulator: Emulator) -> None:
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(one_room())
    stack.up(**first).succeeded()
    (old,) = live(emulator)
    stack.program(one_room(tts=", speed=2"))
    stack.up(**second).succeeded()
    stack.program(one_room(tts=", speed=1.5"))
    # Only the close of an agent that ended long ago is refused.
    emulator.change_settings(dedup="replay")
    emulator.fault("close", "answer", skip=1, code=400, errmsg="unknown")
    run = stack.up(**first).succeeded()
    assert (
        f"the service refuses to stop task {old['cid']}/{old['taskId']}. A run on another machine has probably replaced"
        in run.output
    )
    assert rooms(emulator) == ["keynote"]
    assert "2 unchanged" in stack.up(**first).succeeded().output


def test_what_a_killed_run_left_here_is_closed_although_another_machine_has_deployed(
    stack: Stack, emulator: Emulator
) -> None:
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(one_room())
    stack.up(**first).succeeded()
    (left,) = live(emulator)
    stack.pulumi("state", "delete", URN, "--yes").succeeded()
    stack.up(**second).succeeded()
    assert rooms(emulator) == ["keynote", "keynote"]
    stack.up(**first).succeeded()
    assert left not in live(emulator)
    assert rooms(emulator) == ["keynote"]
    journal = JournalSnapshot(Path(first["RTCAI_JOURNAL"]))
    assert [record.is_unfinished for record in journal.records()] == [False, True]
    journal.close()


@pytest.mark.parametrize("answer", some_of([{"status": 401, "code": 402}, {"status": 429, "code": 429}]))
def test_a_refused_login_or_rate_is_still_an_error(stack: Stack, emulator: Emulator, answer: dict[str, int]) -> None:
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(one_room())
    stack.up(**first).succeeded()
    stack.program(one_room(tts=", speed=2"))
    stack.up(**second).succeeded()
    emulator.fault("close", "answer", times=None, **answer)  # type: ignore[arg-type]  # parts of an answer
    with shortened_patience(stack):
        stack.up(**first).failed()
    emulator.clear_faults()
    stack.up(**first).succeeded()
    assert "2 unchanged" in stack.up(**first).succeeded().output


@pytest.mark.shows("safety journal-older")
@pytest.mark.parametrize("arguments", [[], ["--replace", URN]], ids=["unchanged", "replaced"])
def test_a_journal_that_is_older_than_the_state_does_not_stop_the_agent(
    stack: Stack, emulator: Emulator, arguments: list[str]
) -> None:
    """As on CI machines that are thrown away, if one of them died before it had saved the journal."""
    emulator.change_settings(dedup="replay")
    first, second = machine(stack, "first"), machine(stack, "second")
    stack.program(one_room())
    emulator.fault("create", "reset", work=True)
    stack.up(**first).failed()
    shutil.copy(first["RTCAI_JOURNAL"], second["RTCAI_JOURNAL"])
    stack.up(**first).succeeded()
    (agent,) = live(emulator)
    stack.up(*arguments, **second).succeeded()
    assert rooms(emulator) == ["keynote"]
    assert (live(emulator) == [agent]) is not bool(arguments)
    assert "2 unchanged" in stack.up("--refresh", **second).succeeded().output
    stack.destroy(**second).succeeded()
    assert live(emulator) == []


@pytest.mark.shows("safety adopt-elsewhere")
def test_a_replacement_on_another_machine_does_not_adopt_again(stack: Stack, emulator: Emulator) -> None:
    first, second, third = (machine(stack, name) for name in ("first", "second", "third"))
    stack.program(one_room())
    stack.up(**first).succeeded()
    stack.pulumi("state", "delete", URN, "--yes").succeeded()
    (agent,) = live(emulator)
    stack.program(one_room(more=f", adopt='{agent['cid']}/{agent['taskId']}'"))
    stack.up(**second).succeeded()
    assert live(emulator) == [agent]
    stack.up("--replace", URN, **third).succeeded()
    assert rooms(emulator) == ["keynote"]
    assert live(emulator) != [agent]
    assert "2 unchanged" in stack.up("--refresh", **third).succeeded().output
