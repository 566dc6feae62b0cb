"""How many requests per second this process sends: one limit for all its threads."""

import threading
import time
from collections.abc import Callable
from typing import Final

_SLOWEST: Final = 1.0
_RECOVERY: Final = 0.1


class Pace:
    """Spaces requests evenly, so no second has more than the limit, and slows down if the service returns 429.

    After a 429 the rate halves, at most once per second. Then it recovers by a tenth of the full rate per second.

    Args:
        per_second: requests per second at full speed.
        clock: returns seconds and never goes back.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._full = per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock()
        self._slowed_at: float | None = None
        self._slowed_to = per_second

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + 1 / self._rate(now)
        if turn > now:
            self._sleep(turn - now)

    def slow_down(self) -> None:
        """Lower the rate, because the service reported too many requests."""
        with self._lock:
            now = self._clock()
            if self._slowed_at is None or now - self._slowed_at >= 1:
                self._slowed_to = max(self._rate(now) / 2, _SLOWEST)
                self._slowed_at = now

    def _rate(self, now: float) -> float:
        if self._slowed_at is None:
            return self._full
        return min(self._full, self._slowed_to + (now - self._slowed_at) * self._full * _RECOVERY)
