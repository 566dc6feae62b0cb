"""The retry policy: which attempts are repeated, when, and for how long. Only this module decides it.

The policy may change in any release. One rule never changes: a create that the service may have accepted is not
repeated.

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

Opening a room and ending a room may both be repeated, like a close.

The waits grow from a quarter of a second to five seconds. Each has a random part, so many rooms do not retry at the
same moment. A longer ``Retry-After`` of the service is respected. Without a connection, six attempts are made in a
row; if each is refused immediately, they take four to eight seconds. "The room does not exist" is retried until
``wait_for_room`` has passed, everything else for two minutes (a query: fifteen seconds, because a query without a
result is not an error). The count and the time start again after a wait for the room: if many rooms open at the same
moment, the service is likely to return 429.

Pulumi's option ``custom_timeouts`` may limit a call (`limit_time`), and a Ctrl-C ends every wait: then the last error
is raised as if it were final.
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
def limit_time(seconds: float | None) -> Iterator[None]:
    """Limit the time of everything that this thread retries in the block; a running attempt is not interrupted.

    Args:
        seconds: the limit, from now on; None or 0 means no limit.
    """
    token = _time_limit.set(time.monotonic() + seconds if seconds else None)
    try:
        yield
    finally:
        _time_limit.reset(token)


@dataclass(frozen=True, slots=True)
class Policy:
    """What one operation repeats."""

    repeats_unknown_outcomes: bool
    """Whether it does no harm to do the operation twice."""
    wait_for_room: float = 0.0
    """For how many seconds to retry after "the room does not exist"."""
    patience: float = 120.0
    """For how many seconds to retry after any other error."""

    def should_retry(self, error: RtcAiError, attempt: int, waited: float) -> bool:
        """Whether to try again after an error.

        Args:
            error: the error of the last attempt.
            attempt: how many times in a row this kind of error has occurred, from 1. The kinds are: "the room does not
                exist", "no connection", and anything else.
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
"""For a request that may be sent only once per run, such as a create that is sent again under its old trace id."""
HARMLESS: Final = Policy(repeats_unknown_outcomes=True)
"""For a request that may be sent twice: closing a task, opening a room, ending a room."""
QUERY: Final = Policy(repeats_unknown_outcomes=True, patience=15)
"""For a query whose result may stay unknown."""


@dataclass(frozen=True, slots=True)
class Retrier:
    """Runs attempts; tests replace its clock, its sleep and its random numbers."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], bool | None] = time.sleep
    """Waits for a number of seconds; returns true if the run was interrupted during the wait."""
    dice: Callable[[], float] = random.random

    def run(
        self, attempt: Callable[[], T], policy: Policy, report: Callable[[RtcAiError, float], None] | None = None
    ) -> T:
        """Repeat the attempt until it succeeds or the policy ends the retries.

        Args:
            attempt: one attempt; raises an `RtcAiError`.
            policy: what is repeated.
            report: called with each error that is retried, and with the wait in seconds.

        Raises:
            RtcAiError: the error of the last attempt.
        """
        start = since = self.clock()
        rooms = others = unconnected = 0
        while True:
            try:
                return attempt()
            except RtcAiError as error:
                now = self.clock()
                unconnected = unconnected + 1 if isinstance(error, ConnectionFailed) else 0
                if isinstance(error, RoomNotFound):
                    rooms, others, since = rooms + 1, 0, now
                    number, waited = rooms, now - start
                else:
                    others += 1
                    number, waited = others, now - since
                if not policy.should_retry(error, unconnected or number, waited):
                    raise
                wait = self._seconds_to_wait(error, number, policy, waited)
                limit = _time_limit.get()
                if limit is not None and self.clock() + wait > limit:
                    raise _explain_last(error, "The time limit of custom_timeouts has passed.") from None
                if report:
                    report(error, wait)
                if self.sleep(wait):
                    raise _explain_last(error, "The run was interrupted, so the request was not repeated.") from None

    def _seconds_to_wait(self, error: RtcAiError, number: int, policy: Policy, waited: float) -> float:
        longest = min(_FIRST_WAIT * 2.0 ** (number - 1), _LONGEST_WAIT)
        wait = longest * (0.5 + self.dice() / 2)
        if isinstance(error, RoomNotFound):
            return min(wait, max(policy.wait_for_room - waited, 0.0))
        retry_after = error.facts.retry_after or 0.0
        return max(wait, min(retry_after, _LONGEST_RETRY_AFTER))


def _explain_last(error: RtcAiError, why: str) -> RtcAiError:
    return type(error)(f"{error.summary} {why}", error.facts, error.advice, error.settings)
