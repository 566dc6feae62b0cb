"""The numbers of the newest changes, for subscribers such as the live page.

A subscriber remembers the last number that it has seen and asks what has changed since. It gets the newest state of
each thing once, so a slow one needs no buffer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["room", "request", "fault", "setting"]
"""What can change."""
KEPT_CHANGES: Final = 4096
"""How many changed things are remembered; who has missed more has to look at everything anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that has changed."""

    kind: Kind
    key: Hashable


class Changes:
    """The changes of one emulator. Used in one event loop only."""

    def __init__(self) -> None:
        self.number = 0
        """That of the newest change."""
        self._numbers: OrderedDict[Change, int] = OrderedDict()
        self._unknown = 0
        """Changes up to this number are not remembered."""
        self._came = asyncio.Event()

    def touch(self, kind: Kind, key: Hashable = None) -> None:
        """Note that a thing has changed, came to be, or went away."""
        self.number += 1
        change = Change(kind, key)
        self._numbers[change] = self.number
        self._numbers.move_to_end(change)
        if len(self._numbers) > KEPT_CHANGES:
            _, self._unknown = self._numbers.popitem(last=False)
        self._tell()

    def start_anew(self) -> None:
        """Note that so much has changed that everyone has to look at everything anew."""
        self.number += 1
        self._unknown = self.number
        self._numbers.clear()
        self._tell()

    def since(self, number: int) -> list[Change] | None:
        """What has changed after a number, the oldest first, each thing once; None: look at everything anew."""
        if not self._unknown <= number <= self.number:
            return None
        found = []
        for change, changed in reversed(self._numbers.items()):
            if changed <= number:
                break
            found.append(change)
        return found[::-1]

    async def after(self, number: int) -> None:
        """Return once something has changed after a number."""
        while self.number <= number:
            await self._came.wait()

    def _tell(self) -> None:
        came, self._came = self._came, asyncio.Event()
        came.set()
