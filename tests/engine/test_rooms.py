"""`Room`: opened, adopted, left open, ended, and the conversations that take their room from it."""

import json
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.crash import ends, interrupted
from tests.engine.service import live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import end, recover
from tests.tiers import some_of

pytestmark = pytest.mark.full("more circumstances of a room; its life from open to end is run every day")

ROOM = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation, Room
hall = Room("hall", cname={cname!r}{more})
pulumi.export("cid", hall.cid)
"""
HOST = """
RealtimeConversation("host", cname=hall.cname, agent=Agent(agent_id="a", user_id="u"))
"""
TYPE = "pulumi-python:dynamic/rtcai:Room"


def hall(cname: str = "hall", more: str = "") -> str:
    return ROOM.format(cname=cname, more=more)


def opened(emulator: Emulator) -> dict[str, Any]:
    """The open rooms, by name."""
    return {room["cname"]: room for room in emulator.rooms()}


@pytest.fixture(autouse=True)
def no_room_opens_by_itself(emulator: Emulator) -> None:
    emulator.change_settings(rooms="required")


@pytest.mark.everyday
@pytest.mark.shows("promise 2", "promise 8")
def test_a_conversation_waits_for_its_room_and_stops_before_it(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall() + HOST)
    assert "+ 3 to create" in stack.preview().succeeded().output
    assert emulator.requests() == []
    stack.up().succeeded()
    (task,) = live(emulator)
    room = opened(emulator)["hall"]
    assert task["cid"] == room["cid"]
    assert json.loads(stack.pulumi("stack", "output", "--json").output) == {"cid": str(room["cid"])}
    assert "3 unchanged" in stack.up().succeeded().output
    assert "3 unchanged" in stack.refresh().succeeded().output
    stack.destroy().succeeded()
    assert (live(emulator), opened(emulator)) == ([], {})


def test_a_room_that_somebody_else_has_opened_is_an_error_unless_adopted(stack: Stack, emulator: Emulator) -> None:
    emulator.open_room("hall")
    stack.program(hall())
    run = stack.up().failed()
    assert "RoomExists: Room hall is already open" in run.output
    assert "adopt_existing=True" in run.output
    stack.program(hall(more=", adopt_existing=True"))
    cid = opened(emulator)["hall"]["cid"]
    stack.up().succeeded()
    assert json.loads(stack.pulumi("stack", "output", "--json").output) == {"cid": str(cid)}
    stack.destroy().succeeded()
    assert opened(emulator) == {}


@pytest.mark.parametrize("moment", ["the room has been asked for", "the room has been opened"])
@pytest.mark.parametrize("victim", some_of(["plugin", "engine"]))
def test_a_room_that_a_killed_run_has_opened_is_its_own(
    stack: Stack, emulator: Emulator, moment: str, victim: str
) -> None:
    stack.program(hall() + HOST)
    with interrupted(stack, emulator, ["up", "--yes", "--skip-preview"], moment) as run:
        end(run, victim)
    recover(stack)
    assert rooms(emulator) == ["hall"]
    assert list(opened(emulator)) == ["hall"]
    stack.destroy().succeeded()
    assert opened(emulator) == {}


@pytest.mark.shows("safety orphan-exit")
def test_a_plugin_whose_engine_is_gone_sees_the_calls_of_all_its_providers_to_their_end(
    stack: Stack, emulator: Emulator
) -> None:
    stack.program(hall() + HOST)
    with interrupted(stack, emulator, ["up", "--yes", "--skip-preview"], "the create has been done") as run:
        run.kill_engine()
        (plugin,) = run.plugins()
        assert not ends(plugin, within=3)  # it checks every second whether its engine is alive
        run.finish()
    assert live(emulator) == []


def test_a_room_with_members_is_left_open_with_a_warning_and_force_ends_it(stack: Stack, emulator: Emulator) -> None:
    by_hand = hall() + HOST
    stack.program(by_hand)
    stack.up().succeeded()
    (host,) = stack.conversations().values()
    stack.pulumi("state", "delete", host["urn"], "--yes").succeeded()
    run = stack.destroy().succeeded()
    assert "warning: room hall (cid " in run.output
    assert "was not ended, because someone may be in it (number of members: 1; known agents: " in run.output
    assert "`rtcai end-room hall` ends it now and disconnects everyone." in run.output
    assert rooms(emulator) == ["hall"]
    stack.program(hall(more=", force=True"))
    stack.up().succeeded()  # the room still belongs to this resource
    stack.destroy().succeeded()
    assert (live(emulator), opened(emulator)) == ([], {})


def test_a_room_that_ended_is_seen_and_opened_again(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall() + HOST)
    stack.up().succeeded()
    emulator.end_room("hall")
    assert "- 2 deleted" in stack.refresh().succeeded().output
    stack.up().succeeded()
    assert rooms(emulator) == ["hall"]
    emulator.end_room("hall")
    stack.up("--refresh").succeeded()
    assert rooms(emulator) == ["hall"]
    emulator.end_room("hall")
    stack.destroy().succeeded()


def test_doubt_is_never_gone(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall())
    stack.up().succeeded()
    emulator.end_room("hall")
    emulator.fault("query", "answer", code=403, times=None)
    run = stack.refresh().succeeded()
    assert (
        "warning: The refresh could not check whether room hall is still open, so it stays in the state." in run.output
    )
    assert TYPE in stack.state_text()


def test_another_name_opens_the_new_room_before_the_old_one_ends(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall() + HOST)
    stack.up().succeeded()
    stack.program(hall("foyer") + HOST)
    assert "2 replaced" in stack.up().succeeded().output
    assert rooms(emulator) == ["foyer"]
    assert list(opened(emulator)) == ["foyer"]


@pytest.mark.everyday
@pytest.mark.shows("verb update")
def test_what_only_the_provider_reads_is_an_update_without_a_request(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall())
    stack.up().succeeded()
    before = len(emulator.requests())
    stack.program(hall(more=", force=True"))
    assert "1 updated" in stack.up().succeeded().output
    assert len(emulator.requests()) == before
    assert '"force":true' in stack.state_text().replace(" ", "")  # engines format the file differently


@pytest.mark.everyday
@pytest.mark.shows("verb check")
def test_all_problems_of_rooms_and_agents_are_reported_together(stack: Stack, emulator: Emulator) -> None:
    more = ", uid=-1, force='yes'"
    stack.program(hall("x" * 65, more) + HOST.replace('user_id="u"', 'user_id=""'))
    run = stack.preview().failed()
    assert "Room 'hall' has a problem: cname: must be 1 to 64 bytes of UTF-8" in run.output
    assert "Room 'hall' has a problem: uid: out of range (1 to 9007199254740991)" in run.output
    assert "Room 'hall' has a problem: force: must be true or false" in run.output
    assert emulator.requests() == []


def test_another_account_is_an_error_and_the_state_is_kept(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall())
    stack.up().succeeded()
    run = stack.destroy(RTCAI_APP_KEY="another").failed()
    assert "OtherAccount: The settings belong to another account than room hall" in run.output
    assert list(opened(emulator)) == ["hall"]
    assert TYPE in stack.state_text()


@pytest.mark.parametrize(
    ("setting", "value"), some_of([("RTCAI_APP_KEY", "another-key"), ("RTCAI_ROOM_ENDPOINT", "http://127.0.0.1:9")])
)
def test_another_account_or_room_api_is_named_at_preview(
    stack: Stack, emulator: Emulator, setting: str, value: str
) -> None:
    stack.program(hall())
    stack.up().succeeded()
    stored = emulator.app_key if setting == "RTCAI_APP_KEY" else emulator.url
    run = stack.preview(**{setting: value}).succeeded()
    assert "warning: The settings belong to another account than room hall" in run.output
    assert f"is {value}, but the room was opened with {stored}" in run.output
    stack.program(hall("foyer"))
    run = stack.preview(**{setting: value}).failed()
    assert f"is {value}, but the room was opened with {stored}" in run.output


def test_a_passing_fault_of_the_room_api_does_not_fail_an_up(stack: Stack, emulator: Emulator) -> None:
    stack.program(hall())
    emulator.fault("query", "reset", times=2)
    emulator.fault("room-create", "reset", work=True)
    stack.up().succeeded()
    assert list(opened(emulator)) == ["hall"]


def test_a_misspelt_keyword_fails_in_the_program(stack: Stack) -> None:
    stack.program(hall(more=", adopt_exisiting=True"))
    assert "did you mean 'adopt_existing'?" in stack.preview().failed(frames=True).output
