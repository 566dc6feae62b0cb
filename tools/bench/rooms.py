"""Many rooms, step by step: our provider, the floor, and the ways to do without both, in turns."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from tools.dev.stack import BIN, PROJECT, dev
from tools.setup import ROOT

COMMANDS: Final = ("up", "unchanged", "one changed", "refresh", "destroy")
"""The measured steps, in their order."""
_BY_PULUMI: Final = {
    step: f"pulumi {verb} --skip-preview --yes --parallel 64 --non-interactive"
    for step, verb in zip(COMMANDS, ("up", "up", "up", "refresh", "destroy"), strict=True)
}
_BY_TOFU: Final = {
    step: f"tofu {verb} -auto-approve -input=false -no-color -parallelism=64"
    for step, verb in zip(COMMANDS, ("apply", "apply", "apply", "apply -refresh-only", "destroy"), strict=True)
}
WAYS: Final[Mapping[str, Mapping[str, str]]] = {
    "floor": _BY_PULUMI,
    # Without a change it does what the floor does.
    "bare": {step: _BY_PULUMI[step] for step in ("up", "destroy")},
    "ours": _BY_PULUMI,
    "event": _BY_PULUMI,
    # A script has no state, so it cannot find out what is unchanged.
    "raw": {"up": "python -m tools.bench.raw create", "destroy": "python -m tools.bench.raw close"},
    "OpenTofu": _BY_TOFU,
}
"""The command of each step, for each way."""
_HOST_DIED: Final = "failed to discover package requirements"
"""An old language host sometimes crashes at its start; nothing has happened then, so the command is repeated."""
PROGRAMS: Final = {
    "floor": "from tools.bench.floor import FloorProvider, declare_rooms\ndeclare_rooms(FloorProvider())\n",
    "bare": """
from tools.bench.bare import BareProvider
from tools.bench.floor import declare_rooms
declare_rooms(BareProvider())
""",
    "ours": """
import os
from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Role, Tts
for number in range(int(os.environ["BENCH_ROOMS"])):
    room = RealtimeConversation(
        f"room-{number}",
        cname=f"{os.environ['BENCH_STACK']}-{number}",
        asr=Asr(asr_vendor=6),
        llm=Llm(llm_vendor=1, role=Role.MEETING_HOST),
        tts=Tts(tts_vendor=6, voice="zh_female_qingxinnvsheng_mars_bigtts"),
        pipeline=Pipeline(welcome_message="hello" if number else os.environ["BENCH_GREETING"]),
    )
""",
    "event": """
import os
from rtcai_pulumi import EventRooms
agent = {
    "asr": {"asrVendor": 6},
    "llm": {"llmVendor": 1, "role": 1},
    "tts": {"ttsVendor": 6, "voice": "zh_female_qingxinnvsheng_mars_bigtts"},
    "pipeline": {"welcomeMessage": "hello"},
}
names = [f"room-{number}" for number in range(int(os.environ["BENCH_ROOMS"]))]
rooms = {name: {"cname": f"{os.environ['BENCH_STACK']}-{name}"} for name in names}
rooms["room-0"]["agent"] = {"pipeline": {"welcomeMessage": os.environ["BENCH_GREETING"]}}
EventRooms("event", {"agent": agent, "rooms": rooms})
""",
}
EXPORT_NAMES: Final = """
import pulumi
properties = [name for name, value in vars(room).items() if isinstance(value, pulumi.Output)]
pulumi.export("names", [name for name in properties if name not in ("id", "urn", "__provider")])
"""
CHECKPOINTED: Final = ("floor", "ours")
"""The ways that are measured with checkpoints, too; only Pulumi's engine has them."""
CHECKPOINT_LIMIT: Final = 300
"""The largest number of rooms with checkpoints: with 1,000, each step would take minutes."""
UNPACED: Final = "1e6"


class Step(NamedTuple):
    """One measured command."""

    way: str
    checkpoints: bool
    command: str
    rooms: int
    seconds: float


