"""`retain_on_delete` and `deleted_with`: the engine drops resources from the state without a call to the provider."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import interrupted
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import UP, end, recover
from tests.engine.test_sequences import URN
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("options that keep or end an agent; tests/model and tests/unit try the rules"),
    pytest.mark.shows("promise 6", "promise 8"),
]

RTCAI = str(Path(sys.executable).with_name("rtcai"))
OTHER = one_room(cname="other").replace('"host"', '"other"')


@pytest.fixture(autouse=True)
def replaying(emulator: Emulator) -> None:
    emulator.change_settings(dedup="replay")


def program(cname: str = "keynote", more: str = "", **opts: Any) -> str:
    options = ", ".join(f"{name}={value}" for name, value in opts.items())
    return f"import pulumi\n{one_room(cname=cname, more=f'{more}, opts=pulumi.ResourceOptions({options})')}"


RETAINED = program(retain_on_delete=True)
# The same option, set in different ways.
IN_A_COMPONENT = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
hall = pulumi.ComponentResource("test:index:Hall", "hall", opts=pulumi.ResourceOptions(retain_on_delete=True))
RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id="u"),
    opts=pulumi.ResourceOptions(parent=hall))
"""
BY_A_TRANSFORM = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
def retained(args):
    return pulumi.ResourceTransformResult(args.props,
        pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(retain_on_delete=True)))
pulumi.runtime.register_resource_transform(retained)
RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id="u"))
"""
BY_A_TRANSFORMATION = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
def retained(args):
    return pulumi.ResourceTransformationResult(args.props,
        pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(retain_on_delete=True)))
pulumi.runtime.register_stack_transformation(retained)
RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="a", user_id="u"))
"""
WAYS = {
    "option": RETAINED,
    "component": IN_A_COMPONENT,
    "transform": BY_A_TRANSFORM,
    "transformation": BY_A_TRANSFORMATION,
}


