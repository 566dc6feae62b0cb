import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rtcai_pulumi.config.validation import check_body
from tests.samples import INVALID, VALID, load
from tests.unit.config.body_schema import create_body_schema

OURS = Draft202012Validator(create_body_schema())
THEIRS = Draft202012Validator(load("create.schema.json"))


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(create_body_schema())


@pytest.mark.parametrize("name", VALID)
def test_a_right_body_passes(name: str) -> None:
    OURS.validate(load(f"samples/{name}.json"))


@pytest.mark.parametrize("name", INVALID)
def test_a_wrong_body_is_refused(name: str) -> None:
    assert not OURS.is_valid(load(f"samples/invalid/{name}.json"))


def fields_of(schema: dict[str, Any], at: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in schema.get("properties", {}).items():
        found |= {f"{at}.{name}"} | fields_of(field, f"{at}.{name}")
    return found


def test_every_field_of_the_service_has_a_model_and_nothing_else_has() -> None:
    definitions = create_body_schema()["$defs"]

    def resolved(schema: Any) -> Any:
        if isinstance(schema, dict):
            if "$ref" in schema:
                return resolved(definitions[schema["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in schema.items()}
        return schema

    assert fields_of(resolved(create_body_schema())) == fields_of(load("create.schema.json"))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


@st.composite
def mutated_bodies(draw: st.DrawFn) -> Any:
    """A body from the API page with one place deleted or changed."""
    body = copy.deepcopy(load(f"samples/{draw(st.sampled_from(VALID))}.json"))
    *way, last = draw(st.sampled_from(places(body)[1:]))
    owner = body
    for key in way:
        owner = owner[key]
    if draw(st.booleans()):
        del owner[last]
    else:
        scalars = [None, True, 0, 1, 7, -1, 0.5, 2.5, 21, 4, 4.0, "", "x", "Chinese"]
        owner[last] = draw(st.sampled_from([*scalars, [], ["a"], [1], {}, {"a": "b"}]))
    return body


@given(mutated_bodies())
def test_the_model_s_schema_agrees_with_the_service_s(body: Any) -> None:
    assert OURS.is_valid(body) == THEIRS.is_valid(body)


@given(mutated_bodies())
def test_check_is_never_laxer_than_the_service_s_schema(body: Any) -> None:
    if not THEIRS.is_valid(body):
        assert check_body(body)
