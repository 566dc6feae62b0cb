"""The environment of a run (proxies, certificates, homes, folders, users, signals), and typing mistakes of users."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rtcai_pulumi.emulator import Emulator
from tests import network
from tests.engine.crash import ends, plugins_of, running
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Run, Stack, cli
from tests.engine.test_crashes import recover
from tests.engine.test_up import one_room
from tests.network import Tls
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more surroundings and typing mistakes; tests/unit and tests/cli try each by itself"),
    pytest.mark.shows("promise 2", "promise 6"),
]


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


RTCAI = str(Path(sys.executable).with_name("rtcai"))
DEAD = "http://127.0.0.1:9"
EVENT = """\
agent: {agent: {agentId: a, userId: u}}
rooms: {one: {}, two: {}}
"""


def proxies(stack: Stack) -> None:
    """Proxies for all requests, as in an office. No server listens at their addresses."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        stack.environment |= {name: DEAD, name.lower(): DEAD}
    # The SDK's own connection to the engine uses gRPC, which reads only the lower-case name and needs the address in
    # it.
    stack.environment |= {"NO_PROXY": "localhost,[::1],10.0.0.0/8", "no_proxy": "127.0.0.1"}


def no_certificates(stack: Stack) -> None:
    stack.environment |= {"SSL_CERT_FILE": "/nonexistent", "REQUESTS_CA_BUNDLE": "/nonexistent"}


def no_home(stack: Stack) -> None:
    del stack.environment["HOME"]
    del stack.environment["RTCAI_JOURNAL"]
    for name in ("CACHE", "CONFIG", "DATA"):  # pip, which the language host runs, needs these
        stack.environment[f"XDG_{name}_HOME"] = str(stack.folder / "home")


def relative(stack: Stack) -> None:
    stack.environment["RTCAI_JOURNAL"] = "state/journal.db"


def read_only(stack: Stack) -> None:
    stack.environment["RTCAI_JOURNAL"] = "/proc/journal.db"


def read_only_home(stack: Stack) -> None:
    """A container with a read-only root. The engine has a folder of its own."""
    del stack.environment["RTCAI_JOURNAL"]
    stack.environment["HOME"] = "/proc"
    for name in ("CACHE", "CONFIG", "DATA"):
        stack.environment[f"XDG_{name}_HOME"] = str(stack.folder / "home")


NOBODY = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
"""Run as a user for whom the system knows no name and no home."""


def run(stack: Stack, *command: str) -> Run:
    """Run a command in a folder of the project."""
    folder = stack.folder / "program" / "sub"
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        cwd=folder,
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


def each_command(stack: Stack, *before: str) -> dict[str, Run]:
    """The commands that a user runs, in a folder of the project. No command ends with a traceback."""
    stack.program(one_room())
    (stack.folder / "program" / "sub").mkdir()
    (stack.folder / "program" / "sub" / "event.yaml").write_text(EVENT, encoding="utf-8")
    runs = {
        "preview": run(stack, *before, cli(), "preview", "--non-interactive"),
        "up": run(stack, *before, cli(), "up", "--yes", "--skip-preview", "--non-interactive"),
        "ls": run(stack, *before, RTCAI, "ls"),
        "doctor": run(stack, *before, RTCAI, "doctor"),
        "validate": run(stack, *before, RTCAI, "validate"),
    }
    assert [each.output for each in runs.values() if "Traceback" in each.output] == []
    assert [name for name in ("preview", "validate") if runs[name].code] == []
    return runs


@pytest.mark.parametrize("surroundings", [proxies, no_certificates])
def test_each_command_succeeds(stack: Stack, emulator: Emulator, surroundings: Callable[[Stack], None]) -> None:
    surroundings(stack)
    runs = each_command(stack)
    runs["up"].succeeded()
    assert rooms(emulator) == ["keynote"]
    assert "keynote" in runs["ls"].succeeded().output


