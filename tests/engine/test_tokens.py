"""`room_token`: a secret output that a person uses to join a room."""

import json

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack
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