def rtcai(stack: Stack, *arguments: str) -> str:
    command = [RTCAI, *arguments]
    done = subprocess.run(
        command, cwd=stack.folder / "program", env=stack.selected(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def marks(stack: Stack) -> dict[str, str | None]:
    return {each["cname"]: each["mark"] for each in json.loads(rtcai(stack, "ls", "--stack", "test", "--json"))}


@pytest.mark.parametrize("way", some_of(WAYS))
def test_a_retained_agent_is_left_alone_until_somebody_closes_it(stack: Stack, emulator: Emulator, way: str) -> None:
    stack.program(WAYS[way])
    stack.up().succeeded()
    assert "unchanged" in stack.up().succeeded().output
    (retained,) = live(emulator)
    stack.program(OTHER)
    stack.up().succeeded()
    assert retained in live(emulator)
    assert marks(stack) == {"keynote": "retained", "other": "in state"}
    rtcai(stack, "sweep", "--stack", "test", "--yes")
    stack.program(WAYS[way].replace("keynote", "elsewhere"))  # declared again, in another room
    stack.up().succeeded()
    stack.up().succeeded()
    assert retained in live(emulator)
    assert rooms(emulator) == ["elsewhere", "keynote"]
    stack.destroy().succeeded()
    rtcai(stack, "sweep", "--stack", "test", "--yes")
    assert rooms(emulator) == ["elsewhere", "keynote"]
    rtcai(stack, "close", f"{retained['cid']}/{retained['taskId']}", "--yes")
    assert rooms(emulator) == ["elsewhere"]


def test_a_retained_agent_may_be_adopted_again(stack: Stack, emulator: Emulator) -> None:
    stack.program(RETAINED)
    stack.up().succeeded()
    (retained,) = live(emulator)
    task = f"{retained['cid']}/{retained['taskId']}"
    stack.program("")
    stack.up().succeeded()
    stack.program(one_room(more=f", adopt={task!r}").replace('"host"', '"moderator"'))
    stack.up().succeeded()
    assert live(emulator) == [retained]
    assert calls(emulator) == ["create"]
    assert marks(stack) == {"keynote": "in state"}
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert live(emulator) == []


def test_a_retained_agent_and_its_replacement_are_warned_of_at_preview(stack: Stack, emulator: Emulator) -> None:
    stack.program(RETAINED)
    stack.up().succeeded()
    stack.program(
        program(more=", tts={'ttsVendor': 6, 'speed': 2}", retain_on_delete=True).replace("tts=Tts(tts_vendor=6), ", "")
    )
    told = stack.preview().succeeded().output
    assert "Two agents in one room talk to each other." in told
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote", "keynote"]
    assert "2 unchanged" in stack.up().succeeded().output


def test_the_option_may_be_set_and_taken_away_later(stack: Stack, emulator: Emulator) -> None:
    for before, after, kept in ((program(), RETAINED, True), (RETAINED, program(), False)):
        stack.program(before)
        stack.up().succeeded()
        stack.program(after)
        assert "1 updated" in stack.up().succeeded().output
        assert "2 unchanged" in stack.up().succeeded().output
        stack.program("")
        stack.up().succeeded()
        assert rooms(emulator) == ["keynote"] * kept
        for task in live(emulator):
            rtcai(stack, "close", f"{task['cid']}/{task['taskId']}", "--yes")


def test_the_option_may_be_set_on_another_machine(stack: Stack, emulator: Emulator) -> None:
    stack.program(program())
    stack.up().succeeded()
    (retained,) = live(emulator)
    stack.environment["RTCAI_JOURNAL"] = str(stack.folder / "another.db")
    stack.program(RETAINED)
    assert "1 updated" in stack.up().succeeded().output
    assert "2 unchanged" in stack.up().succeeded().output
    stack.program("")
    stack.up().succeeded()
    assert live(emulator) == [retained]
    assert marks(stack) == {"keynote": "retained"}
    stack.program(program("elsewhere"))
    stack.up().succeeded()
    assert retained in live(emulator)


@pytest.mark.parametrize("cause", some_of(["--replace", "trigger"]))
def test_what_else_replaces_a_retained_agent_is_warned_of_at_preview(
    stack: Stack, emulator: Emulator, cause: str
) -> None:
    stack.program(program(retain_on_delete=True, replacement_trigger="'first'"))
    stack.up().succeeded()
    if cause == "trigger":
        stack.program(program(retain_on_delete=True, replacement_trigger="'second'"))
    told = stack.preview(*(["--replace", URN] if cause == "--replace" else [])).succeeded().output
    assert "Two agents in one room talk to each other." in told
    assert calls(emulator) == ["create"]


@pytest.mark.parametrize("order", ["any order", "adopting first"])
def test_a_retained_agent_that_is_still_declared_is_not_adopted_twice(
    stack: Stack, emulator: Emulator, order: str
) -> None:
    stack.program(RETAINED)
    stack.up().succeeded()
    (retained,) = live(emulator)
    task = f"{retained['cid']}/{retained['taskId']}"
    adopting = one_room(more=f", adopt={task!r}").replace(
        'RealtimeConversation("host"', 'mod = RealtimeConversation("mod"'
    )
    if order == "adopting first":
        stack.program(adopting + program(retain_on_delete=True, depends_on="[mod]"))
    else:
        stack.program(RETAINED + adopting)
    run = stack.up().succeeded()
    assert f"adopt is ignored and a new agent is started, because task {task} belongs to {URN}" in run.output
    in_state = [one["outputs"]["taskId"] for one in stack.conversations().values()]
    assert sorted(in_state) == sorted(each["taskId"] for each in live(emulator))
    stack.program(RETAINED)
    stack.up().succeeded()
    assert live(emulator) == [retained]
    assert [one["id"] for one in stack.conversations().values()] == [task]


def test_a_retained_agent_of_a_renamed_resource_is_not_adopted(stack: Stack, emulator: Emulator) -> None:
    stack.program(RETAINED)
    stack.up().succeeded()
    (retained,) = live(emulator)
    task = f"{retained['cid']}/{retained['taskId']}"
    adopting = one_room(more=f", adopt={task!r}").replace(
        'RealtimeConversation("host"', "mod = RealtimeConversation('mod'"
    )
    renamed = program(retain_on_delete=True, depends_on="[mod]", aliases="[pulumi.Alias(name='host')]")
    stack.program(adopting + renamed.replace('"host"', '"moved"'))
    assert "adopt is ignored" in stack.up().succeeded().output
    in_state = {urn.rpartition("::")[2]: one["outputs"]["taskId"] for urn, one in stack.conversations().items()}
    assert in_state["moved"] == retained["taskId"]
    assert sorted(in_state.values()) == sorted(each["taskId"] for each in live(emulator))


@pytest.mark.shows("safety adopt-of-another")
@pytest.mark.parametrize("choice", ["keep the new one", "keep the old one"])
def test_an_ignored_adopt_names_commands_that_leave_one_agent(stack: Stack, emulator: Emulator, choice: str) -> None:
    stack.program(program())
    stack.up().succeeded()
    (old,) = live(emulator)
    task = f"{old['cid']}/{old['taskId']}"
    stack.pulumi("state", "delete", URN, "--yes").succeeded()
    stack.program(one_room(more=f", adopt={task!r}").replace('"host"', '"moderator"'))
    run = stack.up().succeeded()
    assert task in rtcai(stack, "ls")
    assert len(live(emulator)) == 2
    moderator = URN.replace("::host", "::moderator")
    assert f"Stop the old one with `rtcai close {task}`" in run.output
    assert f"run `rtcai release {task}`, then `pulumi up --replace {moderator}`" in run.output
    if choice == "keep the old one":
        rtcai(stack, "release", task, "--yes")
        stack.up("--replace", moderator).succeeded()
        assert live(emulator) == [old]
    else:
        rtcai(stack, "close", task, "--yes")
        assert old not in live(emulator)
    assert len(live(emulator)) == 1
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert live(emulator) == []


def test_an_ignored_adopt_of_a_renamed_resource_leaves_one_agent(stack: Stack, emulator: Emulator) -> None:
    stack.program(program())
    stack.up().succeeded()
    (old,) = live(emulator)
    task = f"{old['cid']}/{old['taskId']}"
    stack.program(one_room(more=f", adopt={task!r}").replace('"host"', '"moderator"'))
    assert "If `rtcai ls` still lists that task after this run" in stack.up().succeeded().output
    assert task not in rtcai(stack, "ls"), "the engine has deleted the resource that had it"
    assert len(live(emulator)) == 1


@pytest.mark.shows("safety retained-killed")
@pytest.mark.parametrize("victim", some_of(["both", "two SIGINTs", "engine", "plugin"]))
def test_what_a_killed_run_has_started_is_not_taken_for_retained(stack: Stack, emulator: Emulator, victim: str) -> None:
    stack.program(RETAINED)
    with interrupted(stack, emulator, UP, "the engine is about to get the result") as run:
        end(run, victim)
    recover(stack)
    assert rooms(emulator) == ["keynote"]
    assert "2 unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    (retained,) = live(emulator)
    stack.program(program())
    stack.up().succeeded()
    assert retained in live(emulator), "this one an engine had in its state"


DELETED_WITH = """
import pulumi
from rtcai_pulumi import Agent, EventRooms, RealtimeConversation, Room
hall = Room("hall", cname="keynote", force={force})
{parent}
{host}
"""
HOST = """
RealtimeConversation("host", cname={cname}, agent=Agent(agent_id="a", user_id="u"), opts=pulumi.ResourceOptions({opts}))
"""
COMPONENT = """
class Hall(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("test:index:Hall", name, opts=opts)
hall_component = Hall("component", opts=pulumi.ResourceOptions(deleted_with=hall))
"""
WITH = {
    "option": ("", HOST, "deleted_with=hall"),
    "parent": (COMPONENT, HOST, "parent=hall_component"),
    "grandparent": (
        COMPONENT + 'inner = Hall("inner", opts=pulumi.ResourceOptions(parent=hall_component))\n',
        HOST,
        "parent=inner",
    ),
    "transform": (
        "pulumi.runtime.register_resource_transform(lambda args: pulumi.ResourceTransformResult(args.props, "
        "pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(deleted_with=hall)))"
        " if args.type_.endswith('Conversation') else None)\n",
        HOST,
        "",
    ),
    "transformation": (
        "pulumi.runtime.register_stack_transformation(lambda args: pulumi.ResourceTransformationResult(args.props, "
        "pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(deleted_with=hall)))"
        " if args.type_.endswith('Conversation') else None)\n",
        HOST,
        "",
    ),
    "event": (
        "",
        'EventRooms("event", {"agent": {"agent": {"agentId": "a", "userId": "u"}}, "rooms": {"keynote": {}}}, '
        "opts=pulumi.ResourceOptions(deleted_with=hall))\n",
        "",
    ),
}


def deleted_with(way: str, cname: str = '"keynote"', *, force: bool = False) -> str:
    parent, host, opts = WITH[way]
    host = host.format(cname=cname, opts=opts) if host is HOST else host
    return DELETED_WITH.format(parent=parent, host=host, force=force)


@pytest.mark.shows("safety deleted-with-room")
@pytest.mark.parametrize(
    ("way", "cname"),
    [
        ("option", '"keynote"'),
        ("parent", "hall.cname"),
        *(pytest.param(way, "hall.cname", marks=pytest.mark.exhaustive) for way in WITH if way != "parent"),
        *(pytest.param(way, '"keynote"', marks=pytest.mark.exhaustive) for way in WITH if way != "option"),
    ],
)
def test_deleted_with_its_room_the_agent_is_stopped_first(
    stack: Stack, emulator: Emulator, way: str, cname: str
) -> None:
    emulator.change_settings(rooms="required", tasks_end_with_room=False)
    stack.program(deleted_with(way, cname))
    stack.up().succeeded()
    assert "unchanged" in stack.up().succeeded().output
    assert rooms(emulator) == ["keynote"]
    run = stack.destroy().succeeded()
    assert "warning" not in run.output
    assert (live(emulator), emulator.rooms()) == ([], [])


@pytest.mark.shows("safety deleted-with-other")
@pytest.mark.parametrize(
    ("other", "opts"),
    some_of(
        [
            ("other = pulumi.ComponentResource('test:index:Other', 'other')", "deleted_with=other"),
            (
                "other = RealtimeConversation('other', cname='other', agent=Agent(agent_id='a', user_id='u'))",
                "deleted_with=other",
            ),
            (
                "other = pulumi.ComponentResource('test:index:Other', 'other')\n"
                "with_other = pulumi.ResourceOptions(deleted_with=other)\n"
                "parent = pulumi.ComponentResource('test:index:Parent', 'parent', opts=with_other)",
                "parent=parent",
            ),
        ]
    ),
    ids=["component", "conversation", "inherited"],
)
def test_deleted_with_what_cannot_stop_it_is_refused_at_preview(
    stack: Stack, emulator: Emulator, other: str, opts: str
) -> None:
    stack.program(DELETED_WITH.format(parent=other, host=HOST.format(cname='"keynote"', opts=opts), force=False))
    run = stack.preview().failed()
    assert "deleted_with: only a conversation may have this option, and only with a Room" in run.output
    assert "use depends_on" in run.output
    assert "Traceback" not in run.output
    assert emulator.requests() == []


def test_a_secret_survives_an_inherited_option(stack: Stack, emulator: Emulator) -> None:
    stack.program(
        IN_A_COMPONENT.replace(
            'agent=Agent(agent_id="a", user_id="u")',
            "asr={'asrVendor': 6}, tts={'ttsVendor': 6}, llm={'llmVendor': 1, 'role': 0, "
            "'customPrompt': pulumi.Output.secret('CANARY prompt')}",
        )
    )
    stack.up().succeeded()
    assert "CANARY" not in stack.state_text()
    assert live(emulator)[0]["data"]["llm"]["customPrompt"] == "CANARY prompt"
    assert "unchanged" in stack.up().succeeded().output
    assert URN not in stack.state_text(), "it has a parent"


def test_a_retained_room_stays_open_and_is_taken_again(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(rooms="required")
    stack.program(
        """
import pulumi
from rtcai_pulumi import Room
Room("hall", cname="hall", opts=pulumi.ResourceOptions(retain_on_delete=True))
"""
    )
    stack.up().succeeded()
    (room,) = emulator.rooms()
    stack.destroy().succeeded()
    assert emulator.rooms() == [room]
    stack.up().succeeded()
    assert emulator.rooms() == [room]
