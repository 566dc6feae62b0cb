"""Which attempts are repeated, when, and for how long: the one place for it.

The policy may change in any release; what it must never do may not: repeat a create that the service may have
accepted.

============================  ======  =====  =====
after                         create  close  query
============================  ======  =====  =====
no connection                 yes     yes    yes
an untrusted certificate      no      no     no
too many requests (429, 416)  yes     yes    yes
the room does not exist       within ``wait_for_room``  no  no
reset, time-out, 5xx          never   yes    yes
any other refusal             no      no     no
============================  ======  =====  =====

To open a room and to end one may both be repeated, as a close may.

The waits grow from a quarter of a second to five seconds, each with a random part, so that many rooms do not come back
at once; a ``Retry-After`` of the service is honoured where it is longer. No connection is tried six times in a row,
over four to eight seconds where it is refused at once. A room is asked for again until ``wait_for_room`` has passed,
everything else until two minutes have (a query: fifteen seconds, because its doubt is no error). How often and how long
is counted anew after the room was waited for: that many rooms open at one moment, and the service says 429, is what to
expect then.

A call may be bounded by Pulumi's option ``custom_timeouts`` (`within`), and a Ctrl-C ends every wait: then the last
error is raised as if it were final.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeVar

from rtcai_pulumi.service.errors import (
    ConnectionFailed,
    OutcomeUnknown,
    RateLimited,
    RoomNotFound,
    RtcAiError,
    UntrustedCertificate,
)

T = TypeVar("T")

_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 5.0
_LONGEST_RETRY_AFTER: Final = 60.0
_CONNECTION_ATTEMPTS: Final = 6

_time_limit: ContextVar[float | None] = ContextVar("time_limit", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Bound everything that this thread retries in the block; an attempt that has begun is not cut short.

    Args:
        seconds: from now on; None or 0: no bound of its own.
    """
    token = _time_limit.set(time.monotonic() + seconds if seconds else None)
    try:
        yield
    finally:
        _time_limit.reset(token)


@dataclass(frozen=True, slots=True)
class Policy:
    """What one verb repeats."""

    repeats_unknown_outcomes: bool
    """Whether doing it twice does no harm."""
    wait_for_room: float = 0.0
    """For how many seconds "the room does not exist" is asked again."""
    patience: float = 120.0
    """For how many seconds everything else is."""

    def waits(self, error: RtcAiError, attempt: int, waited: float) -> bool:
        """Whether to try again after an error.

        Args:
            error: what the last attempt met.
            attempt: how many times in a row its kind was met, from 1: "the room does not exist", "no connection", or
                anything else.
            waited: seconds since the first attempt, or since the room was last found missing.
        """
        if isinstance(error, RoomNotFound):
            return waited < self.wait_for_room
        if isinstance(error, UntrustedCertificate):
            return False
        if isinstance(error, ConnectionFailed):
            return attempt < _CONNECTION_ATTEMPTS
        repeated = isinstance(error, RateLimited) or (
            self.repeats_unknown_outcomes and isinstance(error, OutcomeUnknown)
        )
        return repeated and waited < self.patience


ONCE: Final = Policy(repeats_unknown_outcomes=False)
"""For what may be asked for once in a run, like a create under an earlier one's trace id."""
HARMLESS: Final = Policy(repeats_unknown_outcomes=True)
"""For what may be done twice: to close a task, to open a room, to end one."""
QUERY: Final = Policy(repeats_unknown_outcomes=True, patience=15)
"""For a question whose answer may stay in doubt."""


@dataclass(frozen=True, slots=True)
class Retrier:
    """Runs attempts; its clock, its sleep and its dice are what tests replace."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], bool | None] = time.sleep
    """Waits for seconds; returns true where the run was interrupted meanwhile."""
    dice: Callable[[], float] = random.random

    def run(
        self, attempt: Callable[[], T], policy: Policy, tell: Callable[[RtcAiError, float], None] | None = None
    ) -> T:
        """Attempt until it succeeds or the policy says that it is enough.

        Args:
            attempt: one attempt; raises an `RtcAiError`.
            policy: what is repeated.
            tell: told of each error that is waited out, with the wait in seconds.

        Raises:
            RtcAiError: what the last attempt met.
        """
        began = since = self.clock()
        rooms = others = unconnected = 0
        while True:
            try:
                return attempt()
            except RtcAiError as error:
                now = self.clock()
                unconnected = unconnected + 1 if isinstance(error, ConnectionFailed) else 0
                if isinstance(error, RoomNotFound):
                    rooms, others, since = rooms + 1, 0, now
                    number, waited = rooms, now - began
                else:
                    others += 1
                    number, waited = others, now - since
                if not policy.waits(error, unconnected or number, waited):
                    raise
                wait = self._wait(error, number, policy, waited)
                limit = _time_limit.get()
                if limit is not None and self.clock() + wait > limit:
                    raise _final(error, "The time of custom_timeouts is up.") from None
                if tell:
                    tell(error, wait)
                if self.sleep(wait):
                    raise _final(error, "The run was interrupted, and it was not tried again.") from None

    def _wait(self, error: RtcAiError, number: int, policy: Policy, waited: float) -> float:
        grown = min(_FIRST_WAIT * 2.0 ** (number - 1), _LONGEST_WAIT)
        wait = grown * (0.5 + self.dice() / 2)
        if isinstance(error, RoomNotFound):
            return min(wait, max(policy.wait_for_room - waited, 0.0))
        asked = error.facts.retry_after or 0.0
        return max(wait, min(asked, _LONGEST_RETRY_AFTER))


def _final(error: RtcAiError, why: str) -> RtcAiError:
    return type(error)(f"{error.summary} {why}", error.facts, error.advice)
