"""Keeps the wait at the end of a program short, and tells the runs of several programs apart.

When a program has declared everything, Pulumi's SDK waits for all outputs of all resources together, and starts again
whenever one of them has a value. A conversation has more than twenty outputs, which get their values together, so the
time grows with the square of the number of conversations: at 600 of them it was half of the time of the program's
process. This module has the SDK wait for one output instead, which has a value as soon as all of them are registered.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import pulumi
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pulumi.runtime.settings import SETTINGS, get_monitor, get_root_resource

from rtcai_pulumi.config.values import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_waits: WeakKeyDictionary[asyncio.AbstractEventLoop, _Wait] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, eq=False)
class RunIdentity:
    """Distinguishes runs of programs that share an event loop.

    Unit tests with `pulumi.runtime.test` share the event loop and the root stack, and often the mocks. The SDK starts
    each of them with a new list of calls.
    """

    stack: pulumi.Resource | None
    monitor: object
    calls: object
    """None with an SDK that keeps its calls elsewhere."""

    @classmethod
    def read(cls) -> Self:
        """Return the identity of the run that declares resources now."""
        calls = getattr(getattr(SETTINGS, "rpc_manager", None), "rpcs", None)
        return cls(get_root_resource(), get_monitor(), calls)

    def is_current(self) -> bool:
        """Whether this is still the run that declares resources."""
        now = RunIdentity.read()  # compared by identity, because an empty list equals any other
        return self.stack is now.stack and self.monitor is now.monitor and self.calls is now.calls


def wait_for_registration(resource: pulumi.Resource, properties: Mapping[str, Any]) -> None:
    """Have the SDK wait until a resource is registered, and not for each of its outputs.

    Args:
        resource: the resource, right after the SDK's constructor.
        properties: its inputs, and None for what it only returns. The SDK has made an output for each; a subclass may
            have outputs of its own. The registration reads the outputs among the inputs, so each must be made for this
            resource alone. If a transformation drops one, nobody reads it.

    Without an event loop, or with an SDK that waits in another way, nothing happens: the SDK then waits as it does.
    """
    try:
        loop, outputs = asyncio.get_running_loop(), SETTINGS.outputs
        attributes = vars(resource)
        made = [attributes[name] for name in ("urn", "id", PROVIDER_KEY, *properties) if name in attributes]
        awaited = [item for _, item in walk(properties) if isinstance(item, pulumi.Output)]
        data = [output._data for output in (*made, *awaited)]
    except (RuntimeError, AttributeError):
        return
    wait = _waits.get(loop)
    if wait is None or wait.is_over or not wait.run.is_current():
        wait = _waits[loop] = _Wait()
    wait.registrations.append(resource.urn)
    with SETTINGS.lock:
        outputs.difference_update(data)


def stop_waiting_for(outputs: Iterable[pulumi.Output[Any]]) -> None:
    """Have the SDK not wait for outputs for which another output waits; an error of theirs is its error.

    With an SDK that waits in another way, nothing happens.
    """
    with suppress(AttributeError), SETTINGS.lock:
        SETTINGS.outputs.difference_update([output._data for output in outputs])


def continue_output(output: pulumi.Output[Any], change: Callable[[Any], Any]) -> pulumi.Output[Any]:
    """`apply` for an output that only its result needs. An older SDK would wait for both.

    Args:
        output: an output that this package has made.
        change: makes the new value from its value.
    """
    result = output.apply(change)
    stop_waiting_for([output])
    return result


class _Wait:
    """One output for many resources; an error of a registration is its error."""

    def __init__(self) -> None:
        self.run = RunIdentity.read()
        self.registrations: list[pulumi.Output[Any]] = []
        self.is_over = False
        waiting: Any = self._wait()
        pulumi.Output.from_input(waiting)

    async def _wait(self) -> None:
        try:
            for registration in self.registrations:  # it may grow meanwhile: a program can declare more in an apply
                await registration.future()
        finally:
            self.is_over = True
            self.registrations.clear()
