"""Outputs that are made of one task each: what they have in common with those of the SDK."""

import asyncio
import warnings
from typing import Any

import pulumi
import pytest

from rtcai_pulumi.outputs import join_outputs, output_of

pytestmark = pytest.mark.usefixtures("no_outputs")


async def facts(output: pulumi.Output[Any]) -> tuple[Any, bool, bool, set[Any]]:
    """Value, whether it is known and a secret, and the resources on which it depends."""
    value = await output.future(with_unknowns=True)
    return value, await output.is_known(), await output.is_secret(), await output.resources()


def an_output(value: Any, *, known: bool = True, secret: bool = False, resource: Any = None) -> pulumi.Output[Any]:
    async def part(of: Any) -> Any:
        return of

    return pulumi.Output({resource} - {None}, part(value), part(known), part(secret))


@pytest.mark.parametrize(
    "values",
    [
        {"a": {"value": "x"}, "b": {"value": 2, "resource": "room"}},
        {"a": {"value": "x", "secret": True}, "b": {"value": None}},
        {"a": {"value": "x", "resource": "one"}, "b": {"value": None, "known": False, "resource": "two"}},
        {"a": {"value": ["x", {"y": 1}]}},
        {},
    ],
    ids=str,
)
def test_joined_outputs_are_what_the_sdk_makes_of_them(values: dict[str, dict[str, Any]]) -> None:
    async def program() -> None:
        outputs = {key: an_output(**value) for key, value in values.items()}
        nested = {"rows": [["plain", output] for output in outputs.values()], **outputs}
        assert await facts(join_outputs(nested)) == await facts(pulumi.Output.from_input(nested))

    asyncio.run(program())


def test_an_error_of_one_output_is_the_error_of_the_joined_one_and_nothing_is_left_over() -> None:
    async def program() -> None:
        async def fail() -> str:
            message = "no"
            raise ValueError(message)

        failing: Any = fail()
        joined = join_outputs([an_output("x"), output_of(failing)])
        with pytest.raises(ValueError, match="no"):
            await joined.future()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(program())


def test_an_output_of_a_computed_value_is_known_and_public_and_depends_on_nothing() -> None:
    async def program() -> None:
        async def compute() -> str:
            return "owner"

        assert await facts(output_of(compute())) == ("owner", True, False, set())

    asyncio.run(program())
