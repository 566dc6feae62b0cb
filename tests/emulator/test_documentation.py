import json
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.admin.routes import FAULT_AND_SETTING_PATHS
from rtcai_pulumi.emulator.faults.model import KINDS, Fault
from tests.emulator.api import Api
from tests.emulator.raw import sent

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
TRACE = {"X-custom-traceid": "trace"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


class Process:
    """Stands for a `pulumi up` that is running: one create is in flight."""

    def __init__(self, left: ExitStack, client: socket.socket) -> None:
        self._left, self._client = left, client

    def kill(self) -> None:
        self._client.close()


def up(environment: dict[str, str]) -> None:
    """Stands for `pulumi up`: one create."""
    emulator = Emulator(app_key=environment["RTCAI_APP_KEY"], app_secret=environment["RTCAI_APP_SECRET"])
    with httpx.Client(base_url=environment["RTCAI_ENDPOINT"], trust_env=False) as http:
        api = Api(emulator, http)
        assert api.create(headers=api.signed(**TRACE))["code"] == 200


@pytest.mark.parametrize("block", blocks("python"))
def test_every_example_of_the_fixture_runs(api: Api, block: str) -> None:
    with ExitStack() as left:

        def start_up(_: dict[str, str]) -> Process:
            return Process(left, left.enter_context(sent(api, headers=api.signed(**TRACE))))

        environment = {
            "RTCAI_ENDPOINT": api.emulator.url,
            "RTCAI_APP_KEY": api.emulator.app_key,
            "RTCAI_APP_SECRET": api.emulator.app_secret,
        }
        names: dict[str, Any] = {"emulator": api.emulator, "environment": environment, "up": up, "start_up": start_up}
        exec(block, names)


@pytest.mark.parametrize("block", blocks("http"))
def test_every_example_of_the_admin_path_is_accepted(api: Api, block: str) -> None:
    line, _, content = block.partition("\n")
    method, path = line.split()
    answer = api.http.request(method, path, json=json.loads(content))
    assert answer.status_code == 200, answer.text


def test_every_example_is_found() -> None:
    assert (len(blocks("python")), len(blocks("http")), len(blocks("console"))) == (8, 5, 1)


def test_every_option_of_the_command_exists() -> None:
    (line,) = blocks("console")
    rtcai = str(Path(sys.executable).with_name("rtcai"))
    printed = subprocess.run([rtcai, "emulator", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"--[a-z-]+", line)
    assert options
    assert all(re.search(rf"{option}\b", printed) for option in options)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_has_every_kind_with_everything_that_is_its_own(kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", TEXT, re.MULTILINE)
    own = KINDS[kind].model_fields.keys() - Fault.model_fields.keys()
    assert own
    assert kind == "answer-after" or all(f"`{part}`" in row for part in own)


@pytest.mark.parametrize("path", sorted({path for _, path, _ in FAULT_AND_SETTING_PATHS}))
def test_every_path_is_named(path: str) -> None:
    assert f"/-{path.replace('{number:int}', '{id}')}" in TEXT