@pytest.mark.parametrize(
    ("surroundings", "said"),
    some_of(
        [
            (relative, "RTCAI_JOURNAL is a relative path"),
            (read_only, "The journal /proc/journal.db cannot be used"),
            (read_only_home, "The journal /proc/.local/state/rtcai/journal.db cannot be used"),
        ],
        often=2,
    ),
)
def test_without_a_place_for_the_journal_up_says_why_in_a_sentence(
    stack: Stack, emulator: Emulator, surroundings: Callable[[Stack], None], said: str
) -> None:
    surroundings(stack)
    runs = each_command(stack)
    assert said in runs["up"].failed().output
    assert rooms(emulator) == []
    assert "✗ journal location: failed" in runs["doctor"].failed().output


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_of_a_private_authority(stack: Stack, emulator: Emulator, tls: Tls, trusted: bool) -> None:
    with network.running(urlsplit(emulator.url).port or 0, tls.context("127.0.0.1")) as server:
        stack.environment["RTCAI_ENDPOINT"] = f"https://127.0.0.1:{server.port}"
        if trusted:
            stack.environment["SSL_CERT_FILE"] = tls.bundle
        runs = each_command(stack)
        if trusted:
            runs["up"].succeeded()
            assert "✓ certificates: passed" in runs["doctor"].succeeded().output
            stack.destroy().succeeded()
            assert live(emulator) == []
        else:
            for name in ("up", "doctor"):
                output = runs[name].failed().output
                assert "127.0.0.1" in output
                assert "SSL_CERT_FILE" in output
            assert "UntrustedCertificate" in runs["up"].output
            assert emulator.requests() == []


def test_without_a_home_a_preview_works_and_a_command_says_what_to_set(stack: Stack, emulator: Emulator) -> None:
    """Pulumi itself refuses an `up` of a user without a name, because it records who holds the lock."""
    no_home(stack)
    stack.program(one_room())
    preview = run(stack, *NOBODY, cli(), "preview", "--non-interactive").succeeded().output
    assert "+ 2 to create" in preview
    assert "Traceback" not in preview
    for output in (
        run(stack, *NOBODY, RTCAI, "ls").failed().output,
        run(stack, *NOBODY, RTCAI, "doctor").output,
    ):
        assert "The location of the journal is unknown" in output
        assert "set RTCAI_JOURNAL to the absolute path of a file" in output
        assert "Traceback" not in output
    assert "create" not in calls(emulator)


@pytest.mark.parametrize(
    "signals", some_of([["INT", "TERM", "KILL"], ["TERM"], ["INT", "TERM"]], often=2), ids="-".join
)
def test_a_run_that_waits_ends_with_its_signals_and_starts_nothing_afterwards(
    stack: Stack, emulator: Emulator, signals: list[str]
) -> None:
    emulator.change_settings(rooms="required", dedup="replay")
    stack.program(one_room(more=", wait_for_room=120"))
    with running(stack, ["up", "--yes", "--skip-preview"]) as (process, output):
        output.wait_for("waiting for it")
        plugins = plugins_of(process.pid)
        for name in signals:
            if process.poll() is None:
                process.send_signal(signal.Signals[f"SIG{name}"])
        process.wait(20)
        assert all(ends(plugin, within=20) for plugin in plugins)
        asked = len(calls(emulator))
        emulator.open_room("keynote")
    assert len(calls(emulator)) == asked
    assert live(emulator) == []
    recover(stack)
    assert rooms(emulator) == ["keynote"]


TYPED = """
import pulumi
from rtcai_pulumi import Asr, EventRooms, Llm, Pipeline, RealtimeConversation, Tts
name = pulumi.Output.from_input("Ann")
RealtimeConversation("host", cname=f"room-{name}", asr=Asr(asr_vendor=6), tts=Tts(tts_vendor=6),
    llm=Llm(llm_vendor=1, custom_prompt=f"You are {name}.", role=0),
    pipeline=Pipeline(welcome_message="Hello " + str(name)))
RealtimeConversation("guest", cname="hall\\n", asr=Asr(asr_vendor=6), llm=Llm(llm_vendor=1), tts=Tts(tts_vendor=6))
EventRooms("halls", {"agent": {"agent": {"agentId": "a", "userId": "u"}}, "rooms": name.apply(lambda n: {n: {}})})
"""


