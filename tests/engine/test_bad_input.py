"""Bad input: one clear error for each mistake, all in the same run, before anything is changed."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import rooms
from tests.engine.stack import Stack
from tests.engine.test_up import one_room
from tests.samples import INVALID, SERVICE, invalid_paths, path_in_program

pytestmark = pytest.mark.full("more kinds of wrong input for the same check, which tests/unit/config tests completely")

EVERY_WRONG_BODY = f"""
import json, pathlib, pulumi
from rtcai_pulumi import InvalidBody, RealtimeConversation
for path in sorted(pathlib.Path({str(SERVICE)!r}, "samples", "invalid").glob("*.json")):
    try:
        RealtimeConversation.from_body(path.stem, json.loads(path.read_text("utf-8")))
    except InvalidBody as error:
        pulumi.log.error(f"{{path.stem}} refused: {{error}}")
"""


@pytest.mark.everyday
@pytest.mark.shows("verb check", "pulumi preview")
def test_every_wrong_body_fails_the_one_preview_at_its_path(stack: Stack, emulator: Emulator) -> None:
    stack.program(EVERY_WRONG_BODY)
    run = stack.preview().failed()
    lines = run.output.partition("Diagnostics:")[2].splitlines()
    for name in INVALID:
        path = invalid_paths()[name]
        reported = f"RealtimeConversation '{name}' has a problem: {path_in_program(path)}:"
        refused = f"the body of conversation '{name}' cannot be read:"
        if refused in run.output:
            start = next(number for number, line in enumerate(lines) if refused in line)
            assert lines[start + 1].strip().startswith(f"{path}: ")
        else:
            assert reported in run.output, name
    assert emulator.requests() == []


@pytest.mark.everyday
@pytest.mark.shows("verb check")
def test_problems_of_outputs_are_reported_by_check(stack: Stack, emulator: Emulator) -> None:
    stack.program(
        """
import pulumi
from rtcai_pulumi import Asr, Llm, RealtimeConversation, Role, Tts
late = pulumi.Output.from_input
RealtimeConversation("host", cname="keynote", asr=Asr(asr_vendor=late("a secret?")),
    tts=Tts(tts_vendor=6, speed=late(9)), llm=late(Llm(llm_vendor=1, role=Role.CUSTOM)))
"""
    )
    run = stack.preview().failed()
    for problem in ("asr.asrVendor: must be a whole number", "tts.speed: out of range (0.8 to 2)", "llm: role 0 needs"):
        assert f"resource 'host' has a problem: {problem}" in run.output
    assert "a secret?" not in run.output
    assert emulator.requests() == []


def test_a_body_that_cannot_be_read_is_refused_in_the_program_without_frames(stack: Stack) -> None:
    stack.program(
        """
from rtcai_pulumi import RealtimeConversation
RealtimeConversation.from_body("host", {"cname": "r", "taskType": 6, "asr": {}, "data": {"llm": {"role": None}}})
"""
    )
    run = stack.preview().failed()
    assert "error: the body of conversation 'host' cannot be read:" in run.output
    for problem in (
        "data.llm.role: must not be null",
        "taskType: must be the number 7",
        "asr: unknown field; blocks belong in data",
    ):
        assert problem in run.output


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("Asr(asr_vender=6)", "Asr() got an unexpected keyword argument 'asr_vender'; did you mean 'asr_vendor'?"),
        ('RealtimeConversation("r", cname="r", pipelin=None)', "'pipelin'; did you mean 'pipeline'?"),
    ],
)
def test_a_misspelt_keyword_fails_in_the_program_with_the_nearest_name(stack: Stack, call: str, hint: str) -> None:
    stack.program(f"from rtcai_pulumi import Asr, RealtimeConversation\n{call}\n")
    run = stack.preview().failed(frames=True)
    assert "TypeError" in run.output
    assert hint in run.output


def test_without_credentials_preview_warns_once_and_up_fails_with_both_ways_to_set_them(stack: Stack) -> None:
    for name in ("RTCAI_APP_KEY", "RTCAI_APP_SECRET"):
        del stack.environment[name]
    other = one_room(cname="other").replace('"host"', '"other"')
    stack.program(one_room() + other)
    preview = stack.preview().succeeded().output
    assert preview.partition("Diagnostics:")[2].count("warning: RTC AI credentials are not set") == 1

    run = stack.up().failed()
    told = run.output.partition("Diagnostics:")[2]
    assert told.count("credentials are not set: RTCAI_APP_KEY and RTCAI_APP_SECRET") == 1
    # Once in the warning, which is logged before it is known that this is not a preview, and once in the error.
    assert told.count("set RTCAI_APP_KEY and RTCAI_APP_SECRET in the environment") == 2
    assert "pulumi config set --secret rtcai:appSecret" in told
    assert stack.conversations() == {}


@pytest.mark.everyday
def test_credentials_in_the_stack_s_config_serve_as_well(stack: Stack, emulator: Emulator) -> None:
    key, secret = stack.environment.pop("RTCAI_APP_KEY"), stack.environment.pop("RTCAI_APP_SECRET")
    stack.pulumi("config", "set", "rtcai:appKey", key).succeeded()
    stack.pulumi("config", "set", "--secret", "rtcai:appSecret", secret).succeeded()
    stack.program(one_room())
    assert "credentials are not set" not in stack.preview().succeeded().output
    stack.up().succeeded()
    assert len(emulator.tasks()) == 1
    assert secret not in stack.state_text()
    stack.destroy().succeeded()


def test_an_unreachable_endpoint_is_named_with_what_to_check(stack: Stack) -> None:
    stack.program(one_room())
    run = stack.up(RTCAI_ENDPOINT="http://127.0.0.1:1").failed()
    assert "rtcai_pulumi.ConnectionFailed: Could not connect to http://127.0.0.1:1; nothing was sent." in run.output
    assert "to do: check the network, whether a proxy is needed, and RTCAI_ENDPOINT" in run.output
    assert "in stack config: `pulumi config set rtcai:endpoint …`" in run.output


def test_a_wrong_secret_is_reported_and_never_printed(stack: Stack) -> None:
    stack.program(one_room())
    run = stack.up(RTCAI_APP_SECRET="wrong-canary-secret").failed()
    assert "rtcai_pulumi.NotAuthenticated: The service did not start the agent" in run.output
    assert "check AppKey, AppSecret or token, and the clock" in run.output
    assert "wrong-canary-secret" not in run.output


@contextmanager
def cut_off() -> Iterator[str]:
    """A service that accepts a request and breaks the connection instead of answering."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_a_lost_create_names_room_request_and_trace(stack: Stack) -> None:
    stack.program(one_room(more=", request_id='request-42'"))
    with cut_off() as url:
        run = stack.up(RTCAI_ENDPOINT=url).failed()
    assert "rtcai_pulumi.AnswerLost: The connection broke before the response was complete." in run.output
    assert "There may be an agent in the room that no stack manages." in run.output
    for fact in ("room: keynote", "request id: request-42", "trace id: "):
        assert fact in run.output
    assert stack.conversations() == {}


