import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from rtcai_pulumi.config.canonical import DesiredAgent, is_same
from rtcai_pulumi.config.values import UNKNOWN
from rtcai_pulumi.config.wire import flat_inputs
from tests.samples import VALID, load, parameters

AGENT_AND_PARAMETERS = {"cname": "r", "llm": {"enableAgent": True, "agentParam": {"agentId": "a"}}}


def sets(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=4)


blocks = {
    "asr": st.fixed_dictionaries(
        {"asrVendor": st.integers(0, 99)},
        optional={
            "srcLan": st.sampled_from(["AUTO", "zh"]),
            "maxSentenceSilence": st.integers(0, 900),
            "enableSemanticVad": st.booleans(),
            "extra": st.dictionaries(st.sampled_from(["new", "newer"]), st.integers(0, 3) | st.text(), max_size=2),
        },
    ),
    "llm": st.fixed_dictionaries(
        {"llmVendor": st.integers(0, 99)},
        optional={
            "role": st.integers(0, 14),
            "customPrompt": st.text(max_size=8),
            "customPromptKeyWord": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
            "temperature": st.floats(0, 1),
            "enableAgent": st.booleans(),
            "realTimeParam": st.fixed_dictionaries({}, optional={"vadThreshold": st.floats(0.01, 0.99)}),
            "agentParam": st.fixed_dictionaries({}, optional={"agentId": st.text(max_size=3)}),
        },
    ),
    "tts": st.fixed_dictionaries(
        {"ttsVendor": st.integers(0, 99)},
        optional={"speed": st.floats(0.8, 2), "ignoreBracketTextSet": sets(st.integers(0, 5))},
    ),
    "pipeline": st.fixed_dictionaries(
        {}, optional={"interruptMode": st.integers(0, 4), "interruptWords": sets(st.text(max_size=3))}
    ),
}
conversations = st.fixed_dictionaries(
    {"cname": st.text(min_size=1, max_size=8)},
    optional={
        **blocks,
        "extra": st.dictionaries(st.sampled_from(["x", "y"]), st.integers(1 - 2**53, 2**53 - 1), max_size=2),
    },
)


def canonical(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return DesiredAgent(inputs).canonical


def through_the_engine(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs as the plugin receives them from the engine: every number is a float, keys in any order, no nulls."""
    struct = struct_pb2.Struct()
    json_format.ParseDict(inputs, struct)
    back: dict[str, Any] = json_format.MessageToDict(struct)
    items = list(back.items())
    random.shuffle(items)
    return dict(items)


@given(conversations)
def test_the_form_is_idempotent(inputs: dict[str, Any]) -> None:
    form = canonical(inputs)
    assert is_same(canonical(form), form)


@given(conversations)
def test_the_form_survives_the_engines_round_trip(inputs: dict[str, Any]) -> None:
    assert is_same(canonical(through_the_engine(inputs)), canonical(inputs))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (parameters(), parameters(asr={"srcLan": "AUTO", "maxSentenceSilence": 0, "enableCustomAppkey": False})),
        (parameters(), parameters(llm={"role": 1, "temperature": 0.8, "contextSize": 3.0, "enableAgent": False})),
        (parameters(), parameters(llm={"realTimeParam": {"vadThreshold": 0.5}})),
        (parameters(), parameters(llm={"agentParam": {}, "customPromptKeyWord": {}})),
        (parameters(), parameters(tts={"speed": 1, "volume": 1.0})),
        (parameters(), parameters(pipeline={"interruptMode": 2, "welcomeMessage": "", "enableWelcomeMessage": True})),
        (parameters(), parameters(pipeline={}, extra={}, asr={"extra": {}})),
        (parameters(), parameters(requestId="another", replaceStrategy="start-first")),
        (parameters(tts={"ignoreBracketTextSet": [1, 2]}), parameters(tts={"ignoreBracketTextSet": [2.0, 1.0]})),
        (parameters(pipeline={"interruptWords": ["a", "b"]}), parameters(pipeline={"interruptWords": ["b", "a"]})),
        (parameters(asr={"extra": {"n": 1}}), parameters(asr={"extra": {"n": 1.0}})),
    ],
)
def test_what_starts_the_same_agent_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert is_same(canonical(one), canonical(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (parameters(), parameters(cname="other")),
        (parameters(), parameters(llm={"temperature": 0.7})),
        (parameters(), parameters(llm={"enableWebSearch": False})),
        (parameters(), parameters(asr={"extra": {"new": 1}})),
        (parameters(), parameters(extra={"new": {}})),
        (parameters(llm={"customPrompt": "x"}), parameters(llm={"customPrompt": "x", "role": 0})),
        (parameters(llm={"customPrompt": "x"}), parameters(llm={"customPrompt": "x", "role": 1})),
        (parameters(asr={"extra": {"on": True}}), parameters(asr={"extra": {"on": 1}})),
        (parameters(asr={"extra": {"set": [1, 2]}}), parameters(asr={"extra": {"set": [2, 1]}})),
        (AGENT_AND_PARAMETERS, {**AGENT_AND_PARAMETERS, "pipeline": {"interruptMode": 2}}),
        (AGENT_AND_PARAMETERS, {**AGENT_AND_PARAMETERS, "asr": {"srcLan": "AUTO"}}),
    ],
)
def test_what_may_start_another_agent_is_another(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not is_same(canonical(one), canonical(other))


def test_an_unknown_is_never_the_same() -> None:
    assert not is_same({"a": [UNKNOWN]}, {"a": [UNKNOWN]})


@pytest.mark.parametrize("name", VALID)
def test_the_page_s_bodies_keep_what_they_say(name: str) -> None:
    inputs = flat_inputs(load(f"samples/{name}.json"))
    form = json.loads(json.dumps(canonical(inputs)))
    for block in inputs.keys() - {"requestId", "cname"}:
        assert inputs[block].items() <= form[block].items()