def test_mistakes_are_reported_at_preview_with_their_paths(stack: Stack, emulator: Emulator) -> None:
    stack.program(TYPED)
    told = stack.preview().failed().output
    for path in ("cname", "llm.customPrompt", "pipeline.welcomeMessage"):
        assert f"RealtimeConversation 'host' has a problem: {path}: contains the text of an Output" in told
    assert "'guest' has a problem: cname: contains an invisible character (U+000A) at the end" in told
    assert "rooms: must not be an Output: the keys of the rooms must be known while the program runs" in told
    assert emulator.requests() == []


LATE = """
import pulumi
from rtcai_pulumi import EventRooms, RealtimeConversation, Room
out = pulumi.Output.from_input
BLOCKS = {"asr": {"asrVendor": 6}, "llm": {"llmVendor": 1}, "tts": {"ttsVendor": 6}}
"""


@pytest.mark.parametrize(
    ("declared", "said"),
    some_of(
        [
            (
                'RealtimeConversation("host", cname="k", extra={"new": [out(b"x")]}, **BLOCKS)',
                "RealtimeConversation 'host' has a problem: extra.new[0]: must be a string, a number,",
            ),
            ('Room("hall", cname=out(b"x"))', "Room 'hall' has a problem: cname: must be a string, a number,"),
            (
                'RealtimeConversation("host", cname="k", **{**BLOCKS, "pipeline": {"welcomeMessage": b"x"}})',
                "RealtimeConversation 'host' has a problem: pipeline.welcomeMessage: must be a string",
            ),
            (
                'EventRooms("event", {"createRooms": out(True), "agent": BLOCKS, "rooms": {}})',
                "createRooms: must not be an Output: it decides which resources the program declares",
            ),
            (
                'EventRooms("event", {"agent": BLOCKS, "rooms": {f"{out(1)}": {}}})',
                "rooms: has a key that is an Output, or was made from one",
            ),
            (
                'EventRooms("event", {"agent": out(BLOCKS), "rooms": {"a": {"agent": {"llm": {"temperature": 0.2}}}}})',
                "agent: must not be an Output, because the blocks of the event and of each room are merged",
            ),
        ],
        often=3,
    ),
)
def test_a_problem_of_an_output_is_reported_at_preview_with_its_path(stack: Stack, declared: str, said: str) -> None:
    stack.program(LATE + declared)
    assert said in stack.preview().failed().output


def test_rooms_links_and_their_names_may_come_from_outputs(stack: Stack, emulator: Emulator) -> None:
    event = (
        '{"roomPrefix": out("hall-"), "link": out("https://x.example/{cname}"), "agent": BLOCKS, "rooms": {"a": {}}}'
    )
    stack.program(f"{LATE}pulumi.export('readme', EventRooms('event', {event}).readme)")
    stack.up().succeeded()
    assert rooms(emulator) == ["hall-a"]
    assert "https://x.example/hall-a" in stack.pulumi("stack", "output", "readme").succeeded().output


EVENT_PROGRAM = "from rtcai_pulumi.events import run\nrun()\n"


def test_an_event_without_rooms_stops_every_agent_after_a_warning(stack: Stack, emulator: Emulator) -> None:
    event: Any = stack.folder / "program" / "event.yaml"
    event.write_text(EVENT, encoding="utf-8")
    stack.program(EVENT_PROGRAM)
    stack.up().succeeded()
    assert rooms(emulator) == ["one", "two"]
    event.write_text("agent: {agent: {agentId: a, userId: u}}\nrooms: {}\n", encoding="utf-8")
    assert (
        "warning: event event has no rooms: `pulumi up` stops all of its agents" in stack.preview().succeeded().output
    )
    stack.up().succeeded()
    assert live(emulator) == []
    assert "unchanged" in stack.up().succeeded().output
