import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcai_pulumi.config.validation import check, check_body, check_nesting
from rtcai_pulumi.config.values import UNKNOWN
from rtcai_pulumi.config.wire import flat_inputs
from tests.samples import INVALID, VALID, invalid_paths, load, parameters

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
field_names = st.sampled_from(["cname", "agent", "asr", "llm", "tts", "pipeline", "extra"]) | st.sampled_from(
    ["role", "customPromptFormat", "realTimeParam", "agentParam", "enableAgent", "interruptMode", "interruptWords"]
)
near_misses = st.recursive(
    json_values | st.just(UNKNOWN),
    lambda inner: st.dictionaries(field_names | st.text(), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=20,
)


def paths(inputs: dict[str, Any]) -> list[str]:
    return [problem.path for problem in check(inputs)]


@pytest.mark.parametrize("name", VALID)
def test_a_right_body_has_no_problem(name: str) -> None:
    assert check_body(load(f"samples/{name}.json")) == []


@pytest.mark.parametrize("name", INVALID)
def test_a_wrong_body_has_one_problem_at_the_listed_path(name: str) -> None:
    body = load(f"samples/invalid/{name}.json")
    assert [problem.path for problem in check_body(body)] == [invalid_paths()[name]]


def test_every_wrong_body_has_a_listed_path() -> None:
    assert sorted(invalid_paths()) == INVALID


def test_independent_problems_are_reported_together() -> None:
    inputs = parameters(cname="", asr={"srcLan": 3}, llm={"role": 15}, tts={"speed": 9, "nosuch": 1})
    assert sorted(paths(inputs)) == ["asr.srcLan", "cname", "llm.role", "tts.nosuch", "tts.speed"]


def test_a_field_of_the_wrong_type_does_not_hide_a_rule_between_others() -> None:
    inputs = parameters(asr={"asrVendor": "six"}, pipeline={"interruptMode": 4})
    assert sorted(paths(inputs)) == ["asr.asrVendor", "pipeline.interruptWords"]


@pytest.mark.parametrize(
    "inputs",
    [
        dict.fromkeys(("cname", "agent"), UNKNOWN),
        dict.fromkeys(("cname", "asr", "llm", "tts", "pipeline", "extra"), UNKNOWN),
        parameters(llm=UNKNOWN),
        parameters(llm={"role": UNKNOWN, "customPrompt": "x"}),
        parameters(llm={"role": 0, "customPrompt": UNKNOWN}),
        parameters(llm={"role": 0, "customPromptKeyWord": {"a": UNKNOWN}, "customPromptFormat": UNKNOWN}),
        parameters(llm={"realTimeParam": {"vadThreshold": UNKNOWN}}),
        parameters(llm={"enableAgent": UNKNOWN}),
        parameters(pipeline={"interruptMode": 4, "interruptWords": UNKNOWN}),
        parameters(pipeline={"interruptMode": UNKNOWN}),
        parameters(pipeline={"interruptMode": 4, "interruptWords": ["a", UNKNOWN]}),
        parameters(tts={"ignoreBracketTextSet": [UNKNOWN], "language": UNKNOWN, "extra": {"new": UNKNOWN}}),
        {"cname": "r", "llm": {"enableAgent": True, "agentParam": UNKNOWN}},
    ],
)
def test_unknown_values_are_left_alone_at_any_depth(inputs: dict[str, Any]) -> None:
    assert check(inputs) == []


def test_known_values_next_to_unknown_ones_are_still_checked() -> None:
    assert paths(parameters(llm={"role": UNKNOWN, "temperature": 3}, asr=UNKNOWN)) == ["llm.temperature"]


@pytest.mark.parametrize("field", ["customPrompt", "customPromptFormat"])
def test_a_preset_role_next_to_a_custom_prompt_is_reported(field: str) -> None:
    assert paths(parameters(llm={"role": 3, field: "Be kind."})) == ["llm.role"]


@pytest.mark.parametrize(
    "own",
    [
        {"customPromptKeyWord": {}, "customPromptFormat": ""},
        {"customPromptKeyWord": {"a": "b"}, "customPromptFormat": ""},
    ],
)
def test_an_own_prompt_must_not_be_empty_in_either_way(own: dict[str, Any]) -> None:
    assert paths(parameters(llm={"role": 0, **own})) == ["llm"]


def test_a_hole_without_a_keyword_is_named() -> None:
    llm = {"role": 0, "customPromptKeyWord": {"name": "Le"}, "customPromptFormat": "I am {{name}}, {{age}}."}
    (problem,) = check(parameters(llm=llm))
    assert problem.path == "llm.customPromptFormat"
    assert "{{age}}" in problem.reason


def test_a_placeholder_that_is_not_a_keyword_is_counted_not_quoted() -> None:
    llm = {"role": 0, "customPromptKeyWord": {"name": "Le"}, "customPromptFormat": "{{name}} {{my secret is 42}}"}
    (problem,) = check(parameters(llm=llm))
    assert "42" not in problem.reason
    assert "number 2" in problem.reason


def test_the_room_is_limited_in_bytes_not_characters() -> None:
    assert paths(parameters(cname="会" * 21)) == []
    assert paths(parameters(cname="会" * 22)) == ["cname"]


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        (parameters(asr={"extra": {"srcLan": "AUTO"}}), "asr.extra.srcLan"),
        (parameters(asr={"extra": {"src_lan": "AUTO"}}), "asr.extra.src_lan"),
        (parameters(llm={"realTimeParam": {"extra": {"voice": "x"}}}), "llm.realTimeParam.extra.voice"),
        (parameters(extra={"cname": "r"}), "extra.cname"),
        (parameters(extra={"taskType": 6}), "extra.taskType"),
        (parameters(extra={"pipeline": {}}), "extra.pipeline"),
    ],
)
def test_extra_refuses_what_has_a_name_of_its_own(inputs: dict[str, Any], path: str) -> None:
    assert paths(inputs) == [path]


