"""How many requests there are, and how many at once."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rtcai_pulumi.emulator.verbs import TASK_VERBS, Verb


class Gauge:
    """Counts since the start or the last reset. A request is in flight from its last byte to its answer."""

    def __init__(self) -> None:
        self._came: Counter[Verb] = Counter()
        self._in_flight: set[object] = set()
        self._max_in_flight = 0
        self._throttled = 0

    @contextmanager
    def counted(self, verb: Verb) -> Generator[None]:
        """Count a request; a reset while it runs takes it out."""
        self._came[verb] += 1
        request = object()
        if verb in TASK_VERBS:
            self._in_flight.add(request)
            self._max_in_flight = max(self._max_in_flight, len(self._in_flight))
        try:
            yield
        finally:
            self._in_flight.discard(request)

    def throttled(self) -> None:
        """Count a request that came too fast."""
        self._throttled += 1

    def clear(self) -> None:
        """Begin anew."""
        self._came.clear()
        self._in_flight.clear()
        self._max_in_flight = self._throttled = 0

    def shown(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "inFlight": len(self._in_flight),
            "maxInFlight": self._max_in_flight,
            "requests": sum(number for verb, number in self._came.items() if verb in TASK_VERBS),
            "byVerb": dict(self._came),
            "throttled": self._throttled,
        }
