"""Makes one output where Pulumi's SDK makes several: each is a task of the event loop, which takes time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulumi import UNKNOWN, Output

from rtcai_pulumi.config.values import map_nested, walk
from rtcai_pulumi.sdk_wait import stop_waiting_for

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pulumi import Resource


def output_of(value: Awaitable[Any]) -> Output[Any]:
    """An output of a value that is known and not a secret, as soon as it is computed.

    Args:
        value: computes it; it contains no outputs.
    """
    is_known: asyncio.Future[bool] = asyncio.Future()
    is_known.set_result(True)
    return Output(set(), value, is_known)


def join_outputs(value: Any) -> Output[Any]:
    """An output of a value that contains outputs; it depends on all their resources.

    Args:
        value: objects and lists; the values of its outputs contain no other outputs.
    """
    outputs = [item for _, item in walk(value) if isinstance(item, Output)]
    stop_waiting_for(outputs)
    joined = asyncio.ensure_future(_join(value, outputs))
    resources, known_value, is_known, is_secret = (_Part(joined, name) for name in _Joined.__slots__)
    return Output(resources, known_value, is_known, is_secret)


@dataclass(slots=True)
class _Joined:
    """What the SDK wants to know of an output, in this order."""

    resources: set[Resource] = field(default_factory=set)
    value: Any = None
    is_known: bool = True
    is_secret: bool = False


async def _join(value: Any, outputs: Iterable[Output[Any]]) -> _Joined:
    joined, values = _Joined(), dict[int, Any]()
    for output in outputs:
        is_known = await output.is_known()
        values[id(output)] = await output.future() if is_known else UNKNOWN
        joined.resources |= await output.resources()
        joined.is_known &= is_known
        joined.is_secret |= await output.is_secret()
    joined.value = map_nested(value, lambda _, item: values[id(item)] if isinstance(item, Output) else item)
    return joined


@dataclass(slots=True)
class _Part(Awaitable[Any]):
    """A field of a joined value. Unlike a coroutine, it may stay without anybody who awaits it, when another fails."""

    joined: asyncio.Future[_Joined]
    name: str

    def __await__(self) -> Generator[Any, Any, Any]:
        return getattr((yield from self.joined), self.name)
