"""Rate limits: a sliding window for each account and group of operations."""

from collections import deque
from typing import Final, Literal, get_args

Verb = Literal["create", "close", "query", "members", "room-create", "room-delete"]
"""``create`` and ``close`` are those of a task; the rest is the room API."""
Verbs = Literal["create", "close", "query", "members", "room-create", "room-delete", "*"]
"""One of them, or any."""
Group = Literal["create", "close", "rooms"]
"""What a rate limit counts together: the service's sister APIs state one limit for each API."""

VERBS: Final[tuple[Verbs, ...]] = get_args(Verbs)
TASK_VERBS: Final[frozenset[Verb]] = frozenset({"create", "close"})


def group_of(verb: Verb) -> Group:
    """The group that an operation is counted in."""
    return verb if verb == "create" or verb == "close" else "rooms"  # noqa: PLR1714  mypy narrows only so


WINDOW: Final = 1.0
"""Seconds."""


class Windows:
    """The requests of the last second that were taken, by account and group."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, Group], deque[float]] = {}

    def admit(self, group: Group, limit: int | None, now: float, app_key: str = "") -> float:
        """Take a request, or not: what is refused does not count.

        Args:
            group: what it is counted with.
            limit: requests in any one second; None: as many as come.
            now: seconds.
            app_key: whose it is: each account has windows of its own.

        Returns:
            0 where it is taken, else the seconds until one would be.
        """
        taken = self._taken.setdefault((app_key, group), deque())
        # A clock that was set back has left times that are yet to come.
        while taken and not now - WINDOW < taken[0] <= now:
            taken.popleft()
        if limit is not None and len(taken) >= limit:
            return taken[-limit] + WINDOW - now
        taken.append(now)
        return 0.0

    def clear(self) -> None:
        """Forget all of them."""
        self._taken.clear()
