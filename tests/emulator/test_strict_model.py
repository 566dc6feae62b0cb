from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from rtcai_pulumi.emulator.errors import InvalidInput
from rtcai_pulumi.emulator.strict_model import StrictModel, parse_strict


class Wish(StrictModel):
    how_many: Annotated[int, Field(ge=1, alias="howMany")] = 1
    what: Literal["this", "that"] = "this"
    deep: tuple[int, ...] = ()


@pytest.mark.parametrize("content", [{}, {"howMany": 2, "what": "that"}])
def test_json_is_understood_by_its_own_names(content: dict[str, Any]) -> None:
    assert parse_strict(Wish, content).how_many == content.get("howMany", 1)


def test_keywords_are_understood_by_pythons_names() -> None:
    assert parse_strict(Wish, {"how_many": 3}, by_name=True).how_many == 3


@pytest.mark.parametrize(
    ("content", "by_name", "message"),
    [
        ({"how_many": 2}, False, "how_many: unknown field; the fields here are howMany, what, deep"),
        ({"howMany": 2}, True, "howMany: unknown field; the fields here are how_many, what, deep"),
        ({"what": "x" * 99}, False, f"what: Input should be 'this' or 'that', not '{'x' * 39}"),
        ({"deep": (1, "2")}, False, "deep.1: Input should be a valid integer"),
        ("this", False, "(root): must be an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(content: Any, by_name: bool, message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_strict(Wish, content, by_name=by_name)
    assert str(error.value) == message


def test_all_that_is_wrong_is_named_together() -> None:
    with pytest.raises(InvalidInput) as error:
        parse_strict(Wish, {"howMany": 0, "what": 1, "more": 1})
    assert str(error.value).count(";") >= 2
