"""The JSON Schema of event files agrees with the loader."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from rtcai_pulumi.events.document import read
from rtcai_pulumi.events.loader import plan_file
from rtcai_pulumi.events.schema import event_schema
from tests.unit.events.files import DEFAULT, default, event, written

SCHEMA = Draft7Validator(event_schema())
EXAMPLE = Path(__file__).parents[3] / "examples" / "event-yaml" / "event.yaml"
WHOLE = event(
    {
        "asr": {"asrVendor": 6, "srcLan": "AUTO", "enableSemanticVad": False},
        "llm": {"llmVendor": 1, "role": 0, "customPrompt": {"$config": "prompt"}, "customPromptKeyWord": {"a": "b"}},
        "tts": {"ttsVendor": 6, "voice": "x", "language": "Chinese", "ignoreBracketTextSet": [1, 2]},
        "pipeline": {"interruptMode": 4, "interruptWords": ["x", {"$env": "WORD"}]},
        "extra": {"new": {"on": True}},
        "waitForRoom": 30,
    },
    {
        "a": None,
        "b": {"cname": "x", "adopt": "7/task", "link": "https://example.com", "agent": {"llm": {"temperature": 0.5}}},
        "c": {"agent": {"pipeline": None, "llm": {"customPromptKeyWord": {"a": None}}, "tts": {"voice": None}}},
    },
    name="staging",
    roomPrefix="staging-",
    createRooms=True,
    link="https://example.com/{cname}",
)
GOOD = [
    WHOLE,
    event(),
    event(rooms={}),
    event(rooms={"主会场": {}}),
    event({**DEFAULT, "replaceStrategy": "start-first", "requestId": "r"}),
    event({"agent": {"agentId": "a", "userId": {"$env": "X"}}}),
    event(default(llm={"realTimeParam": {"voice": {"$env": "X"}}, "extra": {"x": {"$config": "a:b"}}})),
    event(rooms={"a": {"agent": {"llm": {"realTimeParam": {"vadThreshold": None}}, "waitForRoom": None}}}),
]
BAD = [
    {"agent": DEFAULT},
    {"rooms": []},
    event(rooms=None) | {"rooms": None},
    event(agent=[]),
    event(rooms={"a": 7}),
    event(rooms={"a b": {}}),
    event(rooms={"a/b": {}}),
    event(rooms={"": {}}),
    event(rooms={"a": {"agent": None}}),
    event(rooms={"a": {"cname": None}}),
    event(rooms={"a": {"cname": ""}}),
    event(rooms={"a": {"cname": {"$env": "X"}}}),
    event(rooms={"a": {"adopt": "7"}}),
    event(rooms={"a": {"extra": {}}}),
    event(rooms={"a": {"agnet": {}}}),
    event(rooms={"a": {"agent": {"cname": "x"}}}),
    event(rooms={"a": {"agent": {"tts": {"speed": 9}}}}),
    event(rooms={"a": {"agent": {"pipeline": {"interruptWords": [None]}}}}),
    event(name="a b"),
    event(name=None),
    event(link="example.com"),
    event(extra={}),
    event(createRooms="yes"),
    event({**DEFAULT, "requestId": {"$env": "X"}}),
    event({**DEFAULT, "replaceStrategy": "never"}),
    event({**DEFAULT, "waitForRoom": -1}),
    event({**DEFAULT, "pipeline": None}),
    event(default(tts={"voice": None})),
    event(default(tts={"voice": None}), rooms={}),
    event(default(tts={"voice": {"$evn": "X"}})),
    event(default(tts={"voice": {"$env": "X", "$config": "y"}})),
    event(default(tts={"voice": {"$env": "not a name"}})),
    event(default(tts={"voice": {"$config": "a:b:c"}})),
    event(default(tts={"speed": {"$env": "X"}})),
    event(default(tts={"language": "German"})),
    event(default(tts={"vioce": "x"})),
    event(default(llm={"temperature": 1.5})),
    event(default(llm={"customPrompt": "x", "customPromptFile": "x.md"})),
    event(default(llm={"customPromptFile": ""})),
    event(default(llm={"customPromptFile": {"$env": "X"}})),
    event({"agent": {"agentId": "", "userId": "u"}}),
]


def loads(content: Any) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.md").write_text("x")
        return plan_file(written(Path(folder), content)).mistakes == ()


def test_the_schema_is_one_of_draft_7_and_of_later_drafts() -> None:
    Draft7Validator.check_schema(event_schema())
    Draft202012Validator.check_schema({**event_schema(), "$schema": Draft202012Validator.META_SCHEMA["$id"]})


@pytest.mark.parametrize("content", GOOD, ids=json.dumps)
def test_a_good_event_passes_both(content: Any) -> None:
    SCHEMA.validate(content)
    assert loads(content)


@pytest.mark.parametrize("content", BAD, ids=json.dumps)
def test_a_bad_event_passes_neither(content: Any) -> None:
    assert not SCHEMA.is_valid(content)
    assert not loads(content)


def test_the_example_passes_and_names_the_schema_of_this_repository() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    SCHEMA.validate(read(text).data)
    assert plan_file(EXAMPLE).mistakes == ()
    named = text.partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
    assert json.loads((EXAMPLE.parent / named).read_text(encoding="utf-8")) == event_schema()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


@st.composite
def changed_events(draw: st.DrawFn) -> Any:
    """An event with one place deleted, changed, or given one more field."""
    content = copy.deepcopy(draw(st.sampled_from(GOOD)))
    *way, last = draw(st.sampled_from(places(content)[1:]))
    owner = content
    for key in way:
        owner = owner[key]
    scalars = [None, True, 0, 1, 7, -1, 0.5, 2.5, 21, 4.0, "", "x", "a b", "Chinese", "https://x"]
    value = draw(st.sampled_from([*scalars, [], ["a"], [1], [None], {}, {"a": "b"}, {"$env": "X"}, {"$config": 7}]))
    match draw(st.sampled_from(["delete", "change", "add"])):
        case "delete":
            del owner[last]
        case "add" if isinstance(owner, dict):
            owner[draw(st.sampled_from(["customPrompt", "customPromptFile", "extra", "voice", "agent", "x"]))] = value
        case _:
            owner[last] = value
    return content


@given(changed_events())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_loader_is_never_laxer_than_the_schema(content: Any) -> None:
    if not SCHEMA.is_valid(content):
        assert not loads(content)
