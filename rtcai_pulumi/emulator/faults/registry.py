"""The active faults, in the order in which they were set, and which requests each one applies to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from rtcai_pulumi.emulator.api.rate_limit import Verb
from rtcai_pulumi.emulator.faults.cancellation import Client, Waits
from rtcai_pulumi.emulator.faults.model import AnswerFault, At, Fault, FaultOutcome, Latency, Sort, Stop
from rtcai_pulumi.emulator.state.changes import Changes


class Gate:
    """Closed until `open` is called, then open permanently."""

    def __init__(self) -> None:
        self.arrivals = 0
        """How many requests have reached the gate."""
        self.held = 0
        """How many requests wait at the gate now."""
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()

    async def hold(self, waits: Waits, client: Client) -> None:
        """Hold a request until the gate is opened.

        Raises:
            NoAnswer: the client disconnected, or the emulator was reset or stopped.
        """
        self.arrivals += 1
        self.held += 1
        self._notify()
        try:
            await waits.until(self._opened.wait(), client)
        finally:
            self.held -= 1

    def open(self) -> None:
        """Let all requests continue."""
        self._opened.set()
        self._notify()

    async def wait_for_arrivals(self, count: int) -> None:
        """Wait until this many requests have reached the gate, including those that have left since.

        Raises:
            LookupError: the gate was opened before.
        """
        while self.arrivals < count:
            if self._opened.is_set():
                message = f"{self.arrivals} of {count} requests were held when the fault was released"
                raise LookupError(message)
            await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


_SORTS: Final[tuple[Sort, ...]] = ("delay", "stop", "outcome")


@dataclass(slots=True)
class ActiveFault:
    """One fault, from the time it is set until it is removed."""

    number: int
    fault: Fault
    skipped: int = 0
    """Requests that passed because of `skip`."""
    applied: int = 0
    """Requests that the fault was applied to."""
    gate: Gate = field(default_factory=Gate)
    """The point at which a `Stop` holds requests; the other kinds do not use it."""
    released: bool = False

    @property
    def left(self) -> int | None:
        """Return how many requests it still applies to; None: all until it is removed."""
        if self.released:
            return 0
        return None if self.fault.times is None else self.fault.times - self.applied

    def applies_to(self, verb: Verb, room: Callable[[], str | None]) -> bool:
        """Whether it applies to such a request, and to one more."""
        fault = self.fault
        return fault.verb in {"*", verb} and self.left != 0 and (fault.cname is None or fault.cname == room())

    def release(self) -> None:
        """Release the requests that it holds, and hold no further ones."""
        self.released = True
        self.gate.open()

    def to_json(self) -> dict[str, Any]:
        """Return the fault as JSON: its configuration and its progress."""
        configuration = self.fault.model_dump(exclude_defaults=True)
        progress = {"times": self.fault.times, "left": self.left, "applied": self.applied}
        return {"id": self.number, **configuration, **progress, **({"held": self.gate.held} if self._stops else {})}

    @property
    def _stops(self) -> bool:
        return isinstance(self.fault, Stop)


class AppliedFaults:
    """The faults that one request takes: at most one of each sort."""

    def __init__(self, by_sort: dict[Sort, ActiveFault]) -> None:
        self._by_sort = by_sort

    @property
    def outcome(self) -> FaultOutcome | AnswerFault | None:
        """Return the outcome of the request, if a fault replaces its own answer."""
        fault = self._by_sort["outcome"].fault if "outcome" in self._by_sort else None
        return fault if isinstance(fault, FaultOutcome | AnswerFault) else None

    def seconds(self, at: At) -> float:
        """Return the delay at a point, in seconds."""
        fault = self._by_sort["delay"].fault if "delay" in self._by_sort else None
        if not isinstance(fault, Latency):
            return 0.0
        return fault.before if at == "arrived" else fault.after

    def gate(self, at: At) -> Gate | None:
        """Return the gate that holds the request at a point; None: the request is not held there."""
        stop = self._by_sort.get("stop")
        return stop.gate if stop and isinstance(stop.fault, Stop) and stop.fault.point == at else None

    def to_json(self) -> list[dict[str, Any]]:
        """Return the faults as JSON, for the request log."""
        return [{"id": active.number, "kind": active.fault.kind} for active in self._by_sort.values()]


class FaultList:
    """All faults of one emulator."""

    def __init__(self, changes: Changes | None = None) -> None:
        self._changes = changes or Changes()
        self._numbers = count(1)
        self._active: dict[int, ActiveFault] = {}

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault after the existing ones."""
        active = ActiveFault(next(self._numbers), fault)
        self._active[active.number] = active
        self._changes.touch("fault")
        return active

    def get(self, number: int) -> ActiveFault:
        """Return a fault by its number.

        Raises:
            LookupError: no fault has this number.
        """
        if number not in self._active:
            message = f"fault {number} does not exist"
            raise LookupError(message)
        return self._active[number]

    def remove(self, number: int) -> None:
        """Remove a fault; the requests that it holds continue.

        Raises:
            LookupError: no fault has this number.
        """
        self.release(number)
        del self._active[number]

    def release(self, number: int) -> ActiveFault:
        """Release the requests that a fault holds. It holds no further request and stays in the list.

        Raises:
            LookupError: no fault has this number.
        """
        active = self.get(number)
        active.release()
        self._changes.touch("fault")
        return active

    def clear(self) -> None:
        """Remove all faults."""
        for number in list(self._active):
            self.remove(number)

    def take(self, verb: Verb, room: Callable[[], str | None]) -> AppliedFaults:
        """Return the faults that a request takes: the first matching one of each sort.

        `skip` counts only the requests that reach the fault, so it does not count those that an earlier fault of the
        same sort took. `room` returns the name of the room that the request is about; it is called only if a fault
        depends on it.
        """
        by_sort: dict[Sort, ActiveFault] = {}
        for sort in _SORTS:
            for active in self._active.values():
                if active.fault.sort != sort or not active.applies_to(verb, room):
                    continue
                if active.skipped < active.fault.skip:
                    active.skipped += 1
                    continue
                active.applied += 1
                by_sort[sort] = active
                self._changes.touch("fault")
                break
        return AppliedFaults(by_sort)

    def to_json(self) -> list[dict[str, Any]]:
        """Return all faults as JSON, in the order in which they were set. Used-up faults are included until they are
        removed.
        """
        return [active.to_json() for active in self._active.values()]
