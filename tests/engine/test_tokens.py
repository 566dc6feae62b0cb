"""`room_token`: a secret output that a person uses to join a room."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import rooms
from tests.engine.stack import Stack, environment_of, search_path
from tests.tiers import some_of

pytestmark = pytest.mark.full("tests/unit and tests/emulator try tokens without the engine")

PROGRAM = """
import pulumi
from rtcai_pulumi import room_token
pulumi.export("token", room_token(pulumi.Output.from_input("keynote"), 7, ttl=60))
"""


@pytest.mark.everyday
@pytest.mark.shows("promise 3")
def test_a_token_is_a_secret_output(stack: Stack, emulator: Emulator) -> None:
    stack.program(PROGRAM)
    printed = stack.up().succeeded().output
    token = json.loads(stack.pulumi("stack", "output", "--json", "--show-secrets").succeeded().output)["token"]
    assert len(token) > 40
    assert token not in printed
    assert token not in stack.state_text()
    assert "[secret]" in stack.pulumi("stack", "output").output
    assert emulator.requests() == []


def test_a_preview_without_credentials_does_not_know_it_and_an_up_says_what_is_missing(stack: Stack) -> None:
    stack.program(PROGRAM)
    stack.preview(RTCAI_APP_SECRET="").succeeded()
    run = stack.up(RTCAI_APP_SECRET="").failed()
    assert "RTCAI_APP_SECRET" in run.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    some_of(
        [
            ("'hall\\n', 7", "cname: contains an invisible character (U+000A) at the end"),
            ("f'{late}', 7", "cname: contains the text of an Output"),
            ("'hall', late", "uid: must be a whole number"),
            ("'hall', 7, ttl=86401", "ttl"),
        ]
    ),
)
def test_a_token_that_is_of_no_use_is_reported_at_preview(stack: Stack, arguments: str, said: str) -> None:
    late = "pulumi.Output.from_input('keynote')"
    stack.program(f"import pulumi\nfrom rtcai_pulumi import room_token\nlate = {late}\nroom_token({arguments})\n")
    told = stack.preview().failed().output
    assert "room_token has a problem: " in told
    assert said in told


INLINE = """
import json, sys
from pulumi import automation, export
from rtcai_pulumi import Agent, RealtimeConversation, room_token

def program():
    export("token", room_token("keynote", 7))
    RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id="u"))

given = json.loads(sys.argv[1])
options = automation.LocalWorkspaceOptions(env_vars=given["env_vars"])
stack = automation.create_or_select_stack("dev", "rooms", program, opts=options)
for name, value in given["config"].items():
    stack.set_config(name, automation.ConfigValue(value, secret=True))
print("the token:", stack.up().outputs["token"].value)
"""


def run_inline(
    folder: Path, emulator: Emulator, *, env_vars: dict[str, str], config: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run an inline program in a process whose own environment has no setting of ours."""
    common = {
        **environment_of(folder),
        "RTCAI_JOURNAL": str(folder / "journal.db"),
        "RTCAI_ENDPOINT": emulator.url,
    }
    (folder / "backend").mkdir(exist_ok=True)
    given = {"env_vars": {**common, **env_vars}, "config": config}
    return subprocess.run(
        [sys.executable, "-c", INLINE, json.dumps(given)],
        cwd=folder,
        env={"PATH": search_path(), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_inline_program_takes_its_credentials_from_the_stack_s_config(tmp_path: Path, emulator: Emulator) -> None:
    key, secret = emulator.app_key, emulator.app_secret
    for_the_plugin = {"RTCAI_APP_KEY": key, "RTCAI_APP_SECRET": secret}
    refused = run_inline(tmp_path, emulator, env_vars=for_the_plugin, config={})
    assert "RTCAI_APP_SECRET" in refused.stdout + refused.stderr
    assert rooms(emulator) == []
    done = run_inline(tmp_path, emulator, env_vars={}, config={"rtcai:appKey": key, "rtcai:appSecret": secret})
    assert done.stdout.startswith("the token: "), done.stderr
    assert rooms(emulator) == ["keynote"]
