"""Each example, run as its README says. The tests run the blocks between the comments."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from rtcai_pulumi.cli.commands.sweep_over import STOPPED_SOME
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import KeepReason
from rtcai_pulumi.stack.owner import owner_prefix
from tests.cli.journals import note, urn
from tests.engine.crash import HOOK
from tests.engine.service import bodies, live, rooms
from tests.engine.stack import PROJECT, TYPE, Run, Stack

pytestmark = pytest.mark.full("one more outcome of an example that is run every day")

EXAMPLES = PROJECT / "examples"


class Example:
    """A copy of an example's folder, in which the commands of its README run."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.source = EXAMPLES / name
        self.folder = stack.folder / "program"
        shutil.copytree(self.source, self.folder, dirs_exist_ok=True)
        if (self.folder / "Pulumi.yaml").exists():
            text = (self.folder / "Pulumi.yaml").read_text(encoding="utf-8")
            environment = str(Path(sys.executable).parents[1])
            (self.folder / "Pulumi.yaml").write_text(text.replace("../../.venv", environment), encoding="utf-8")
            stack.name = "dev"
            stack.pulumi("stack", "init", "dev").succeeded()

    def commands(self, test: str) -> list[str]:
        """The commands of the README block that names a test."""
        text = (self.source / "README.md").read_text(encoding="utf-8")
        (block,) = re.findall(rf"<!-- run by \S+::{test} -->\n```sh\n(.*?)```", text, re.DOTALL)
        return [line for line in block.splitlines() if line and not line.startswith("#")]

    def run(self, *commands: str, **environment: str) -> Run:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=self.folder,
            env={**self.stack.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=300,
            check=False,
            start_new_session=True,
        )
        return Run(done.returncode, done.stdout)


@pytest.mark.everyday
@pytest.mark.shows("example one-room")
def test_one_room(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "one-room")
    up, destroy = example.commands("test_one_room")
    example.run(up).succeeded()
    assert rooms(emulator) == ["keynote"]
    example.run(destroy).succeeded()
    assert live(emulator) == []


@pytest.mark.everyday
@pytest.mark.shows("example three-modes")
def test_three_modes(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "three-modes")
    up, destroy = example.commands("test_three_modes")
    example.run(up).succeeded()
    outputs = json.loads(stack.pulumi("stack", "output", "--json").succeeded().output)
    assert outputs == {"configured": "parameters", "ready-made": "agent", "adapted": "agent+parameters"}
    assert rooms(emulator) == sorted(outputs)
    example.run(destroy).succeeded()
    assert live(emulator) == []


@pytest.mark.everyday
@pytest.mark.shows("example event-yaml")
def test_event_yaml(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "event-yaml")
    validate, up, readme, destroy = example.commands("test_event_yaml")
    example.run(validate).succeeded()
    assert emulator.requests() == []
    example.run(up).succeeded()
    assert len(set(rooms(emulator))) == 40
    assert "| keynote |" in example.run(readme).succeeded().output
    example.run(destroy).succeeded()
    assert live(emulator) == []


@pytest.mark.everyday
@pytest.mark.shows("example staging-event", "rtcai sweep", "safety over-room")
def test_staging_event(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "staging-event")
    *doors_open, listing, doors_closed, afterwards, destroy = example.commands("test_staging_event")
    clock = {"PYTHONPATH": str(HOOK), "TEST_CLOCK": "0"}
    listed = example.run(*doors_open, listing, **clock).succeeded().output
    assert re.search(r"staging-keynote .* ends in \d+ min", listed)
    assert rooms(emulator) == ["staging-keynote", "staging-party", "staging-workshop"]
    clock["TEST_CLOCK"] = str(70 * 60)
    emulator.clock.offset = 70 * 60
    swept = example.run(doors_closed, **clock).succeeded().output
    assert "Stopped:" in swept
    assert "Rooms ended:" in swept
    assert rooms(emulator) == ["staging-party"]
    assert [room["cname"] for room in emulator.rooms()] == ["staging-party"]
    example.run(doors_closed, **clock).succeeded()
    example.run(afterwards, **clock).succeeded()
    assert rooms(emulator) == ["staging-party"]
    example.run(destroy, **clock).succeeded()
    assert (live(emulator), emulator.rooms()) == ([], [])


COMMAND = "rtcai sweep --over --all --grace 5m"
STAGING = EXAMPLES / "staging-event"


@pytest.mark.everyday
def test_each_schedule_of_the_staging_event_runs_the_command_of_its_readme() -> None:
    (line,) = [line for line in (STAGING / "schedule" / "crontab").read_text("utf-8").splitlines() if line[0] == "*"]
    *times, command = line.split(maxsplit=5)
    assert all(re.fullmatch(r"(\*|\d+)(/\d+)?", time) for time in times)
    assert command.startswith(COMMAND)
    unit = (STAGING / "schedule" / "rtcai-sweep.service").read_text("utf-8")
    assert f"ExecStart=/usr/bin/env {COMMAND}\n" in unit
    assert f"SuccessExitStatus={STOPPED_SOME}\n" in unit
    (job,) = yaml.safe_load((STAGING / ".github" / "workflows" / "sweep.yml").read_text("utf-8"))["jobs"].values()
    (cron_job,) = yaml.safe_load_all((STAGING / "schedule" / "cronjob.yaml").read_text("utf-8"))
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    tolerant = f"{COMMAND} || [ $? -eq {STOPPED_SOME} ]"
    assert tolerant in [step.get("run") for step in job["steps"]]
    assert container["command"] == ["/bin/sh", "-c", tolerant]
    assert tolerant in (STAGING / "README.md").read_text("utf-8")


