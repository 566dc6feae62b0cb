"""The wait at the end of a program: what it needs of the SDK is there, in the oldest and in the newest release."""

import asyncio
from typing import Any

import pulumi
import pytest
from pulumi.runtime.resource import resource_output
from pulumi.runtime.settings import SETTINGS

from rtcai_pulumi.sdk_wait import wait_for_registration

pytestmark = pytest.mark.usefixtures("no_outputs")


class Declared:
    """A resource that has just been declared: its outputs have no values yet."""

    def __init__(self) -> None:
        resource: Any = self
        self._resolve_urn, self.urn = resource_output(resource)
        self._resolve_task, self.task_id = resource_output(resource)
        wait_for_registration(resource, {"task_id": None})

    async def register(self, error: Exception | None = None) -> None:
        for resolve in (self._resolve_urn, self._resolve_task):
            resolve("value", True, False, error)
        await asyncio.sleep(0)

    def is_waited_for(self) -> bool:
        return any(
            output._data in SETTINGS.outputs for output in vars(self).values() if isinstance(output, pulumi.Output)
        )


def outputs() -> set[Any]:
    """The outputs that the SDK waits for."""
    return set(SETTINGS.outputs)


async def end_of(waited_for: set[Any]) -> None:
    """Wait for outputs as the SDK does, and until the SDK has removed them from those it waits for."""
    await asyncio.gather(*waited_for)
    await asyncio.sleep(0)


def test_the_sdk_waits_for_one_output_until_everything_is_registered() -> None:
    async def program() -> None:
        before = outputs()
        first = Declared()
        waited_for = outputs() - before
        assert waited_for
        second = Declared()
        assert outputs() - before == waited_for
        await first.register()
        late = Declared()
        await second.register()
        assert outputs() - before == waited_for
        assert not any(each.is_waited_for() for each in (first, second, late))
        await late.register()
        await end_of(waited_for)
        assert outputs() == before
        assert await late.task_id.future() == "value"

    asyncio.run(program())


def test_a_registration_that_fails_fails_the_wait() -> None:
    async def program() -> None:
        before = outputs()
        failing = Declared()
        waited_for = outputs() - before
        await failing.register(ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await asyncio.gather(*waited_for)

    asyncio.run(program())


def test_what_is_declared_after_the_wait_has_a_wait_of_its_own() -> None:
    async def program() -> None:
        before = outputs()
        for _ in range(2):
            declared = Declared()
            waited_for = outputs() - before
            assert waited_for
            await declared.register()
            await end_of(waited_for)
            assert outputs() == before

    asyncio.run(program())


def test_an_output_of_a_subclass_is_still_waited_for() -> None:
    async def program() -> None:
        declared: Any = Declared()
        declared.note = pulumi.Output.from_input("note")
        wait_for_registration(declared, {"task_id": None})
        assert declared.note._data in outputs()
        await declared.register()
        await asyncio.gather(*outputs())

    asyncio.run(program())


def test_after_a_failure_the_next_resource_has_a_wait_of_its_own() -> None:
    async def program() -> None:
        before = outputs()
        failing, other = Declared(), Declared()
        waited_for = outputs() - before
        await failing.register(ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await asyncio.gather(*waited_for)
        later = Declared()
        waited_for = outputs() - before - waited_for
        assert waited_for
        await later.register()
        await asyncio.gather(*waited_for)
        await other.register()

    asyncio.run(program())


def test_an_input_that_only_the_registration_needs_is_not_waited_for() -> None:
    async def program() -> None:
        before = outputs()
        owner = pulumi.Output.from_input("owner")
        declared: Any = Declared()
        wait_for_registration(declared, {"task_id": None, "owner": {"of": owner}})
        assert owner._data not in outputs() - before
        waited_for = outputs() - before
        await declared.register()
        await end_of(waited_for)

    asyncio.run(program())