def test_two_conversations_in_one_room_are_warned_of(stack: Stack) -> None:
    stack.program(one_room() + one_room().replace('"host"', '"guest"'))
    preview = stack.preview().succeeded().output
    warning = "warning: conversations 'host' and 'guest' share the room 'keynote'"
    assert preview.partition("Diagnostics:")[2].count(warning) == 1


def test_conversations_of_one_name_under_two_parents_are_different(stack: Stack) -> None:
    stack.program(
        """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
for parent in ("hall", "stage"):
    component = pulumi.ComponentResource(f"test:{parent}:Rooms", parent)
    RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id=""),
        opts=pulumi.ResourceOptions(parent=component))
"""
    )
    told = stack.preview().failed().output.partition("Diagnostics:")[2]
    for parent in ("hall", "stage"):
        assert f"RealtimeConversation 'host' in '{parent}' has a problem: agent.userId: must not be empty" in told
    assert "conversations 'host' in 'hall' and 'host' in 'stage' share the room 'keynote'" in told


@pytest.mark.parametrize("named", ["cname", "request_id"])
def test_a_name_that_messages_must_show_must_not_be_secret(stack: Stack, emulator: Emulator, named: str) -> None:
    names = {"cname": "'keynote'", "request_id": "'r-1'", named: "pulumi.Output.secret('CANARY')"}
    stack.program(
        f"""
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
for name in "ab":
    RealtimeConversation(name, cname={names["cname"]}, request_id={names["request_id"]},
        agent=Agent(agent_id="a", user_id="u"))
"""
    )
    run = stack.up().failed()
    assert f"has a problem: {'cname' if named == 'cname' else 'requestId'}: must not be a secret" in run.output
    assert emulator.tasks() == []
    if named == "request_id":
        assert "CANARY" not in run.output


def test_a_missing_room_is_one_problem_among_the_others(stack: Stack) -> None:
    stack.program(
        """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
RealtimeConversation("host", cname=pulumi.Config().get("room"), agent=Agent(agent_id="", user_id="u"))
"""
    )
    told = stack.preview().failed().output
    for problem in ("cname: required", "agent.agentId: must not be empty"):
        assert f"RealtimeConversation 'host' has a problem: {problem}" in told


@pytest.mark.everyday
@pytest.mark.shows("verb read", "safety other-account")
def test_another_room_api_is_an_error_and_drops_nothing(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    with Emulator() as other:
        run = stack.refresh(RTCAI_ROOM_ENDPOINT=other.url).failed()
    assert "RTCAI_ROOM_ENDPOINT is" in run.output
    assert list(stack.conversations()) == ["host"]
    assert len(emulator.tasks()) == 1


def test_an_error_of_the_program_ends_the_run_before_further_creates(stack: Stack, emulator: Emulator) -> None:
    running = one_room(cname="else").replace('"host"', '"else"')
    stack.program(running)
    stack.up().succeeded()
    stack.program(
        f"""{running.replace("RealtimeConversation(", "other = RealtimeConversation(", 1)}
import pulumi
from rtcai_pulumi import Agent
for number in range(4):
    RealtimeConversation(f"new-{{number}}", cname=f"new-{{number}}", agent=Agent(agent_id="a", user_id="u"),
        opts=pulumi.ResourceOptions(depends_on=[other]))
other.task_id.apply(lambda _: 1 / 0)
"""
    )
    run = stack.up("--parallel", "1").failed(frames=True)
    assert "ZeroDivisionError" in run.output
    assert rooms(emulator)[0] == "else"
    assert len(rooms(emulator)) <= 2


def test_a_program_that_fails_shows_its_error_once(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room() + one_room(cname="x" * 65).replace('"host"', '"else"'))
    run = stack.up().failed()
    diagnostics = run.output.partition("Diagnostics:")[2]
    assert diagnostics.count("RealtimeConversation 'else' has a problem: cname: ") == 1
    assert "never retrieved" not in run.output
    assert "was destroyed but it is pending" not in run.output
    assert emulator.requests() == []
