"""How many requests a second this process sends: one pace for all its threads."""

import threading
import time
from collections.abc import Callable
from typing import Final

_SLOWEST: Final = 1.0
_RECOVERY: Final = 0.1


class Pace:
    """Spaces requests evenly, so that no second has more than its share, and slows down when the service says 429.

    After a 429 the rate halves, at most once in a second, and then comes back by a tenth of the full rate a second.

    Args:
        per_second: requests a second at full speed.
        clock: seconds, only ever growing.
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
        """Take note that the service found it too fast."""
        with self._lock:
            now = self._clock()
            if self._slowed_at is None or now - self._slowed_at >= 1:
                self._slowed_to = max(self._rate(now) / 2, _SLOWEST)
                self._slowed_at = now

    def _rate(self, now: float) -> float:
        if self._slowed_at is None:
            return self._full
        return min(self._full, self._slowed_to + (now - self._slowed_at) * self._full * _RECOVERY)
