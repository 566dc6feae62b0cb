"""Options and commands of Pulumi that no other file tests: each does what Pulumi documents."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import assert_settled
from tests.engine.test_rooms import opened
from tests.engine.test_sequences import URN
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("options and commands with little effect here; those that can lose an agent are tried every day"),
    pytest.mark.shows("promise 6"),
]

OTHER = one_room(cname="other").replace('"host"', '"other"')
CHANGED = ", speed=2"


def host(tts: str = "", **opts: str) -> str:
    """A program with one room, with Pulumi options as source text."""
    options = ", ".join(f"{name}={value}" for name, value in opts.items())
    return one_room(tts=tts, more=f", opts=pulumi.ResourceOptions({options})")


def agent_of(emulator: Emulator, cname: str) -> Any:
    (task,) = [task for task in live(emulator) if task["cname"] == cname]
    return task["taskId"]


def test_protect_and_ignore_protect(stack: Stack, emulator: Emulator) -> None:
    stack.program("import pulumi\n" + host(protect="True"))
    stack.up().succeeded()
    assert "protected" in stack.destroy().failed().output
    stack.program("import pulumi\n" + host(CHANGED, protect="True"))
    assert "protect" in stack.up().failed().output
    assert calls(emulator) == ["create"]
    stack.pulumi("state", "unprotect", URN, "--yes").succeeded()
    stack.pulumi("state", "protect", URN, "--yes").succeeded()
    stack.destroy("--ignore-protect").succeeded()
    assert live(emulator) == []


def test_targets_and_exclusions(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room() + OTHER)
    stack.up().succeeded()
    other = agent_of(emulator, "other")
    stack.program(one_room(tts=CHANGED) + OTHER.replace("tts_vendor=6", "tts_vendor=7"))
    stack.up("--exclude", URN.replace("host", "other")).succeeded()
    assert agent_of(emulator, "other") == other
    host_before = agent_of(emulator, "keynote")
    stack.up("--target-replace", URN).succeeded()
    assert agent_of(emulator, "keynote") != host_before
    assert agent_of(emulator, "other") == other
    stack.destroy("--target", URN).succeeded()
    assert rooms(emulator) == ["other"]
    stack.destroy("--exclude", URN.replace("host", "other")).succeeded()
    assert rooms(emulator) == ["other"]
    stack.destroy().succeeded()
    assert live(emulator) == []


def test_a_target_with_its_dependents(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(rooms="required")
    stack.program(
        """
from rtcai_pulumi import Agent, RealtimeConversation, Room
hall = Room("hall", cname="keynote")
RealtimeConversation("host", cname=hall.cname, agent=Agent(agent_id="a", user_id="u"))
"""
    )
    stack.up().succeeded()
    room = "urn:pulumi:test::rooms::pulumi-python:dynamic/rtcai:Room::hall"
    stack.destroy("--target", room).failed()
    assert rooms(emulator) == ["keynote"]
    stack.destroy("--target", room, "--target-dependents").succeeded()
    assert (live(emulator), opened(emulator)) == ([], {})


def test_an_error_of_one_room_stops_no_other_where_that_is_asked_for(stack: Stack, emulator: Emulator) -> None:
    emulator.fault("create", "answer", code=611, cname="keynote")
    stack.program(one_room() + OTHER)
    stack.up("--continue-on-error").failed()
    assert rooms(emulator) == ["other"]
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote", "other"]
    emulator.fault("close", "answer", code=611, cname="keynote")
    stack.destroy("--continue-on-error").failed()
    assert rooms(emulator) == ["keynote"]
    stack.destroy().succeeded()
    assert live(emulator) == []


def test_the_program_is_run_on_destroy_and_refresh_where_that_is_asked_for(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    assert "2 unchanged" in stack.refresh("--run-program").succeeded().output
    stack.destroy("--run-program").succeeded()
    assert live(emulator) == []


def test_expect_no_changes(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    for command in ("preview", "refresh"):
        arguments = [command, "--expect-no-changes", *([] if command == "preview" else ["--yes", "--skip-preview"])]
        stack.pulumi(*arguments).succeeded()
    stack.program(one_room(tts=CHANGED))
    stack.preview("--expect-no-changes").failed()
    emulator.end_room("keynote")
    stack.refresh("--expect-no-changes").failed()


def test_life_cycle_hooks_are_called(stack: Stack, emulator: Emulator) -> None:
    kinds = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete")
    hooks = "\n".join(
        f"{kind} = pulumi.ResourceHook({kind!r}, lambda args: print('HOOK', {kind!r}, mode(args)))" for kind in kinds
    )
    bound = ", ".join(f"{kind}=[{kind}]" for kind in kinds)
    mode = "def mode(args):\n    return (args.new_outputs or {}).get('mode')\n"
    stack.program(f"import pulumi\n{mode}{hooks}\n" + host(hooks=f"pulumi.ResourceHookBinding({bound})"))
    created = stack.up().succeeded().output
    assert "HOOK before_create None" in created
    assert "HOOK after_create parameters" in created
    deleted = stack.destroy("--run-program").succeeded().output
    assert "HOOK before_delete" in deleted
    assert "HOOK after_delete" in deleted
    assert live(emulator) == []


def test_a_dependent_is_replaced_with_what_it_names(stack: Stack, emulator: Emulator) -> None:
    both = f"import pulumi\n{OTHER.replace('RealtimeConversation(', 'other = RealtimeConversation(')}"
    stack.program(both + host(replace_with="[other]"))
    stack.up().succeeded()
    stack.program(both.replace("tts_vendor=6", "tts_vendor=7") + host(replace_with="[other]"))
    assert "2 replaced" in stack.up().succeeded().output
    assert rooms(emulator) == ["keynote", "other"]
    assert_settled(stack, emulator, ["keynote", "other"])


def test_a_transformation_changes_an_input(stack: Stack, emulator: Emulator) -> None:
    source = """
