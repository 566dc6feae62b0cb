"""One journal for a team, in a database: machines that are thrown away, servers that restart, networks that fail."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import interrupted
from tests.engine.service import calls, live, overlaps, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import DESTROY, MOMENTS, OF_A_CLOSE, OF_A_CREATE, UP, assert_settled, recover
from tests.engine.test_up import one_room
from tests.postgres.proxy import Proxy
from tests.postgres.server import PASSWORD, Server, running_server

pytestmark = [
    pytest.mark.full("more moments; one machine that is thrown away is tried every day"),
    pytest.mark.shows("promise 1", "promise 8", "safety team-journal"),
]


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    """A service that drops duplicates by trace id. Without this, no later run could find a lost agent."""
    emulator.change_settings(dedup="replay")


@pytest.fixture
def team(stack: Stack, database_server: Server) -> Stack:
    """A stack whose runs use a journal in a database."""
    stack.environment["RTCAI_JOURNAL"] = database_server.url()
    return stack


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may kill."""
    with running_server() as server:
        yield server


@pytest.fixture
def proxy(database_server: Server) -> Iterator[Proxy]:
    network = Proxy(database_server.port)
    yield network
    network.close()


def new_machine(stack: Stack) -> None:
    """Throw the machine away: nothing of its home is left, and the next command starts with an empty one."""
    shutil.rmtree(stack.folder / "home", ignore_errors=True)
    (stack.folder / "home" / "pulumi").mkdir(parents=True)


def machines() -> list[Any]:
    """Every moment with each end; `make test` has one of these, `make test-full` a sixth, `make test-all` all."""
    ends = ["killed", "frozen", "half open"]
    return [
        pytest.param(command, moment, end, marks=_marks_of(command, moment, is_main=number % 6 == 2 * turn))
        for number, (command, moment) in enumerate(MOMENTS)
        for turn, end in enumerate(ends)
    ]


def _marks_of(command: str, moment: str, *, is_main: bool) -> list[pytest.MarkDecorator]:
    if not is_main:
        return [pytest.mark.exhaustive]
    return [pytest.mark.everyday] if (command, moment) == ("replace", "the create has been done") else []


@pytest.mark.parametrize(("command", "moment", "end"), machines())
def test_a_machine_is_thrown_away_at_a_moment(
    team: Stack, emulator: Emulator, proxy: Proxy, command: str, moment: str, end: str
) -> None:
    """All its processes are killed; or frozen, and continued only after the next run on another machine has ended; or
    killed while the network is down, so that the server still has their connections and does not know that they ended.
    """
    own = team.environment["RTCAI_JOURNAL"]
    if command != "create":
        team.program(one_room())
        team.up().succeeded()
        new_machine(team)
    team.program(one_room(tts=", speed=2"))
    if end == "half open":
        team.environment["RTCAI_JOURNAL"] = re.sub(r":\d+/", f":{proxy.port}/", own)
    with interrupted(team, emulator, DESTROY if command == "destroy" else UP, moment) as run:
        plugins = run.plugins()
        if end == "half open":
            proxy.freeze()
            team.environment["RTCAI_JOURNAL"] = own
        if end != "frozen":
            run.kill_both()
        else:
            for process in (run.process.pid, *plugins):
                os.kill(process, signal.SIGSTOP)
        run.release()
        new_machine(team)
        recover(team, RTCAI_TIMEOUT="1")
        if end == "frozen":
            assert rooms(emulator) == ["keynote"]
            for process in (*plugins, run.process.pid):
                os.kill(process, signal.SIGCONT)
        run.finish()
    assert overlaps(emulator) == []
    if end == "frozen":
        # The old engine may write its state over that of the later run, as it would with a journal in a file.
        recover(team, RTCAI_TIMEOUT="1")
    new_machine(team)
    assert_settled(team, emulator, ["keynote"])


def test_two_machines_work_on_one_stack_after_cancel(team: Stack, emulator: Emulator) -> None:
    """The later run wins; the earlier one starts nothing more."""
    team.program(one_room())
    with interrupted(team, emulator, UP, "after the intent") as early:
        team.pulumi("cancel", "--yes")
        team.up(RTCAI_TIMEOUT="1").succeeded()
        (agent,) = live(emulator)
        creates = calls(emulator).count("create")
        early.finish()
    assert live(emulator) == [agent]
    assert calls(emulator).count("create") == creates
    recover(team)
    assert_settled(team, emulator, ["keynote"])


MAIN_MOMENTS = {
    ("create", "before the intent"),
    ("create", "the create has been done"),
    ("replace", "the close has been done"),
    ("destroy", "closed is noted"),
    ("recover", "the answer has arrived"),
    ("recover", "closing is noted"),
}
SERVER_MOMENTS = [
    pytest.param(*each, marks=[] if each in MAIN_MOMENTS else [pytest.mark.exhaustive])
    for each in [*MOMENTS, *(("recover", moment) for moment in [*OF_A_CREATE, *OF_A_CLOSE])]
]


