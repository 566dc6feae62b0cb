"""A `Room` that is replaced, renamed or moved: the rooms in the state are open, and no one is removed without force."""

import json
import re
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import interrupted
from tests.engine.service import rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import UP, end, recover
from tests.engine.test_rooms import TYPE, no_room_opens_by_itself, opened
from tests.samples import parameters
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more causes and circumstances of a room's replacement; one of each is tried every day"),
    pytest.mark.shows("promise 6", "promise 8"),
]

__all__ = ["no_room_opens_by_itself"]

URN = f"urn:pulumi:test::rooms::{TYPE}::hall"
EVENT = """
from rtcai_pulumi import EventRooms
EventRooms({name!r}, {{"createRooms": True, "agent": {{"agent": {{"agentId": "a", "userId": "u"}}}},
    "rooms": {{{key!r}: {{"cname": "main"}}, "two": {{}}}}}})
"""


def program(
    name: str = "hall", *, host: bool = True, room: str = "", parent: bool = False, before: str = "", **opts: Any
) -> str:
    """A program with a room and an agent in it."""
    options = ", ".join(f"{key}={value}" for key, value in {**opts, **({"parent": "wing"} if parent else {})}.items())
    agent = 'RealtimeConversation("host", cname=hall.cname, agent=Agent(agent_id="a", user_id="u"))'
    return f"""
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation, Room
{"wing = pulumi.ComponentResource('test:index:Wing', 'wing')" if parent else ""}
{before}
hall = Room({name!r}, cname="hall"{room}, opts=pulumi.ResourceOptions({options}))
{agent if host else ""}
"""


def assert_agree(stack: Stack, emulator: Emulator, agents: list[str]) -> None:
    """The open rooms are the ones in the state, and the running agents are the ones in the state."""
    resources = json.loads(stack.state_text())["checkpoint"]["latest"].get("resources", [])
    known = {resource["outputs"]["cname"]: resource["id"] for resource in resources if resource["type"] == TYPE}
    assert {name: str(room["cid"]) for name, room in opened(emulator).items()} == known
    running = [task for task in emulator.tasks() if task["state"] != "ended"]
    assert sorted(task["cname"] for task in running) == agents
    tasks = {resource["outputs"]["taskId"] for resource in resources if "taskId" in resource.get("outputs", {})}
    assert {task["taskId"] for task in running} == tasks


@pytest.fixture(params=some_of(["agents do not count", "agents count"]))
def counting(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """It is not documented whether an agent counts as a member of its room."""
    if request.param == "agents do not count":
        emulator.change_settings(start_seconds=3600)
    return str(request.param)


OTHER = "other = Room('other', cname='{}')"
# The program before and after, and the additional arguments of the command.
REPLACEMENTS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "--replace": ({}, {}, ["--replace", URN]),
    "taint": ({}, {}, []),
    "trigger": ({"replacement_trigger": "'first'"}, {"replacement_trigger": "'second'"}, []),
    "replace_on_changes": (
        {"replace_on_changes": "['adopt_existing']"},
        {"replace_on_changes": "['adopt_existing']", "room": ", adopt_existing=True"},
        [],
    ),
    "replace_with": (
        {"replace_with": "[other]", "before": OTHER.format("first")},
        {"replace_with": "[other]", "before": OTHER.format("second")},
        [],
    ),
    "delete before replace": (
        {"delete_before_replace": "True"},
        {"delete_before_replace": "True"},
        ["--replace", URN],
    ),
}


@pytest.mark.shows("safety room-replaced")
@pytest.mark.parametrize(
    ("counting", "force", "causes"),
    [
        pytest.param("agents count", ", force=True", ["--replace", "taint"], id="some", marks=pytest.mark.everyday),
        pytest.param("agents count", "", list(REPLACEMENTS), id="agents count", marks=pytest.mark.exhaustive),
        pytest.param(
            "agents count", ", force=True", list(REPLACEMENTS), id="agents count, force", marks=pytest.mark.exhaustive
        ),
        pytest.param(
            "agents do not count", "", list(REPLACEMENTS), id="agents do not count", marks=pytest.mark.exhaustive
        ),
        pytest.param("agents do not count", ", force=True", list(REPLACEMENTS), id="agents do not count, force"),
    ],
    indirect=["counting"],
)
def test_a_replaced_room_stays_open_for_its_agent(
    stack: Stack, emulator: Emulator, counting: str, force: str, causes: list[str]
) -> None:
    for cause in causes:
        print(cause)  # printed if the test fails
        before, after, arguments = REPLACEMENTS[cause]
        stack.program(program(**before | {"room": force}))
        stack.up().succeeded()
        stack.program(program(**{**after, "room": force + after.get("room", "")}))
        if cause == "taint":
            stack.pulumi("state", "taint", URN, "--yes").succeeded()
        assert "replaced" in stack.up(*arguments).succeeded().output
        assert_agree(stack, emulator, ["hall"])
    assert "unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert (opened(emulator), [task for task in emulator.tasks() if task["state"] != "ended"]) == ({}, [])