@dataclass(frozen=True)
class Stack:
    """A way to declare rooms, in a new folder with a new state."""

    way: str
    checkpoints: bool
    folder: Path
    environment: Mapping[str, str]

    def run(self, command: str, greeting: str = "hello") -> tuple[float, str]:
        """Run a command; return its seconds and its output."""
        environment = {**self.environment, "BENCH_GREETING": greeting, "TF_VAR_greeting": greeting}
        for is_last in (False, True):
            began = time.perf_counter()
            done = subprocess.run(
                command.split(), cwd=self.folder, env=environment, check=False, capture_output=True, text=True
            )
            seconds = time.perf_counter() - began
            if done.returncode == 0:
                return seconds, done.stdout
            if is_last or _HOST_DIED not in done.stdout + done.stderr:
                break
        sys.exit(f"bench: `{command}` failed ({self.way}):\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def available_ways() -> list[str]:
    """Return the ways that can be measured on this machine."""
    return [way for way in WAYS if way != "OpenTofu" or shutil.which("tofu")]


def count_steps(ways: Sequence[str], sizes: Sequence[int], rounds: int) -> int:
    """Return how many steps `measure` yields."""
    return rounds * sum(len(WAYS[way]) for rooms in sizes for way, _ in _list_variants(ways, rooms))


def measure(ways: Sequence[str], sizes: Sequence[int], rounds: int, service_seconds: float) -> Iterator[Step]:
    """Measure each step with each way, one way after the other, and in each round another one first."""
    for number, rooms in itertools.product(range(rounds), sizes):
        variants = _list_variants(ways, rooms)
        with tempfile.TemporaryDirectory() as name, serve(service_seconds) as endpoint:
            conversation = Path(name) / "conversation.json"
            more = {"RTCAI_ENDPOINT": endpoint, "BENCH_ROOMS": str(rooms), "BENCH_CONVERSATION": str(conversation)}
            more |= {"TF_VAR_rooms": str(rooms), "TF_VAR_conversation": str(conversation)}
            conversation.write_text(json.dumps(describe_conversation(Path(name) / "one", more)))
            stacks = [create_stack(Path(name), way, checkpoints, more) for way, checkpoints in variants]
            first = number % len(stacks)
            for command, stack in itertools.product(COMMANDS, [*stacks[first:], *stacks[:first]]):
                if command in WAYS[stack.way]:
                    greeting = "hello" if command in {"up", "unchanged"} else "good evening"
                    seconds, _ = stack.run(WAYS[stack.way][command], greeting)
                    yield Step(stack.way, stack.checkpoints, command, rooms, seconds)


def _list_variants(ways: Sequence[str], rooms: int) -> list[tuple[str, bool]]:
    """The ways without and with checkpoints."""
    checkpointed = CHECKPOINTED if rooms <= CHECKPOINT_LIMIT else ()
    return [*((way, False) for way in ways), *((way, True) for way in ways if way in checkpointed)]


def create_stack(parent: Path, way: str, checkpoints: bool, more: Mapping[str, str]) -> Stack:
    """Create a stack in a new folder below `parent`, with more variables in its environment."""
    name = f"{way}-{'with' if checkpoints else 'without'}"
    folder = parent / name
    target = dev({**os.environ, "RTCAI_DEV_DIR": str(folder)})
    target.backend.mkdir(parents=True)
    environment = {**target.environment, "PYTHONPATH": str(ROOT), "RTCAI_MAX_RPS": UNPACED, "BENCH_STACK": name, **more}
    if not checkpoints:
        environment["PULUMI_SKIP_CHECKPOINTS"] = "true"
    stack = Stack(way, checkpoints, folder, environment)
    if way in PROGRAMS:
        runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {BIN.parent}}}}}"
        (folder / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: {runtime}\n")
        (folder / "__main__.py").write_text(PROGRAMS[way])
        stack.run(f"pulumi stack init {target.name}")
    if way == "OpenTofu":
        for file in ("rooms.tf", "request.sh"):
            shutil.copy(Path(__file__).with_name(file), folder)
        stack.run("tofu init -input=false")
    return stack


def describe_conversation(folder: Path, more: Mapping[str, str]) -> dict[str, Any]:
    """Start one agent, and return what its state holds and which properties it registers."""
    stack = create_stack(folder, "ours", checkpoints=False, more={**more, "BENCH_ROOMS": "1"})
    with (stack.folder / "__main__.py").open("a") as program:
        program.write(EXPORT_NAMES)
    stack.run(_BY_PULUMI["up"])
    resources = json.loads(stack.run("pulumi stack export")[1])["deployment"]["resources"]
    stack.run(_BY_PULUMI["destroy"])
    root, room = (next(each for each in resources if kind in each["type"]) for kind in ("pulumi:Stack", "Conversation"))
    room["inputs"].pop("__provider")
    room["outputs"].pop("__provider")
    return {**{part: room[part] for part in ("id", "inputs", "outputs")}, "names": root["outputs"]["names"]}


@contextmanager
def serve(seconds: float) -> Iterator[str]:
    """Run the emulator in a process of its own, and yield its URL; each request takes some seconds more."""
    command = [str(BIN / "rtcai"), "emulator", "--port", "0", "--log-level", "warning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(dev(os.environ).environment)) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            if not ready:
                sys.exit("bench: the emulator did not start; its output is above")
            endpoint = ready.split()[-1]
            if seconds:
                fault = {"verb": "*", "kind": "latency", "before": seconds, "times": None}
                httpx.post(f"{endpoint}/-/faults", json=fault, trust_env=False).raise_for_status()
            yield endpoint
        finally:
            process.terminate()
