"""A preview changes nothing anywhere, and works if nothing can be written."""

import os
import shutil
import sqlite3
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.sqlite.snapshot import JournalSnapshot
from tests.engine.crash import interrupted
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Run, Stack, cli
from tests.engine.test_crashes import CHANGED, ROOM, UP, assert_settled, recover
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more places and owners of a journal; one preview of each kind is tried every day"),
    pytest.mark.shows("promise 2"),
]

RENAMED = "import pulumi\n" + one_room(
    more=", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name='host')])"
).replace('"host"', '"moderator"')


def written(folder: Path) -> dict[str, Any]:
    """Every file of a folder, with its content and the time of its last change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def journal_folder(stack: Stack) -> Path:
    """A folder only for the journal, so a test can compare all of it."""
    folder = stack.folder / "journal"
    folder.mkdir()
    stack.environment["RTCAI_JOURNAL"] = str(folder / "journal.db")
    return folder


@pytest.fixture
def before(request: pytest.FixtureRequest, stack: Stack, emulator: Emulator) -> Path:
    """The journal's folder after a run that "ended", or after one that was "killed" with its plugin."""
    emulator.change_settings(dedup="replay")
    folder = journal_folder(stack)
    stack.program(ROOM)
    stack.up().succeeded()
    if request.param == "killed":
        stack.program(CHANGED)
        with interrupted(stack, emulator, UP, "the journal has it") as run:
            run.kill_both()
        stack.pulumi("cancel", "--yes")
        stack.program(ROOM)
    return folder


AFTER_EITHER = pytest.mark.parametrize("before", some_of(["killed", "ended"]), indirect=True)
AFTER_A_KILL = pytest.mark.parametrize("before", ["killed"], indirect=True)
PROGRAMS = [ROOM, CHANGED, RENAMED, ""]
PREVIEWS = [["preview", "--refresh"], ["preview"], ["refresh", "--preview-only"], ["destroy", "--preview-only"]]


@pytest.mark.shows("safety preview")
@pytest.mark.parametrize(
    ("before", "tried"),
    [
        pytest.param("killed", list(zip(PROGRAMS, PREVIEWS, strict=True)), id="killed", marks=pytest.mark.everyday),
        pytest.param("killed", list(product(PROGRAMS, PREVIEWS)), id="killed, all pairs", marks=pytest.mark.exhaustive),
        pytest.param("ended", list(product(PROGRAMS, PREVIEWS)), id="ended, all pairs", marks=pytest.mark.exhaustive),
    ],
    indirect=["before"],
)
def test_a_preview_writes_nothing(
    stack: Stack, emulator: Emulator, before: Path, tried: list[tuple[str, list[str]]]
) -> None:
    files, asked = written(before), len(calls(emulator))
    for program, command in tried:
        stack.program(program)
        stack.pulumi(*command).succeeded()
        assert written(before) == files, f"{command} of {program!r}"
    assert len(calls(emulator)) == asked
    stack.program(ROOM)
    recover(stack)
    assert_settled(stack, emulator, ["keynote"])


def test_a_preview_of_a_new_stack_makes_no_journal(stack: Stack) -> None:
    folder = journal_folder(stack)
    stack.program(ROOM)
    assert "+ 2 to create" in stack.preview().succeeded().output
    assert list(folder.iterdir()) == []


@pytest.mark.shows("safety preview")
def test_a_previewed_rename_does_not_own_the_agent(stack: Stack, emulator: Emulator) -> None:
    stack.program(ROOM)
    stack.up().succeeded()
    (on_air,) = live(emulator)
    stack.program(RENAMED)
    assert "1 to update" in stack.preview().succeeded().output
    both = ROOM + one_room(cname="else").replace('"host"', '"moderator"')
    stack.program(both)
    assert "stopping task" not in stack.up().succeeded().output
    assert on_air in live(emulator)
    assert rooms(emulator) == ["else", "keynote"]


def previewed_read_only(stack: Stack, folder: Path) -> Run:
    """A preview that cannot write to a folder, no matter which user runs the tests."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = f'mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec "$@"'
    done = subprocess.run(
        [*namespace, "sh", "-c", mount, "preview", cli(), "preview", "--non-interactive"],
        cwd=stack.folder / "program",
        env=stack.selected(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )
    return Run(done.returncode, done.stdout)


@AFTER_EITHER
def test_a_preview_knows_a_journal_that_cannot_be_written(stack: Stack, before: Path) -> None:
    files = written(before)
    planned = stack.preview().succeeded().output.partition("Resources:")[2]
    run = previewed_read_only(stack, before).succeeded()
    assert run.output.partition("Resources:")[2] == planned
    assert "warning" not in run.output
    assert written(before) == files


@AFTER_A_KILL
@pytest.mark.parametrize("damage", some_of(["newer", "no journal", "a directory", "no home"]))
def test_a_preview_continues_without_an_unreadable_journal(stack: Stack, before: Path, damage: str) -> None:
    journal = before / "journal.db"
    environment: dict[str, str] = {}
    if damage == "no journal":
        for file in before.iterdir():
            file.unlink()
        journal.write_bytes(b"no database at all, and long enough to be one" * 100)
    elif damage == "a directory":
        shutil.rmtree(before)
        journal.mkdir(parents=True)
    elif damage == "newer":
        with sqlite3.connect(journal) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        stack.environment["RTCAI_JOURNAL"] = "~nobody-of-that-name/journal.db"
    run = stack.preview(**environment).succeeded()
    assert (
        "warning: The journal (the record of started agents) cannot be read, so this run does not know what"
        in run.output
    )
    assert "Traceback" not in run.output
    stack.program(CHANGED)
    assert "JournalError" in stack.up().failed().output


@AFTER_A_KILL
def test_a_snapshot_sees_what_a_writer_has_just_committed(before: Path) -> None:
    snapshot = JournalSnapshot(before / "journal.db")
    assert [record.cname for record in snapshot.records()][:1] == ["keynote"]
    snapshot.close()
