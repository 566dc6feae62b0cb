"""How many requests a second are taken: a window that slides, for each account and group of operations."""

from collections import deque
from typing import Final

from rtcai_pulumi.emulator.verbs import Group

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
