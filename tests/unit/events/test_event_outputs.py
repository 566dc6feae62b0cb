"""Events of a program, in which some values are outputs."""

from typing import Any

import pytest

from rtcai_pulumi.events.document import EventSource
from rtcai_pulumi.events.validation import plan_event
from tests.unit.events.files import DEFAULT, default, event

LATE = object()
"""An output."""
MERGED = (
    "must not be an Output, because the blocks of the event and of each room are merged while the program runs; pass "
    'each block as an Output, for example llm=ref.require_output("agent")["llm"]'
)


def mistakes(data: Any) -> dict[str, str]:
    plan = plan_event(data, EventSource(), lambda value: value is LATE)
    return {mistake.path: mistake.reason for mistake in plan.mistakes}


def test_a_default_agent_that_is_an_output_is_one_mistake() -> None:
    rooms = {"a": {}, "b": {"agent": {"llm": {"temperature": 0.2}}}, "c": {"agent": {"pipeline": None}}}
    assert mistakes(event(LATE, rooms)) == {"agent": MERGED}


def test_the_changes_of_a_room_that_are_an_output_are_one_mistake() -> None:
    partial = {name: block for name, block in DEFAULT.items() if name != "tts"}
    found = mistakes(event(partial, {"a": {"agent": LATE}, "b": {"agent": {"tts": {"ttsVendor": 6}}}}))
    assert found == {"rooms.a.agent": MERGED}


def test_mistakes_that_depend_on_no_output_are_still_reported() -> None:
    rooms = {"a": {"agent": LATE, "cname": ""}, "b": {"agent": {"tts": None}}, "c": {"agent": {"tts": {"speed": 9}}}}
    found = mistakes(event(default(asr={"asrVendor": "six"}), rooms))
    assert set(found) == {
        "agent.asr.asrVendor", "rooms.a.agent", "rooms.a.cname", "rooms.b.agent.tts", "rooms.c.agent.tts.speed"
    }  # fmt: skip


@pytest.mark.parametrize("agent", [[], "asr", 7])
def test_an_agent_of_a_wrong_type_is_one_mistake(agent: Any) -> None:
    assert mistakes(event(agent, {"a": {}, "b": {"agent": {"llm": {"llmVendor": 1}}}})) == {
        "agent": "must be an object"
    }


def test_whole_blocks_may_be_outputs() -> None:
    assert mistakes(event({**DEFAULT, "llm": LATE}, {"a": {}, "b": {"agent": {"tts": LATE}}})) == {}
