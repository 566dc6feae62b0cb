import json

import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.config.wire import close_body, flat_inputs
from tests.samples import VALID, load, parameters


@pytest.mark.parametrize("name", VALID)
def test_a_body_goes_through_the_inputs_unchanged(name: str) -> None:
    body = load(f"samples/{name}.json")
    assert DesiredAgent(flat_inputs(body)).body(body["requestId"]) == body


def test_whole_floats_are_sent_as_integers() -> None:
    body = DesiredAgent(parameters(asr={"asrVendor": 6.0, "extra": {"n": [3.0]}}, tts={"speed": 1.2})).body("id")
    sent = json.dumps(body["data"])
    assert '"asrVendor": 6}' in sent
    assert '"n": [3]' in sent
    assert '"speed": 1.2' in sent


def test_an_omitted_field_is_not_sent() -> None:
    body = DesiredAgent(parameters(replaceStrategy="start-first", pipeline=None, requestId="old")).body("id")
    assert body == {
        "cname": "keynote",
        "requestId": "id",
        "taskType": 7,
        "data": {"asr": {"asrVendor": 6}, "llm": {"llmVendor": 1}, "tts": {"ttsVendor": 6}},
    }


def test_extra_is_merged_into_its_place() -> None:
    llm = {"extra": {"a": 1}, "realTimeParam": {"extra": {"b": 2}}, "customPromptKeyWord": {"extra": "a keyword"}}
    data = DesiredAgent(parameters(llm=llm, extra={"newBlock": {"on": True}})).body("id")["data"]
    assert data["newBlock"] == {"on": True}
    assert data["llm"] == {
        "a": 1,
        "llmVendor": 1,
        "realTimeParam": {"b": 2},
        "customPromptKeyWord": {"extra": "a keyword"},
    }


def test_a_close_body_is_what_the_schema_asks_for() -> None:
    Draft202012Validator(load("close.schema.json")).validate(close_body(1144707127429101, "2a78"))
