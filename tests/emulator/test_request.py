import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcai_pulumi.emulator.http.request import MAX_BODY
from tests.emulator.api import JSON, Api, assert_form, body

CREATE = "/v1/api/task/create"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
in_the_emulators_own_time = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refusal(api: Api, content: Any, headers: dict[str, str] | None = None) -> str:
    """The text of a refusal that has the documented form and starts nothing."""
    response = api.post(CREATE, content, headers)
    assert response.status_code == 200
    assert_form(response.json(), "error")
    assert response.json()["code"] == 400
    assert isinstance(response.json()["requestId"], str)
    assert api.emulator.tasks() == []
    return str(response.json()["errmsg"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        json.dumps(body()).encode("utf-16"),
        b'{"cname": "r"} {}',
        b'{"cname": "\\ud800"}',
        b'{"temperature": 1e999}',
        b"[" * 100_000,
        b"9" * 5000,
    ],
    ids=["empty", "half", "no UTF-8", "byte order mark", "UTF-16", "two", "half a character", "1e999", "deep", "long"],
)
def test_a_body_that_is_no_json_is_refused(api: Api, content: bytes) -> None:
    assert "the body must be valid JSON in UTF-8" in refusal(api, content)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused(api: Api, constant: str) -> None:
    assert constant in refusal(api, f'{{"cname": {constant}}}'.encode())


@pytest.mark.parametrize("content", [b'{"cname": "a", "cname": "b"}', b'{"data": {"asr": {}, "asr": {}}}'])
def test_a_field_that_is_named_twice_is_refused(api: Api, content: bytes) -> None:
    assert "has the same field twice" in refusal(api, content)


@pytest.mark.parametrize("levels", [51, 400])
def test_a_body_nested_deeper_than_50_levels_is_refused(api: Api, levels: int) -> None:
    assert "deeper than 50 levels" in refusal(api, b"[" * levels + b"]" * levels)


def test_a_body_of_50_levels_is_judged_by_its_fields(api: Api) -> None:
    assert "(root)" in refusal(api, b"[" * 50 + b"]" * 50)


def test_a_too_large_body_is_refused_and_its_connection_is_kept(api: Api) -> None:
    large = body()
    large["data"]["llm"]["customPrompt"] = "p" * MAX_BODY
    assert f"larger than {MAX_BODY} bytes" in refusal(api, large)
    assert api.create()["code"] == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/json;charset=gbk"]
)
def test_another_content_type_is_refused(api: Api, content_type: str) -> None:
    headers = {**api.signed(), "Content-Type": content_type}
    assert "Content-Type" in refusal(api, body(), headers)


def test_a_missing_content_type_is_refused(api: Api) -> None:
    answer = api.http.post(CREATE, content=json.dumps(body()).encode(), headers=api.signed()).json()
    assert_form(answer, "error")
    assert "Content-Type" in answer["errmsg"]


@pytest.mark.parametrize("content_type", [JSON, "application/json", 'Application/JSON; charset="utf-8"'])
def test_every_spelling_of_the_content_type_is_accepted(api: Api, content_type: str) -> None:
    headers = {**api.signed(), "Content-Type": content_type}
    assert api.create(headers=headers)["code"] == 200


def test_who_is_not_logged_in_learns_nothing_of_the_body(api: Api) -> None:
    answer = api.create(b"no json", api.signed(CheckSum="0" * 40))
    assert answer["code"] == 402


@in_the_emulators_own_time
@given(content=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_whatsoever_is_answered_outside_the_documented_form(api: Api, content: bytes) -> None:
    response = api.post(CREATE, content)
    assert response.status_code == 200
    assert_form(response.json(), "error")


@in_the_emulators_own_time
@given(
    block=st.sampled_from(["agent", "asr", "llm", "tts", "pipeline"]),
    field=st.sampled_from(["role", "customPromptFormat", "realTimeParam", "interruptWords", "voice"]) | st.text(),
    value=json_values,
)
def test_no_field_whatsoever_is_answered_outside_the_documented_form(
    api: Api, block: str, field: str, value: Any
) -> None:
    content = body()
    content["data"].setdefault(block, {})[field] = value
    response = api.post(CREATE, content)
    assert response.status_code == 200
    assert_form(response.json(), "createAnswer")
