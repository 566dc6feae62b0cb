"""Rate limits: a sliding window for each account and group of operations."""

from collections import deque
from typing import Final, Literal, get_args

Verb = Literal["create", "close", "query", "members", "room-create", "room-delete"]
"""``create`` and ``close`` are the task operations; the rest is the room API."""
Verbs = Literal["create", "close", "query", "members", "room-create", "room-delete", "*"]
"""One operation, or any."""
Group = Literal["create", "close", "rooms"]
"""Operations that share one rate limit. The service's sister APIs document one limit for each API."""

VERBS: Final[tuple[Verbs, ...]] = get_args(Verbs)
TASK_VERBS: Final[frozenset[Verb]] = frozenset({"create", "close"})


def group_of(verb: Verb) -> Group:
    """Return the group whose limit counts an operation."""
    return verb if verb == "create" or verb == "close" else "rooms"  # noqa: PLR1714  mypy narrows only so


WINDOW: Final = 1.0
"""Seconds."""


class RateLimiter:
    """Limits the requests of each account and group, by the times of those that it accepted in the last second."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, Group], deque[float]] = {}

    def admit(self, group: Group, limit: int | None, now: float, app_key: str = "") -> float:
        """Accept a request if the limit allows it. A refused request does not count.

        Args:
            group: the group whose limit counts the request.
            limit: requests in any one second; None: no limit.
            now: current time in seconds.
            app_key: the account; each account is limited separately.

        Returns:
            0 if the request is accepted, else the seconds until one would be accepted.
        """
        times = self._times.setdefault((app_key, group), deque())
        # If the clock was set back, times in the future are dropped first. So the times stay in ascending order.
        while times and times[-1] > now:
            times.pop()
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if limit is not None and len(times) >= limit:
            return times[-limit] + WINDOW - now
        times.append(now)
        return 0.0

    def clear(self) -> None:
        """Forget all requests."""
        self._times.clear()
