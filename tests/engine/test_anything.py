"""Any JSON in any field of a program or an event file, with outputs at any depth.

No command ends with a traceback. If a preview accepts a value, the service accepts it too.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rtcai_pulumi.config.conversation import Conversation
from rtcai_pulumi.config.validation import check
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.lifecycle.room import check_room
from tests.anything import EVENT, ROOM, SAMPLES, anything, without_outputs
from tests.engine.service import live
from tests.engine.stack import Stack

pytestmark = [
    pytest.mark.full("any JSON; tests/unit/config and tests/plugin try far more of it without the engine"),
    pytest.mark.shows("verb check"),
]

PROGRAM = """
import json, pathlib
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from rtcai_pulumi import EventRooms, RealtimeConversation, Room
from rtcai_pulumi.events import run

class Echo(ResourceProvider):
    def create(self, props):
        return CreateResult("echo", {"said": props["said"]})

class Later(Resource):
    said: pulumi.Output[str]
    def __init__(self):
        super().__init__(Echo(), "later", {"said": "yes"})

later = Later()

def inputs(value):
    if isinstance(value, list):
        return [inputs(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$output"}:
        return pulumi.Output.from_input(inputs(value["$output"]))
    if set(value) == {"$later"}:
        inner = inputs(value["$later"])
        return later.said.apply(lambda _: inner)
    return {key: inputs(item) for key, item in value.items()}

for number, (kind, value) in enumerate(json.loads(pathlib.Path("case.json").read_text())):
    if kind == "conversation":
        RealtimeConversation(f"host-{number}", **inputs(value))
    elif kind == "room":
        Room(f"room-{number}", **inputs(value))
    elif kind == "event":
        EventRooms(f"event-{number}", inputs(value))
    else:
        pathlib.Path("event.yaml").write_text(json.dumps(value))
        run()
"""
Case = tuple[str, Any]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(allow_unknown_fields=True) as running:  # the purpose of `extra`
        yield running


conversations = st.sampled_from(SAMPLES).flatmap(
    lambda sample: anything(sample, ["extra", "wait_for_room", "request_id", "replace_strategy", "pipeline"])
)
cases = (
    st.tuples(st.just("conversation"), conversations)
    | st.tuples(st.just("room"), anything(ROOM, ["uid", "force"]))
)  # fmt: skip
events = (
    st.tuples(st.just("event"), anything(EVENT, list(EVENT)))
    | st.tuples(st.just("file"), anything(EVENT, list(EVENT), marks=()))
)  # fmt: skip


def is_right(case: Case) -> bool:
    """Whether the check finds no problem in the values of a case."""
    kind, value = case[0], without_outputs(case[1])
    if kind == "room":
        value = {"adoptExisting" if name == "adopt_existing" else name: item for name, item in value.items()}
        return not check_room({name: item for name, item in value.items() if item is not None})
    names = {python: wire for wire, python in Conversation.wire_names().items()} | {"extra": "extra"}
    body = {names[name]: item for name, item in _without_nulls(value).items()}
    return not check(body)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def write_cases(stack: Stack, cases: list[Case]) -> None:
    Path(stack.folder, "program", "case.json").write_text(json.dumps(cases), encoding="utf-8")


def some(exhaustive: bool, few: int, many: int) -> settings:
    """How many examples a test tries: the same few each time, or many different ones."""
    return settings(
        max_examples=many if exhaustive else few,
        derandomize=not exhaustive,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@pytest.mark.parametrize("exhaustive", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_valid_cases_are_started_and_others_are_reported(stack: Stack, emulator: Emulator, exhaustive: bool) -> None:
    stack.program(PROGRAM)

    @some(exhaustive, 1, 50)
    @given(st.lists(cases, min_size=20, max_size=40))
    def try_batch(batch: list[Case]) -> None:
        right = [case for case in batch if is_right(case)]
        wrong = [case for case in batch if not is_right(case)]
        write_cases(stack, right)
        stack.preview().succeeded()
        stack.up().succeeded()
        assert len(live(emulator)) == len([kind for kind, _ in right if kind == "conversation"])
        stack.destroy().succeeded()
        write_cases(stack, wrong)
        stack.preview()
        told = stack.up()
        assert "Traceback" not in told.output
        assert not wrong or "has a problem" in told.failed().output
        assert live(emulator) == []
        stack.destroy().succeeded()

    try_batch()


@pytest.mark.parametrize("exhaustive", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_an_event_is_started_or_its_mistakes_are_reported(stack: Stack, emulator: Emulator, exhaustive: bool) -> None:
    stack.program(PROGRAM)

    @some(exhaustive, 5, 200)
    @given(events)
    def try_event(case: Case) -> None:
        write_cases(stack, [case])
        preview = stack.preview()
        assert "Traceback" not in preview.output
        if preview.code:
            assert live(emulator) == []
            return
        up = stack.up()
        assert "Traceback" not in up.output
        if '"$later"' not in json.dumps(case):
            up.succeeded()
        stack.destroy().succeeded()

    try_event()