import pulumi
def in_another_room(args):
    return pulumi.{result}({{**args.props, "cname": "elsewhere"}}, args.opts)
pulumi.runtime.{register}(in_another_room)
"""
    for result, register in (
        ("ResourceTransformationResult", "register_stack_transformation"),
        ("ResourceTransformResult", "register_resource_transform"),
    ):
        stack.program(source.format(result=result, register=register) + one_room())
        stack.up().succeeded()
        assert rooms(emulator) == ["elsewhere"]
    assert calls(emulator) == ["create"]


def test_a_resource_is_read_back_by_its_urn(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    source = one_room().replace("RealtimeConversation(", "host = RealtimeConversation(")
    stack.program(
        f"import pulumi\n{source}"
        """
def again(urn):
    return RealtimeConversation("again", cname="keynote", opts=pulumi.ResourceOptions(urn=urn)).task_id
pulumi.export("task", host.urn.apply(again))
"""
    )
    stack.up().succeeded()
    outputs = json.loads(stack.pulumi("stack", "output", "--json").succeeded().output)
    assert outputs == {"task": agent_of(emulator, "keynote")}
    assert calls(emulator) == ["create"]


def test_a_state_migration_is_carried_out(stack: Stack, emulator: Emulator) -> None:
    """The migration changes an input that only the provider reads. An engine that is too old reports an error.

    It changes nothing then.
    """
    stack.program(one_room(more=", request_id='one'"))
    stack.up().succeeded()
    stack.program(
        """
import pulumi
def migrate(args):
    for resource in args.old_state:
        resource["inputs"]["requestId"] = resource["outputs"]["requestId"] = "two"
    return pulumi.StateMigrationResult(args.old_state)
"""
        + host(state_migrations="[migrate]")
    )
    run = stack.up()
    if run.code:
        assert "The Pulumi CLI does not support state migrations" in run.output
    else:
        assert '"requestId":"two"' in stack.state_text()
    assert calls(emulator) == ["create"]


def test_a_renamed_resource_of_the_state_keeps_its_agent(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    stack.pulumi("state", "rename", URN, "moderator", "--yes").succeeded()
    stack.program(one_room().replace('"host"', '"moderator"'))
    assert "1 updated" in stack.up().succeeded().output
    assert "2 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create"]
    assert_settled(stack, emulator, ["keynote"])


@pytest.mark.parametrize("way", some_of(["export and import", "another backend"]))
def test_a_stack_that_is_carried_elsewhere_keeps_its_agent(
    stack: Stack, emulator: Emulator, tmp_path: Path, way: str
) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    (agent,) = live(emulator)
    export = str(tmp_path / "export.json")
    stack.pulumi("stack", "export", "--file", export).succeeded()
    if way == "another backend":
        (tmp_path / "elsewhere").mkdir()
        stack.environment["PULUMI_BACKEND_URL"] = f"file://{tmp_path / 'elsewhere'}"
        stack.pulumi("stack", "init", "test").succeeded()
    stack.pulumi("stack", "import", "--file", export).succeeded()
    stack.up().succeeded()
    assert "2 unchanged" in stack.up().succeeded().output
    assert live(emulator) == [agent]
    stack.destroy().succeeded()
    assert live(emulator) == []


def test_a_stack_with_agents_is_not_removed_unless_forced(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    assert "still has resources" in stack.pulumi("stack", "rm", "test", "--yes").failed().output
    assert rooms(emulator) == ["keynote"]
    stack.pulumi("stack", "rm", "test", "--yes", "--force").succeeded()
    stack.pulumi("stack", "init", "test").succeeded()
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote"], "the journal knows the agent of before"
    assert calls(emulator) == ["create", "close", "create"]


LOCAL = """
import os, sys
from pulumi import automation
stack = automation.create_or_select_stack("dev", work_dir=sys.argv[1])
print("preview", stack.preview().change_summary)
for verb in sys.argv[2:]:
    print(verb, getattr(stack, verb)().summary.resource_changes)
"""


def test_the_automation_api_runs_a_local_program(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    done = subprocess.run(
        [sys.executable, "-c", LOCAL, str(stack.folder / "program"), "up", "up", "refresh", "destroy"],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "up {'create': 2}\nup {'same': 2}\nrefresh {'same': 2}" in done.stdout
    assert live(emulator) == []