@pytest.mark.everyday
def test_the_workflow_and_the_cronjob_of_the_staging_event_satisfy_their_schemas() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    workflow = str(STAGING / ".github" / "workflows" / "sweep.yml")
    command = [str(checker), "--builtin-schema", "vendor.github-workflows", workflow]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (cron_job,) = yaml.safe_load_all((STAGING / "schedule" / "cronjob.yaml").read_text("utf-8"))
    kubernetes_validate.validate(cron_job, "1.33", strict=True)


@pytest.mark.everyday
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_the_units_of_the_staging_event_are_verified() -> None:
    units = [str(STAGING / "schedule" / f"rtcai-sweep.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.everyday
@pytest.mark.shows("example beside-infrastructure", "promise 7")
def test_beside_infrastructure(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(rooms="required")
    example = Example(stack, "beside-infrastructure")
    up, output, destroy = example.commands("test_beside_infrastructure")
    example.run(up).succeeded()
    room = example.run(output).succeeded().output.strip()
    assert re.fullmatch(r"expo-\d{4}", room)
    assert rooms(emulator) == [room]
    (body,) = bodies(emulator, "create")
    assert body["data"]["pipeline"]["welcomeMessage"] == f"Welcome! Your code is {room}."
    lines = example.run(destroy).succeeded().output.splitlines()
    deleted = [line.split()[1].rpartition(":")[2] for line in lines if " deleted (" in line]
    assert deleted == ["RealtimeConversation", "Room", "Ticket", "Stack"]
    assert (live(emulator), emulator.rooms()) == ([], [])


def test_beside_infrastructure_whose_failure_starts_no_agent(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "beside-infrastructure")
    run = example.run("pulumi config set event 'sold out'", "pulumi up --yes").failed(frames=True)
    assert "no tickets are left" in run.output
    assert emulator.requests() == []


@pytest.mark.everyday
@pytest.mark.shows("example live-change")
def test_live_change(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "live-change")
    commands = example.commands("test_live_change")
    example.run(commands[0]).succeeded()
    before = {task["cname"]: task["taskId"] for task in live(emulator)}
    output = example.run(*commands[1:]).succeeded().output
    assert "1 replaced" in output
    after = {task["cname"]: task["taskId"] for task in live(emulator)}
    assert after["help-desk"] == before["help-desk"]
    assert after["host"] != before["host"]
    assert [request["path"].rpartition("/")[2] for request in emulator.requests()][-2:] == ["create", "close"]
    assert "1 replaced" in stack.up().succeeded().output
    stack.destroy().succeeded()


@pytest.mark.everyday
@pytest.mark.shows("example teardown", "rtcai sweep")
def test_teardown(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "teardown")
    up, teardown = example.commands("test_teardown")
    example.run(up).succeeded()
    # An agent that only the journal knows, as a killed run leaves it.
    resources = json.loads(stack.pulumi("stack", "export").succeeded().output)["deployment"]["resources"]
    (lost, _) = [resource["urn"] for resource in resources if resource["type"] == TYPE]
    stack.pulumi("state", "delete", lost, "--yes").succeeded()
    assert len(live(emulator)) == 2
    # Agents that other stacks have retained.
    retain(stack, urn(stack="other", project="teardown"))
    retain(stack, urn(stack="dev", project="rooms"))
    assert "teardown: no agent of dev is left" in example.run(teardown).succeeded().output
    assert live(emulator) == []


def test_teardown_of_a_stack_that_has_retained_an_agent(stack: Stack) -> None:
    example = Example(stack, "teardown")
    retain(stack, urn(stack="dev", project="teardown"))
    retain(stack, urn(stack="other", project="teardown"))
    for name in ("dev", "organization/teardown/dev"):
        assert f"teardown: 1 agents of {name} may be left" in example.run(f"./teardown.sh {name}").failed().output


def retain(stack: Stack, of: str) -> None:
    """Have the journal know an agent that a stack in the same backend has retained."""
    prefix = owner_prefix(stack.environment, None)
    task, env = f"7/{uuid4().hex}", stack.environment
    url, app_key, kept = env["RTCAI_ENDPOINT"], env["RTCAI_APP_KEY"], KeepReason.RETAINED
    with Journal(stack.folder / "journal.db") as journal:
        note(journal, task, of=of, prefix=prefix, kept=kept, stored=True, url=url, app_key=app_key)


@pytest.mark.everyday
@pytest.mark.shows("example automation-api")
def test_automation_api(stack: Stack, emulator: Emulator) -> None:
    example = Example(stack, "automation-api")
    passphrase, start, stop = example.commands("test_automation_api")
    assert "standup: start: succeeded" in example.run(passphrase, start).succeeded().output
    assert rooms(emulator) == ["standup"]
    assert "standup: stop: succeeded" in example.run(passphrase, stop).succeeded().output
    assert live(emulator) == []


@pytest.mark.everyday
@pytest.mark.parametrize("folder", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_is_in_the_list_and_has_a_readme(folder: str) -> None:
    assert f"[`{folder}`]({folder})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert (EXAMPLES / folder / "README.md").is_file()
