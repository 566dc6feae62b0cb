"""Inputs that people might write: the service's own samples, with any JSON in place of any of their values.

A value of the form ``{"$output": value}`` or ``{"$later": value}`` represents an Output. The value of the first is
known in a preview. The value of the second is known only when another resource has been created.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.samples import VALID, load

OUTPUT = "$output"
LATER = "$later"


def nested(depth: int) -> Any:
    """A chain of nested objects of this depth."""
    value: Any = 1
    for _ in range(depth):
        value = {"in": value}
    return value


texts = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(
    ["", " ", "a\n", "\x1b[31m", "\ud800", "é" * 40, "null", "stop-first", "7/task", "-1", "1e400", "${x}", "{{x}}"]
)
numbers = (
    st.integers(-2, 20)
    | st.floats(-5, 5, allow_nan=False)
    | st.sampled_from([2**31, 2**53 + 1, 10**400, -(10**400), 1e308, -0.0, 0.1])
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
) | st.integers(10, 400).map(nested)


Place = tuple[str | int, ...]


def places(value: Any, place: Place = ()) -> list[Place]:
    """All places in a value, including its root."""
    found = [place]
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*place, key))
    return found


def changed(value: Any, place: Place, change: Callable[[Any], Any]) -> Any:
    """A copy with the value at a place changed. If the place no longer exists, the same value."""
    if not place:
        return change(value)
    if isinstance(value, dict) and place[0] in value:
        return {**value, place[0]: changed(value[place[0]], place[1:], change)}
    if isinstance(value, list) and isinstance(place[0], int) and place[0] < len(value):
        return [changed(item, place[1:], change) if n == place[0] else item for n, item in enumerate(value)]
    return value


@st.composite
def anything(draw: st.DrawFn, sample: Any, keywords: Sequence[str], marks: Sequence[str] = (OUTPUT, LATER)) -> Any:
    """A sample with up to two of its values changed, up to two new fields, and outputs in some places.

    Args:
        sample: the sample to start with.
        keywords: names of further keywords next to the sample's own fields; inside of them, any field can occur.
        marks: the kinds of outputs that can occur.
    """
    value = copy.deepcopy(sample)
    for place in draw(st.lists(st.sampled_from(places(value)[1:]), max_size=2)):
        value = changed(value, place, _always(draw(json_values)))
    for place in draw(st.lists(st.sampled_from(places(value)), max_size=2)):
        names = st.sampled_from(["extra", "role", "speed"]) | texts if place else st.sampled_from(keywords)
        value = changed(value, place, _with(draw(names), draw(json_values)))
    for place in draw(st.lists(st.sampled_from(places(value)[1:]), max_size=2 if marks else 0)):
        mark = draw(st.sampled_from(marks))
        value = changed(value, place, _marked(mark))
    return value


def without_outputs(value: Any) -> Any:
    """The value once all outputs are known."""
    if isinstance(value, dict):
        (key, item) = next(iter(value.items()), (None, None))
        if len(value) == 1 and key in {OUTPUT, LATER}:
            return without_outputs(item)
        return {key: without_outputs(item) for key, item in value.items()}
    return [without_outputs(item) for item in value] if isinstance(value, list) else value


def _always(new: Any) -> Callable[[Any], Any]:
    return lambda _: new


def _marked(mark: str) -> Callable[[Any], Any]:
    return lambda old: {mark: old}


def _with(name: str, new: Any) -> Callable[[Any], Any]:
    return lambda old: {**old, name: new} if isinstance(old, dict) else old


SAMPLES: list[dict[str, Any]] = [
    {"cname": body["cname"], **body["data"]} for body in (load(f"samples/{name}.json") for name in VALID)
]
"""The service's samples, as the keyword arguments of a program."""
EVENT: dict[str, Any] = {
    "name": "staging",
    "roomPrefix": "hall-",
    "createRooms": False,
    "link": "https://example.com/{cname}",
    "agent": {key: value for key, value in SAMPLES[-1].items() if key != "cname"},
    "rooms": {
        "one": {"cname": "keynote", "agent": {"llm": {"temperature": 0.5}, "pipeline": None}},
        "two": {"link": "https://example.com/two"},
        "three": None,
    },
}
ROOM: dict[str, Any] = {"cname": "keynote", "uid": 41, "adopt_existing": True, "force": False}
