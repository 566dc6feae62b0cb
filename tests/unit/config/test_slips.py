"""Typical mistakes: texts that were made from outputs, and room names that no one could type."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from rtcai_pulumi.config.output_text import REASON
from rtcai_pulumi.config.problems import NULL, check_fields
from rtcai_pulumi.config.room import RoomInputs
from rtcai_pulumi.config.rules import DEEPEST, TOO_DEEP
from rtcai_pulumi.config.validation import check
from rtcai_pulumi.config.values import sort_set
from tests.anything import nested
from tests.samples import parameters

TEXT = "Calling __str__ on an Output[T] is not supported."
REPR = "<pulumi.output.Output object at 0x7f0000000000>"


def problems(**more: Any) -> dict[str, str]:
    return {problem.path: problem.reason for problem in check(parameters(**more))}


def output_of(value: str) -> pulumi.Output[str]:
    """An output whose value is known. The SDK needs an event loop to make one."""

    async def make() -> pulumi.Output[str]:
        output = pulumi.Output.from_input(value)
        await output.future()
        return output

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(make())
    finally:
        loop.close()


def test_these_are_the_sdk_s_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.log, "warn", lambda _: None)
    output = output_of("secret")
    assert problems(requestId=f"for {output}") == {"requestId": REASON}
    assert problems(requestId=repr(output)) == {"requestId": REASON}
    assert problems(requestId=f"{[output]}") == {"requestId": REASON}


@pytest.mark.parametrize("text", [TEXT, REPR], ids=["str", "repr"])
def test_a_text_made_from_an_output_is_reported_with_its_path(text: str) -> None:
    found = problems(
        cname=text,
        requestId=text,
        adopt=text,
        llm={"customPrompt": text, "customPromptKeyWord": {"age": text}, "extra": {"deep": [{"er": text}]}},
        pipeline={"welcomeMessage": text, "interruptWords": ["ok", text]},
        tts={"voice": text},
        extra={"new": {"field": text}},
    )
    assert set(found) == {
        "cname",
        "requestId",
        "adopt",
        "llm.customPrompt",
        "llm.customPromptKeyWord.age",
        "llm.extra.deep[0].er",
        "pipeline.welcomeMessage",
        "pipeline.interruptWords[1]",
        "tts.voice",
        "extra.new.field",
    }
    assert set(found.values()) == {REASON}
    assert problems(llm={"customPromptKeyWord": {text: "x"}}) == {"llm.customPromptKeyWord": REASON}


@pytest.mark.parametrize(
    "prompt", ["Never comment on an output of another team's demo.", "Say why __str__ on an output[T] is wrong."]
)
def test_a_prompt_about_outputs_is_taken(prompt: str) -> None:
    assert problems(llm={"customPrompt": prompt}) == {}


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_a_text_made_from_an_output_is_found_in_another_case(change: Callable[[str], str]) -> None:
    assert problems(requestId=f"for {change(TEXT)}") == {"requestId": REASON}


@pytest.mark.parametrize(
    ("cname", "said"),
    [
        ("keynote\n", "contains an invisible character (U+000A) at the end; remove it"),
        ("key\tnote", "contains an invisible character (U+0009) at position 4; remove it"),
        (" keynote", "contains a space at the beginning; remove it"),
        ("keynote ", "contains a space at the end; remove it"),
        ("key\u200bnote", "contains an invisible character (U+200B) at position 4; remove it"),
        ("\u202ekeynote", "contains an invisible character (U+202E) at the beginning; remove it"),
        ("\x1b[31mred", "contains an invisible character (U+001B) at the beginning; remove it"),
    ],
)
def test_a_room_that_cannot_be_typed_is_refused_with_the_position(cname: str, said: str) -> None:
    assert problems(cname=cname) == {"cname": said}
    assert [str(problem) for problem in check_fields({"cname": cname}, RoomInputs)] == [f"cname: {said}"]


@pytest.mark.parametrize("cname", ["key note", "会议室", "a!#$%&()+-:;≤.,>?@[]^_{|}~", "é"])
def test_any_other_name_is_taken(cname: str) -> None:
    assert problems(cname=cname) == {}


NOT_JSON = "must be a string, a number, true or false, a list or an object; nothing else can be sent"
HALF = "contains an incomplete Unicode character (unpaired surrogate)"


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        ({"half": "a\ud800"}, "extra.new.half", HALF),
        ({"list": ["a", "\udfff"]}, "extra.new.list[1]", HALF),
        ({"\ud800": 1}, "extra.new", "has a key that contains an incomplete Unicode character (unpaired surrogate)"),
        ({"in": {7: 1}}, "extra.new.in", "has a key that is not a string; write the key in quotes"),
        ({"bytes": b"a"}, "extra.new.bytes", NOT_JSON),
        ({"when": datetime.now(UTC)}, "extra.new.when", NOT_JSON),
        ({"number": 10**400}, "extra.new.number", "too large: the engine keeps numbers exact below 2^53 only"),
        ({"number": math.nan}, "extra.new.number", "must be a finite number"),
        ({"list": [1, None]}, "extra.new.list[1]", NULL),
        (
            {"secret": {rpc._special_sig_key: "1b47061264138c4ac30d75fd1eb44270"}},
            "extra.new.secret",
            "has a key that Pulumi",
        ),
        ({"text": rpc.UNKNOWN}, "extra.new.text", "is the text that Pulumi uses for an unknown value"),
        (nested(DEEPEST), "extra.new.in.in", TOO_DEEP),
    ],
)
def test_a_value_that_the_engine_cannot_carry_names_its_path(value: Any, path: str, said: str) -> None:
    found = problems(extra={"new": value})
    assert list(found) == [path]
    assert said in found[path]


def test_what_the_engine_can_carry_is_taken() -> None:
    assert problems(extra={"new": nested(DEEPEST - 3), "none": None, "all": [True, 1, 1.5, "x", [], {}]}) == {}


def test_a_set_has_an_order_of_its_own() -> None:
    assert sort_set({"b", "a", "c"}) == ["a", "b", "c"]
    assert sort_set(frozenset({2, 10, 1})) == [1, 10, 2]
    assert sort_set({"a", 1}) == [1, "a"]
    assert sort_set(("b", "a")) == ["b", "a"]
