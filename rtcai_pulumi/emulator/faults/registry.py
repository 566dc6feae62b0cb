"""The active faults in the order in which they were set, and which requests each one hits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from rtcai_pulumi.emulator.api.rate_limit import Verb
from rtcai_pulumi.emulator.faults.cancellation import Client, Waits
from rtcai_pulumi.emulator.faults.model import Answered, At, Fault, Latency, Outcome, Sort, Stop
from rtcai_pulumi.emulator.state.changes import Changes


class Gate:
    """Closed until `open` is called, then open for good."""

    def __init__(self) -> None:
        self.reached = 0
        """How many requests have come to it."""
        self.held = 0
        """How many stand before it now."""
        self._opened = asyncio.Event()
        self._moved = asyncio.Event()

    async def hold(self, waits: Waits, client: Client) -> None:
        """Hold a request.

        Raises:
            NoAnswer: the client went away, or the emulator was reset or stopped.
        """
        self.reached += 1
        self.held += 1
        self._tell()
        try:
            await waits.until(self._opened.wait(), client)
        finally:
            self.held -= 1

    def open(self) -> None:
        """Let everything go on."""
        self._opened.set()
        self._tell()

    async def until_reached(self, count: int) -> None:
        """Wait until so many requests have come to it, those included that have left again.

        Raises:
            LookupError: it was opened before.
        """
        while self.reached < count:
            if self._opened.is_set():
                message = f"{self.reached} of {count} requests were held when it was released"
                raise LookupError(message)
            await self._moved.wait()

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


_SORTS: Final[tuple[Sort, ...]] = ("delay", "stop", "outcome")


@dataclass(slots=True)
class SetFault:
    """One fault from its setting to its removal."""

    number: int
    fault: Fault
    passed: int = 0
    """Requests that it let pass, of those it is to skip."""
    applied: int = 0
    """Requests that have taken it."""
    gate: Gate = field(default_factory=Gate)
    """Where a `Stop` holds requests; nothing comes to it with the other kinds."""
    released: bool = False

    @property
    def left(self) -> int | None:
        """For how many requests it still is; None: until it is removed."""
        if self.released:
            return 0
        return None if self.fault.times is None else self.fault.times - self.applied

    def wants(self, verb: Verb, room: Callable[[], str | None]) -> bool:
        """Whether it is for such a request, and for one more."""
        fault = self.fault
        return fault.verb in {"*", verb} and self.left != 0 and (fault.cname is None or fault.cname == room())

    def release(self) -> None:
        """Let go on what it holds, and hold nothing more."""
        self.released = True
        self.gate.open()

    def shown(self) -> dict[str, Any]:
        """The fault as JSON: as it was stated, and how far it has come."""
        stated = self.fault.model_dump(exclude_defaults=True)
        counted = {"times": self.fault.times, "left": self.left, "applied": self.applied}
        return {"id": self.number, **stated, **counted, **({"held": self.gate.held} if self._stops else {})}

    @property
    def _stops(self) -> bool:
        return isinstance(self.fault, Stop)


class Taken:
    """The faults that one request takes: at most one of each sort."""

    def __init__(self, taken: dict[Sort, SetFault]) -> None:
        self._taken = taken

    @property
    def outcome(self) -> Outcome | Answered | None:
        """How the request ends, where not with its own answer."""
        fault = self._taken["outcome"].fault if "outcome" in self._taken else None
        return fault if isinstance(fault, Outcome | Answered) else None

    def seconds(self, at: At) -> float:
        """The delay at a point."""
        fault = self._taken["delay"].fault if "delay" in self._taken else None
        if not isinstance(fault, Latency):
            return 0.0
        return fault.before if at == "arrived" else fault.after

    def gate(self, at: At) -> Gate | None:
        """Where the request is held at a point; None: nowhere."""
        stop = self._taken.get("stop")
        return stop.gate if stop and isinstance(stop.fault, Stop) and stop.fault.point == at else None

    def shown(self) -> list[dict[str, Any]]:
        """Which they are, for the record."""
        return [{"id": taken.number, "kind": taken.fault.kind} for taken in self._taken.values()]


class FaultList:
    """All faults of one emulator."""

    def __init__(self, changes: Changes | None = None) -> None:
        self._changes = changes or Changes()
        self._numbers = count(1)
        self._set: dict[int, SetFault] = {}

    def add(self, fault: Fault) -> SetFault:
        """Set a fault; it comes after those that are set."""
        placed = SetFault(next(self._numbers), fault)
        self._set[placed.number] = placed
        self._changes.touch("fault")
        return placed

    def get(self, number: int) -> SetFault:
        """A fault by its number.

        Raises:
            LookupError: there is none.
        """
        if number not in self._set:
            message = f"no fault {number} is set"
            raise LookupError(message)
        return self._set[number]

    def remove(self, number: int) -> None:
        """Take a fault back; what it holds goes on.

        Raises:
            LookupError: there is none.
        """
        self.release(number)
        del self._set[number]

    def release(self, number: int) -> SetFault:
        """Let go on what a fault holds; it holds nothing more, and stays in the list.

        Raises:
            LookupError: there is none.
        """
        placed = self.get(number)
        placed.release()
        self._changes.touch("fault")
        return placed

    def clear(self) -> None:
        """Take all of them back."""
        for number in list(self._set):
            self.remove(number)

    def take(self, verb: Verb, room: Callable[[], str | None]) -> Taken:
        """What a request takes: of each sort the first that is for it.

        `skip` counts the requests that come to a fault, hence not those that an earlier one of its sort took. `room`
        tells the name of the room that the request is about; it is asked where a fault wants to know.
        """
        taken: dict[Sort, SetFault] = {}
        for sort in _SORTS:
            for placed in self._set.values():
                if placed.fault.sort != sort or not placed.wants(verb, room):
                    continue
                if placed.passed < placed.fault.skip:
                    placed.passed += 1
                    continue
                placed.applied += 1
                taken[sort] = placed
                self._changes.touch("fault")
                break
        return Taken(taken)

    def shown(self) -> list[dict[str, Any]]:
        """All of them as JSON, in order of setting; those that are used up too, until they are removed."""
        return [placed.shown() for placed in self._set.values()]
