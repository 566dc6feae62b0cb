"""A hundred rooms with a service that takes 300 ms for each: our provider compared with others, all in one run."""

import asyncio
import itertools
import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import httpx

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.service.settings import DEFAULT_MAX_RPS
from tools.bench.one_create import signed_headers
from tools.dev.target import BIN, ROOT

UNPACED = 1e6
PACES = {f"{DEFAULT_MAX_RPS:.0f} a second": DEFAULT_MAX_RPS, "without a pace": UNPACED}
EMPTY = "import pulumi\n"
NOTHING = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
class Nothing(ResourceProvider):
    serialize_as_secret_always = False
    def create(self, props):
        return CreateResult("id", props)
class Room(Resource):
    def __init__(self, name):
        super().__init__(Nothing(), name, {{"cname": name}})
for number in range({count}):
    Room(f"room-{{number}}")
"""
OURS = """
from rtcai_pulumi import Agent, RealtimeConversation
for number in range({count}):
    RealtimeConversation(f"room-{{number}}", cname=f"room-{{number}}", agent=Agent(agent_id="a", user_id="u"))
"""


def compare(folder: Path, count: int, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way, measured in turns: an empty program, a provider without work, ours, and a raw
    script.

    Ours and the script are measured with the default rate limit of the settings, and without one.
    """
    times: dict[str, list[float]] = defaultdict(list)
    folders = (folder / f"stack-{number}" for number in itertools.count())
    ours = OURS.format(count=count)
    with Emulator() as emulator:
        emulator.fault("create", "latency", before=seconds, times=None)
        for _ in range(rounds):
            for name, program in (("empty program", EMPTY), ("provider that does nothing", NOTHING)):
                times[name].append(_up(next(folders), program.format(count=count), emulator))
            for pace, per_second in PACES.items():
                took = _up(next(folders), ours, emulator, RTCAI_MAX_RPS=str(per_second))
                times[f"ours, {pace}"].append(took)
                began = time.perf_counter()
                asyncio.run(_create_all(emulator, count, per_second))
                times[f"raw asyncio, {pace}"].append(time.perf_counter() - began)
    return times


def _up(folder: Path, program: str, emulator: Emulator, **more: str) -> float:
    """Return the seconds of one `pulumi up` on a new stack."""
    for part in ("backend", "home"):
        (folder / part).mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text(
        f"name: bench\nruntime: {{name: python, options: {{toolchain: pip, virtualenv: {BIN.parent}}}}}\n"
    )
    (folder / "__main__.py").write_text(program)
    environment = {
        "PATH": os.pathsep.join([str(BIN), str(ROOT / ".tools" / "bin"), os.environ["PATH"]]),
        "HOME": str(folder / "home"),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "bench",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_SKIP_CHECKPOINTS": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # the language host runs pip to list the packages in each run
        "RTCAI_APP_KEY": emulator.app_key,
        "RTCAI_APP_SECRET": emulator.app_secret,
        "RTCAI_ENDPOINT": emulator.url,
        "RTCAI_JOURNAL": str(folder / "journal.db"),
        **more,
    }
    subprocess.run(["pulumi", "stack", "init", "bench"], cwd=folder, env=environment, check=True, capture_output=True)
    began = time.perf_counter()
    command = ["pulumi", "up", "--yes", "--skip-preview", "--parallel", "64", "--non-interactive"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


async def _create_all(emulator: Emulator, count: int, per_second: float) -> None:
    """Run what a script would do: as many concurrent creates as our provider, without state and journal."""
    places = asyncio.Semaphore(32)
    async with httpx.AsyncClient(timeout=30) as http:

        async def start(number: int) -> None:
            await asyncio.sleep(number / per_second)
            headers, data = signed_headers(emulator), {"agent": {"agentId": "a", "userId": "u"}}
            body = {"cname": f"raw-{number}", "requestId": headers["Nonce"], "taskType": 7, "data": data}
            async with places:
                response = await http.post(f"{emulator.url}/v1/api/task/create", json=body, headers=headers)
            response.raise_for_status()

        await asyncio.gather(*map(start, range(count)))
