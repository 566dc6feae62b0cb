"""Two backends, organizations, projects or stacks are two owners, no matter how they were selected."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live, overlaps, rooms
from tests.engine.stack import PROJECT_FILE, Stack, environment_of, search_path
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("two tenants of a service need ten commands; tests/unit tries which backend makes which owner"),
    pytest.mark.shows("promise 1", "promise 6"),
]

# Two tenants of one service, with equal project and stack names. One process deploys them in turn.
SERVICE = """
import json, os, sys
from pulumi import automation
from rtcai_pulumi import Agent, RealtimeConversation

way, folder, environment = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def program(tenant):
    def declare():
        RealtimeConversation("host", cname=tenant, agent=Agent(agent_id="a", user_id="u"))
    return declare

def options(tenant):
    backend = f"file://{folder}/{tenant}/backend"
    os.makedirs(f"{folder}/{tenant}/backend", exist_ok=True)
    own = dict(environment)
    if way == "env_vars":
        return automation.LocalWorkspaceOptions(env_vars={**own, "PULUMI_BACKEND_URL": backend})
    if way == "project_settings":
        settings = automation.ProjectSettings("rooms", "python", backend=automation.ProjectBackend(backend))
        return automation.LocalWorkspaceOptions(env_vars=own, project_settings=settings)
    home = f"{folder}/{tenant}/home"
    os.makedirs(home, exist_ok=True)
    with open(f"{home}/credentials.json", "w") as file:
        json.dump({"current": backend, "accounts": {backend: {}}}, file)
    return automation.LocalWorkspaceOptions(env_vars=own, pulumi_home=home)

def stack(tenant):
    return automation.create_or_select_stack(
        stack_name="dev", project_name="rooms", program=program(tenant), opts=options(tenant)
    )

for command in sys.argv[4:]:
    tenant, _, verb = command.partition(":")
    result = getattr(stack(tenant), verb)()
    print(command, dict(result.summary.resource_changes or {}))
"""


def deploy(folder: Path, emulator: Emulator, way: str, *commands: str) -> str:
    """Run a process that deploys tenants by the Automation API. Only its child processes know the journal."""
    environment = {name: value for name, value in environment_of(folder).items() if name != "PULUMI_BACKEND_URL"}
    if way == "pulumi_home":
        del environment["PULUMI_HOME"]

    given = {
        **environment,
        "RTCAI_JOURNAL": str(folder / "journal.db"),
        "RTCAI_APP_KEY": emulator.app_key,
        "RTCAI_APP_SECRET": emulator.app_secret,
        "RTCAI_ENDPOINT": emulator.url,
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, way, str(folder), json.dumps(given), *commands],
        cwd=folder,
        env={"PATH": search_path(), "HOME": str(folder), "PULUMI_CONFIG_PASSPHRASE": "test"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.shows("safety equal-stacks")
@pytest.mark.parametrize("way", some_of(["env_vars", "project_settings", "pulumi_home"]))
def test_two_tenants_of_one_service_are_two_owners(tmp_path: Path, emulator: Emulator, way: str) -> None:
    emulator.change_settings(dedup="replay")
    told = deploy(tmp_path, emulator, way, "one:up", "two:up", "one:up", "two:up")
    assert rooms(emulator) == ["one", "two"]
    assert calls(emulator) == ["create", "create"]
    assert told.count("'same': 2") == 2
    agents = live(emulator)
    deploy(tmp_path, emulator, way, "one:refresh", "one:destroy")  # in another process
    assert [task for task in agents if task["cname"] == "two"] == live(emulator)
    deploy(tmp_path, emulator, way, "two:destroy")
    assert live(emulator) == []
    assert overlaps(emulator) == []


def test_a_program_s_own_environment_does_not_choose_the_owner(tmp_path: Path, emulator: Emulator) -> None:
    """The journal is the CLI's: the process of the program has no journal and uses a different backend itself."""
    deploy(tmp_path, emulator, "env_vars", "one:up")
    assert (tmp_path / "journal.db").exists()
    assert not (tmp_path / ".local").exists()


@pytest.mark.parametrize("how", some_of(["another folder", "another environment", "another login"]))
def test_one_backend_named_in_two_ways_is_one_owner(stack: Stack, emulator: Emulator, tmp_path: Path, how: str) -> None:

    stack.program(one_room())
    stack.up().succeeded()
    if how == "another folder":  # of the same project
        moved = tmp_path / "moved"
        (stack.folder / "program").rename(moved)
        (stack.folder / "program").symlink_to(moved)
    elif how == "another environment":
        url = stack.environment.pop("PULUMI_BACKEND_URL")
        (stack.folder / "program" / "Pulumi.yaml").write_text(f"{PROJECT_FILE}backend: {{url: '{url}'}}\n", "utf-8")
    else:
        stack.pulumi("login", stack.environment.pop("PULUMI_BACKEND_URL")).succeeded()
    assert "2 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create"]