@pytest.mark.parametrize("fault", ["killed", "cut"])
@pytest.mark.parametrize(("command", "moment"), SERVER_MOMENTS)
def test_the_server_restarts_or_the_network_fails_at_a_moment(
    stack: Stack, emulator: Emulator, own_server: Server, command: str, moment: str, fault: str
) -> None:
    network = Proxy(own_server.port)
    stack.environment["RTCAI_JOURNAL"] = own_server.url(port=network.port)
    stack.program(one_room())
    if command == "recover":
        with interrupted(stack, emulator, UP, "the create has been done") as killed:
            killed.kill_both()
        stack.pulumi("cancel", "--yes")
    elif command != "create":
        stack.up().succeeded()
    if command != "create":
        stack.program(one_room(tts=", speed=2"))
    with interrupted(stack, emulator, DESTROY if command == "destroy" else UP, moment) as run:
        if fault == "killed":
            own_server.kill()
            restart = threading.Timer(2, own_server.start)
            restart.start()
        else:
            network.cut()
        run.release()
        assert run.process.wait(120) == 0, run.output.text
        if fault == "killed":
            restart.join()
        output = run.output.ended()
    assert ("Waiting for its server" in output) is (fault == "killed"), output
    if command != "destroy":
        assert_settled(stack, emulator, ["keynote"])
    assert live(emulator) == []
    assert overlaps(emulator) == []
    network.close()


def test_a_database_that_cannot_be_reached_at_the_start_sends_nothing_and_is_one_error(
    stack: Stack, emulator: Emulator, own_server: Server
) -> None:
    stack.environment["RTCAI_JOURNAL"] = own_server.url()
    own_server.kill()
    stack.program(one_room() + one_room().partition("\n")[2].replace('"host"', '"second"').replace("keynote", "other"))
    preview = stack.preview().succeeded()
    # Pulumi prints a line of the stack when it arrives, and once more at the end.
    assert preview.output.count("The journal (the record of started agents) cannot be read") == 2
    run = stack.up().failed()
    assert calls(emulator) == []
    errors = run.output.partition("Diagnostics:")[2]
    assert errors.count("error: rtcai_pulumi.JournalError: The journal postgresql") == 1, run.output
    assert errors.count("The journal cannot be used; see the first error of this run.") == 1, run.output
    assert f"The journal postgresql://rtcai@127.0.0.1:{own_server.port}/postgres" in run.output
    assert "check that the server runs and can be reached" in run.output
    assert PASSWORD not in run.output


def test_a_server_that_is_gone_when_the_answer_arrives_loses_no_agent(
    stack: Stack, emulator: Emulator, own_server: Server
) -> None:
    stack.environment["RTCAI_JOURNAL"] = own_server.url()
    stack.program(one_room())
    with interrupted(stack, emulator, UP, "the answer has arrived") as run:
        own_server.kill()
        run.release()
        assert run.process.wait(150) != 0
        output = run.output.ended()
    assert "The agent was stopped immediately after it had started." in output, output
    assert live(emulator) == []
    own_server.start()
    # As with a full disk: the service would repeat the task that was just closed.
    (trace,) = set(re.findall(r"`rtcai forget (\w+)`", output))
    rtcai = Path(sys.executable).with_name("rtcai")
    subprocess.run([rtcai, "forget", trace, "--yes"], env=stack.environment, check=True, timeout=60)
    recover(stack)
    assert_settled(stack, emulator, ["keynote"])


def test_twenty_runs_at_the_same_time_on_one_database(
    emulator: Emulator, database_server: Server, tmp_path: Path
) -> None:
    url = database_server.url()
    stacks = [Stack(tmp_path / f"stack-{number}", emulator) for number in range(20)]
    for number, stack in enumerate(stacks):
        stack.environment["RTCAI_JOURNAL"] = url
        stack.program(one_room(cname=f"room-{number:02}"))
    with ThreadPoolExecutor(20) as pool:
        for run in pool.map(lambda stack: stack.up(), stacks):
            run.succeeded()
        assert rooms(emulator) == [f"room-{number:02}" for number in range(20)]
        for run in pool.map(lambda stack: stack.destroy(), stacks):
            run.succeeded()
    assert live(emulator) == []


def test_the_password_is_in_nothing_that_a_run_writes(team: Stack, emulator: Emulator) -> None:
    team.program(one_room())
    log = team.folder / "logs"
    log.mkdir()
    runs = [team.up("--logtostderr", "-v=9", "--logflow"), team.refresh(), team.preview(), team.destroy()]
    for run in runs:
        assert PASSWORD not in run.succeeded().output
    for file in team.folder.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file


def test_a_preview_changes_nothing_in_the_database(team: Stack, database_server: Server) -> None:
    team.program(one_room())
    schema = team.environment["RTCAI_JOURNAL"].partition("schema=")[2]
    team.preview().succeeded()
    with database_server.connect() as connection:
        assert connection.execute("SELECT to_regnamespace(%s)", [schema]).fetchone() == (None,)
        team.up().succeeded()
        tables = ("records", "rooms", "processes", "process_numbers", "version")
        read = [f"SELECT * FROM {schema}.{table}" for table in tables]
        before = [connection.execute(query).fetchall() for query in read]
        team.preview("--expect-no-changes").succeeded()
        team.program(one_room(tts=", speed=2"))
        team.preview().succeeded()
        assert [connection.execute(query).fetchall() for query in read] == before
    team.destroy().succeeded()


def test_a_journal_that_was_copied_is_the_same_journal(
    stack: Stack, emulator: Emulator, database_server: Server
) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    old, new = stack.environment["RTCAI_JOURNAL"], database_server.url()
    command = [str(Path(sys.executable).with_name("rtcai")), "journal", "copy", old]
    environment = {**stack.environment, "RTCAI_JOURNAL": new}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    assert b"1 agents and lost creates" in done.stdout
    Path(old).unlink()
    stack.environment["RTCAI_JOURNAL"] = new
    requests = len(calls(emulator))
    stack.preview("--expect-no-changes").succeeded()
    assert "2 unchanged" in stack.up().succeeded().output
    assert len(calls(emulator)) == requests
    assert_settled(stack, emulator, ["keynote"])