@pytest.mark.parametrize("number", [2**53, -(2**53), 1e300, math.inf, math.nan])
def test_a_number_that_the_engine_or_json_cannot_carry_is_reported_where_it_is(number: float) -> None:
    assert paths(parameters(extra={"new": {"deep": [0, number]}})) == ["extra.new.deep[1]"]
    assert paths(parameters(asr={"maxSentenceSilence": number})) == ["asr.maxSentenceSilence"]


def test_extra_takes_fields_that_are_not_listed() -> None:
    assert paths(parameters(asr={"extra": {"brandNew": 1}}, extra={"newBlock": {"on": True}})) == []


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (parameters(tts={"speed": 2.5}), "0.8 to 2"),
        (parameters(tts={"speed": 2.5}), "nearest valid value is 2"),
        (parameters(llm={"contextSize": 20.6}), "nearest is 20"),
        (parameters(llm={"realTimeParam": {"vadThreshold": 1}}), "more than 0 and less than 1"),
        (parameters(tts={"gender": "female"}), "the nearest is Female"),
        (parameters(asr={"asrVender": 6}), "did you mean asrVendor?"),
        (parameters(asr={"asr_vendor": 6}), "did you mean asrVendor?"),
        (parameters(asr={"qqqqqq": 6}), "the fields here are asrVendor, srcLan"),
    ],
)
def test_a_reason_names_the_limits_and_the_nearest_good_value(inputs: dict[str, Any], words: str) -> None:
    (problem,) = check(inputs)
    assert words in problem.reason


@given(
    st.text(min_size=6, alphabet=st.characters(categories=["Lu"])), st.sampled_from(["llm", "asr", "tts", "pipeline"])
)
def test_a_value_is_never_shown(secret: str, block: str) -> None:
    fields = {
        "llm": ["role", "temperature", "customPromptKeyWord", "enableVision", "realTimeParam"],
        "asr": ["asrVendor", "enableSemanticVad"],
        "tts": ["speed", "language", "gender", "ignoreBracketTextSet"],
        "pipeline": ["interruptMode", "interruptWords"],
    }
    problems = check(parameters(**{block: dict.fromkeys(fields[block], secret)}))
    assert len(problems) >= len(fields[block])
    assert not any(secret in str(problem) for problem in problems)


@given(near_misses)
def test_a_body_of_any_json_never_raises(value: Any) -> None:
    assert isinstance(check_body(value), list)
    assert isinstance(check_body({"cname": "r", "taskType": 7, "data": value}), list)


@given(st.dictionaries(field_names | st.text(), near_misses, max_size=8))
def test_inputs_of_any_json_never_raise(inputs: dict[str, Any]) -> None:
    assert isinstance(check(inputs), list)


def test_nulls_are_found_at_any_depth() -> None:
    body = {"cname": "r", "taskType": 7, "data": {"llm": {"customPromptKeyWord": {"a": None}}, "tts": [None]}}
    found = [problem.path for problem in check_nesting(body)]
    assert found == ["data.llm.customPromptKeyWord.a", "data.tts[0]"]


def test_the_inputs_of_a_body_are_its_blocks_and_the_room() -> None:
    body = load("samples/agent.json")
    agent = {"agentId": "a261501186xxxxxxcba", "userId": "9527"}
    assert flat_inputs(body) == {"cname": body["cname"], "requestId": body["requestId"], "agent": agent}


AT_ONCE = """
import sys
from threading import Barrier, Thread
from rtcai_pulumi.config.validation import check
sys.setswitchinterval(1e-6)
inputs = {"cname": "a", "asr": {"asrVendor": 6}, "llm": {"llmVendor": 1}, "tts": {"ttsVendor": 6}}
together, found = Barrier(32), []
def first():
    together.wait()
    found.append(check(inputs))
threads = [Thread(target=first) for _ in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), any(found))
"""


def test_the_first_checks_of_a_process_may_come_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "32 False"
