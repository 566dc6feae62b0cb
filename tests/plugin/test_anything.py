"""Any JSON at any depth, through the real plugin process: if its check accepts a value, the service accepts it."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.json_format import ParseError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rtcai_pulumi.config.rules import DEEPEST
from rtcai_pulumi.emulator import Emulator
from tests.anything import SAMPLES, anything, changed, places
from tests.plugin.plugin import UNKNOWN, Plugin, struct

KEYWORDS = ["extra", "waitForRoom", "requestId", "replaceStrategy", "pipeline"]
any_inputs = st.sampled_from(SAMPLES).flatmap(lambda sample: anything(sample, KEYWORDS, marks=()))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(allow_unknown_fields=True) as running:  # the purpose of `extra`
        yield running


def crosses_the_wire(inputs: dict[str, Any]) -> bool:
    """Whether gRPC can carry the inputs. Other inputs are refused in the program, which tests/engine tests."""
    try:
        struct(inputs)
    except (UnicodeEncodeError, OverflowError, ParseError):
        return False
    return all(len(place) <= DEEPEST for place in places(inputs))


@settings(max_examples=300, deadline=None)
@given(inputs=any_inputs)
def test_valid_inputs_start_an_agent(plugin: Plugin, emulator: Emulator, inputs: dict[str, Any]) -> None:
    assume(crosses_the_wire(inputs))
    if plugin.check(inputs):
        return
    id_, outputs = plugin.create(inputs)
    (task,) = [task for task in emulator.tasks() if task["state"] == "running"]
    assert id_ == f"{task['cid']}/{task['taskId']}"
    plugin.delete(id_, outputs)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), inputs=any_inputs)
def test_unknown_values_are_no_problem(plugin: Plugin, data: st.DataObject, inputs: dict[str, Any]) -> None:
    """If the value is valid, it is also valid as an unknown."""
    assume(crosses_the_wire(inputs))
    place = data.draw(st.sampled_from(places(inputs)[1:]))
    before = plugin.check(inputs)
    found = plugin.check(changed(inputs, place, lambda _: UNKNOWN))
    assert before or not found