def test_an_empty_room_that_is_replaced_is_open_afterwards(stack: Stack, emulator: Emulator) -> None:
    stack.program(program(host=False, room=", force=True"))
    stack.up().succeeded()
    for _ in range(2):
        stack.up("--replace", URN).succeeded()
        assert_agree(stack, emulator, [])
    stack.destroy().succeeded()
    assert opened(emulator) == {}


@pytest.mark.shows("safety room-renamed", "safety room-renamed-unknown")
@pytest.mark.parametrize(
    ("counting", "renamed", "way"),
    [
        ("agents do not count", {"name": "foyer"}, "adopt_existing"),
        ("agents do not count", {"name": "foyer"}, "alias"),
        pytest.param("agents count", {"name": "foyer"}, "adopt_existing", marks=pytest.mark.exhaustive),
        pytest.param("agents count", {"parent": True}, "alias", marks=pytest.mark.exhaustive),
        pytest.param("agents do not count", {"parent": True}, "adopt_existing", marks=pytest.mark.exhaustive),
    ],
    indirect=["counting"],
    ids=str,
)
def test_a_renamed_room_says_how_and_what_it_advises_is_safe(
    stack: Stack, emulator: Emulator, counting: str, renamed: dict[str, Any], way: str
) -> None:
    stack.program(program())
    stack.up().succeeded()
    (room,) = opened(emulator).values()
    stack.program(program(**renamed))
    run = stack.up().failed()
    assert f"belongs to another resource of this stack, {URN}" in run.output
    advised = re.search(r"the option aliases=(\['[^']+'\])", run.output.replace("\n", " "))
    assert advised, run.output
    assert_agree(stack, emulator, ["hall"])
    more: dict[str, Any] = {"aliases": advised[1]} if way == "alias" else {}
    stack.program(program(**renamed, room=", adopt_existing=True" if way != "alias" else "", **more))
    stack.up().succeeded()
    assert_agree(stack, emulator, ["hall"])
    assert list(opened(emulator).values()) == [room]
    stack.up("--replace", f"**::{renamed.get('name', 'hall')}").succeeded()
    assert_agree(stack, emulator, ["hall"])
    assert "unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert opened(emulator) == {}


@pytest.mark.shows("safety event-renamed")
@pytest.mark.parametrize("changed", some_of(["name", "key"]))
def test_an_event_of_another_name_or_key_keeps_its_rooms(stack: Stack, emulator: Emulator, changed: str) -> None:
    stack.program(EVENT.format(name="expo", key="one"))
    stack.up().succeeded()
    before = opened(emulator)
    tasks = {task["taskId"] for task in emulator.tasks()}
    stack.program(EVENT.format(name="fair" if changed == "name" else "expo", key="uno" if changed == "key" else "one"))
    stack.up().succeeded()
    assert opened(emulator) == before
    assert_agree(stack, emulator, ["main", "two"])
    anew = {task["cname"] for task in emulator.tasks() if task["state"] == "running"} if changed == "name" else {"main"}
    assert {task["cname"] for task in emulator.tasks() if task["taskId"] not in tasks} == anew
    stack.destroy().succeeded()
    assert opened(emulator) == {}


def creators(emulator: Emulator) -> list[Any]:
    """The creator that each opened room had."""
    return [request["body"]["uid"] for request in emulator.requests() if request["path"] == "/v2/api/room"]


