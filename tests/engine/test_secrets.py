"""AppSecret, token and secret inputs appear only in ciphertext and in requests, in all circumstances."""

import time

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.service.signing import basic_token
from tests.engine.service import rooms
from tests.engine.stack import Stack

pytestmark = [
    pytest.mark.full("the same search with another credential in another place"),
    pytest.mark.shows("promise 3"),
]

IN_CONFIG = {"AppSecret": ("RTCAI_APP_SECRET", "appSecret"), "token": ("RTCAI_TOKEN", "token")}
PROMPT = 'CANARY "prompt"\nin two lines'
PROGRAM = f"""
import pulumi
from rtcai_pulumi import Asr, Llm, RealtimeConversation, Role, Tts
prompt = pulumi.Output.secret({PROMPT!r})
host = RealtimeConversation("host", cname="keynote", asr=Asr(asr_vendor=6), tts=Tts(tts_vendor=6),
    llm=Llm(llm_vendor=1, role=Role.CUSTOM, custom_prompt=prompt))
pulumi.export("llm", host.llm)
"""


def use_token(stack: Stack, emulator: Emulator) -> str:
    """Make the stack use the service's client API; returns its token."""
    del stack.environment["RTCAI_APP_SECRET"]
    now = int(time.time() * 1000)
    token = basic_token(emulator.app_key, emulator.app_secret, cname="keynote", uid=9527, ttl=600, now_ms=now)
    stack.environment |= {"RTCAI_TOKEN": token, "RTCAI_UID": "9527"}
    return token


def keep_in_config(stack: Stack, name: str, key: str) -> None:
    """Move a setting from the environment into the stack's config."""
    stack.pulumi("config", "set", "--secret", f"rtcai:{key}", stack.environment.pop(name)).succeeded()


def files(stack: Stack) -> dict[str, str]:
    """Everything that the runs wrote: state, backups, history, config, journal; by name."""
    return {
        str(path.relative_to(stack.folder)): path.read_bytes().decode("utf-8", "replace")
        for path in stack.folder.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }


@pytest.mark.shows("safety secret-input", "safety secret-echoed")
@pytest.mark.parametrize(
    ("credential", "place"),
    [
        pytest.param("AppSecret", "environment", marks=pytest.mark.everyday),
        ("AppSecret", "config"),
        ("token", "environment"),
        ("token", "config"),
    ],
)
def test_secrets_are_nowhere_but_in_ciphertext_and_on_the_wire(
    stack: Stack, emulator: Emulator, credential: str, place: str
) -> None:
    secret = emulator.app_secret if credential == "AppSecret" else use_token(stack, emulator)
    if place == "config":
        keep_in_config(stack, *IN_CONFIG[credential])
    stack.program(PROGRAM)
    runs = [stack.preview("--diff"), stack.up().succeeded(), stack.refresh(), stack.destroy().succeeded()]
    assert emulator.tasks()[0]["data"]["llm"]["customPrompt"] == PROMPT
    echoed = f"not allowed: {PROMPT} by {secret}"
    emulator.fault("create", "answer", code=601, errmsg=echoed)
    refused = stack.up().failed()
    assert "service text: not allowed: [secret]" in refused.output
    emulator.fault("create", "answer", status=500, code=500, errmsg=echoed)
    runs += [refused, stack.up().failed(), stack.up("--json").succeeded()]
    emulator.fault("close", "answer", code=601, errmsg=f"not allowed: {secret}")
    runs += [stack.destroy().failed(), stack.pulumi("stack", "export").succeeded()]
    assert rooms(emulator) == ["keynote"]
    places = {f"output {number}": run.output for number, run in enumerate(runs)} | files(stack)
    assert {"journal.db", "program/Pulumi.test.yaml"} < places.keys()
    secrets = {"CANARY", secret, emulator.app_secret}
    assert [name for name, text in places.items() if any(hidden in text for hidden in secrets)] == []


@pytest.mark.shows("safety engine-log")
@pytest.mark.everyday
def test_the_engine_s_own_log_has_no_credential(stack: Stack, emulator: Emulator) -> None:
    """The log contains inputs: at this level, the engine logs what it sends to any provider."""
    stack.program(PROGRAM)
    run = stack.up("--logtostderr", "-v=9").succeeded()
    assert "Provider" in run.output
    assert emulator.app_secret not in run.output
