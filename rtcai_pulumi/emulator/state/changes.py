"""Numbers the newest changes, for subscribers such as the live page.

A subscriber remembers the last number that it has seen and asks what has changed since. It gets the newest state of
each object once, so a slow subscriber needs no buffer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["room", "request", "fault", "setting"]
"""What can change."""
KEPT_CHANGES: Final = 4096
"""How many changed objects are remembered; a subscriber that has missed more must reload everything."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object that has changed."""

    kind: Kind
    key: Hashable


class Changes:
    """The changes of one emulator. Use it in one event loop only."""

    def __init__(self) -> None:
        self.number = 0
        """Number of the newest change."""
        self._numbers: OrderedDict[Change, int] = OrderedDict()
        self._forgotten = 0
        """Changes up to this number are not remembered."""
        self._changed = asyncio.Event()

    def touch(self, kind: Kind, key: Hashable = None) -> None:
        """Record that an object was created, changed or removed."""
        self.number += 1
        change = Change(kind, key)
        self._numbers[change] = self.number
        self._numbers.move_to_end(change)
        if len(self._numbers) > KEPT_CHANGES:
            _, self._forgotten = self._numbers.popitem(last=False)
        self._notify()

    def restart(self) -> None:
        """Record that so much has changed that every subscriber must reload everything."""
        self.number += 1
        self._forgotten = self.number
        self._numbers.clear()
        self._notify()

    def since(self, number: int) -> list[Change] | None:
        """Return the changes after a number, oldest first, each object once; None: reload everything."""
        if not self._forgotten <= number <= self.number:
            return None
        changes = []
        for change, latest in reversed(self._numbers.items()):
            if latest <= number:
                break
            changes.append(change)
        return changes[::-1]

    async def after(self, number: int) -> None:
        """Return when there is a change after a number."""
        while self.number <= number:
            await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