@pytest.mark.shows("safety creator-changed")
def test_the_creator_s_number_is_sent_and_a_change_reopens_the_room(stack: Stack, emulator: Emulator) -> None:
    stack.program(program(host=False, room=", uid=41"))
    stack.up().succeeded()
    assert creators(emulator) == [41]
    first = opened(emulator)["hall"]["cid"]
    assert "unchanged" in stack.up().succeeded().output
    stack.program(program(host=False, room=", uid=42"))
    assert "replace" in stack.preview().succeeded().output
    stack.up().succeeded()
    assert creators(emulator) == [41, 42]
    assert opened(emulator)["hall"]["cid"] != first
    assert_agree(stack, emulator, [])
    stack.destroy().succeeded()
    assert opened(emulator) == {}


@pytest.mark.shows("safety creator-changed-occupied")
def test_another_creator_is_refused_while_somebody_is_in_the_room(
    stack: Stack, emulator: Emulator, counting: str
) -> None:
    stack.program(program(room=", uid=41"))
    stack.up().succeeded()
    stack.program(program(room=", uid=42"))
    run = stack.up().failed()
    assert "RoomInUse: The uid of room hall cannot be changed now" in run.output
    assert creators(emulator) == [41]
    assert_agree(stack, emulator, ["hall"])


def test_a_room_that_is_removed_under_a_declared_agent_is_left_open(
    stack: Stack, emulator: Emulator, counting: str
) -> None:
    by_name = program(room=", force=True").replace("cname=hall.cname", 'cname="hall", wait_for_room=60')
    stack.program(by_name)
    stack.up().succeeded()
    stack.program(re.sub(r"hall = Room.*\n", "", by_name))
    run = stack.up().succeeded()
    assert "was not ended and is removed from the state: task " in run.output
    assert [task["cname"] for task in emulator.tasks() if task["state"] != "ended"] == ["hall"]
    assert "unchanged" in stack.up().succeeded().output


@pytest.mark.shows("safety people-in-room")
def test_people_in_a_replaced_room_are_not_thrown_out(stack: Stack, emulator: Emulator) -> None:
    stack.program(program(host=False))
    stack.up().succeeded()
    data = {name: block for name, block in parameters().items() if isinstance(block, dict)}
    emulator.seed(tasks=[{"cname": "hall", "data": data}])
    in_turn: list[dict[str, Any]] = [{}, {"delete_before_replace": "True"}]
    for opts in in_turn:
        stack.program(program(host=False, **opts))
        stack.up("--replace", URN).succeeded()
        assert rooms(emulator) == ["hall"]
        assert_agree_on_rooms(stack, emulator)


def assert_agree_on_rooms(stack: Stack, emulator: Emulator) -> None:
    resources = json.loads(stack.state_text())["checkpoint"]["latest"]["resources"]
    known = {resource["outputs"]["cname"]: resource["id"] for resource in resources if resource["type"] == TYPE}
    assert {name: str(room["cid"]) for name, room in opened(emulator).items()} == known


def interruptions() -> list[Any]:
    """Each change at each of its moments; in `make test-full`, each is ended in one way."""
    moments = [
        *(
            ("--replace", moment)
            for moment in ("the room is asked about", "the room has been opened", "the room is known")
        ),
        *(("rename", moment) for moment in ("the room is asked about", "the room is known")),
    ]
    victims = ["engine", "plugin", "both"]
    return [
        pytest.param(*moment, victim, marks=[] if turn == number % 3 else [pytest.mark.exhaustive])
        for number, moment in enumerate(moments)
        for turn, victim in enumerate(victims)
    ]


@pytest.mark.shows("safety room-replace-killed")
@pytest.mark.parametrize(("change", "moment", "victim"), interruptions())
def test_a_replacement_of_a_room_is_ended_at_a_moment(
    stack: Stack, emulator: Emulator, change: str, moment: str, victim: str
) -> None:
    if moment == "the room has been opened":
        before, after = program(host=False, room=", uid=41"), program(host=False, room=", uid=42")
    else:
        before, after = program(), program()
    stack.program(before)
    stack.up().succeeded()
    if change == "rename":
        after = after.replace("hall = Room('hall'", "hall = Room('foyer'").replace(
            'cname="hall"', 'cname="hall", adopt_existing=True'
        )
    stack.program(after)
    command = [*UP, *(["--replace", URN] if change == "--replace" else [])]
    with interrupted(stack, emulator, command, moment) as run:
        end(run, victim)
    recover(stack)
    assert_agree(stack, emulator, [] if moment == "the room has been opened" else ["hall"])
    assert "unchanged" in stack.up().succeeded().output
    stack.destroy().succeeded()
    assert opened(emulator) == {}
