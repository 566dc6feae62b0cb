import base64
import json

import pytest

from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.settings import Settings
from tests.cli.service import Service
from tests.emulator.api import body


def test_a_token_is_one_that_the_service_accepts(service: Service) -> None:
    run = service.run("token", "主会场", "42", "--ttl", "60", "--json")
    assert run.exit_code == 0, run.output
    made = json.loads(run.stdout)
    assert {**made, "token": ""} == {"cname": "主会场", "uid": "42", "ttl": 60, "token": ""}
    assert json.loads(base64.b64decode(made["token"]))["ttl"] == 60
    settings = Settings(service.emulator.app_key, token=made["token"], uid="42", endpoint=service.emulator.url)
    with Client(settings) as client:
        client.create_task({**body(), "cname": "主会场", "requestId": "r"}, trace_id="t")
    assert service.rooms == ["主会场"]


def test_the_token_alone_is_printed(service: Service) -> None:
    run = service.run("token", "keynote", "1")
    assert run.exit_code == 0
    assert base64.b64decode(run.stdout.strip())


@pytest.mark.parametrize(
    "arguments", [["keynote", "-1"], ["keynote", "x"], ["keynote", "1", "--ttl", "86401"], ["hall\n", "1"]]
)
def test_wrong_usage(service: Service, arguments: list[str]) -> None:
    assert service.run("token", *arguments).exit_code == 2


def test_without_an_app_secret_it_says_so(service: Service) -> None:
    run = service.run("token", "keynote", "1", RTCAI_APP_SECRET=None, RTCAI_TOKEN="t", RTCAI_UID="1")
    assert run.exit_code == 1
    assert "RTCAI_APP_SECRET" in run.stderr
