from collections.abc import Iterator

import pytest

from rtcai_pulumi.service import errors
from rtcai_pulumi.service.errors import Facts, RtcAiError
from rtcai_pulumi.service.retry import Policy, Retrier

pytestmark = pytest.mark.shows("safety no-connection")

CREATE = Policy(repeats_unknown_outcomes=False)
CLOSE = Policy(repeats_unknown_outcomes=True)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)

    def retrier(self, dice: float = 1.0) -> Retrier:
        return Retrier(clock=lambda: self.now, sleep=self.sleep, dice=lambda: dice)


class Attempts:
    """Fails with one error after the other, then succeeds."""

    def __init__(self, *failures: RtcAiError, forever: RtcAiError | None = None) -> None:
        self.left: Iterator[RtcAiError] = iter(failures)
        self.forever = forever
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        error = next(self.left, self.forever)
        if error is not None:
            raise error
        return "done"


@pytest.mark.parametrize(
    "kind", [errors.AnswerLost, errors.AnswerUnreadable, errors.ServerFailed, errors.DuplicateRequest]
)
def test_a_create_that_may_have_been_accepted_is_never_repeated(kind: type[RtcAiError]) -> None:
    attempts = Attempts(kind("?"))
    with pytest.raises(kind):
        Clock().retrier().run(attempts, CREATE)
    assert attempts.made == 1


@pytest.mark.parametrize("kind", [errors.AnswerLost, errors.ServerFailed, errors.RateLimited, errors.ConnectionFailed])
def test_a_close_is_repeated_until_it_is_answered(kind: type[RtcAiError]) -> None:
    attempts = Attempts(kind("?"), kind("?"))
    assert Clock().retrier().run(attempts, CLOSE) == "done"
    assert attempts.made == 3


@pytest.mark.parametrize("policy", [CREATE, CLOSE])
@pytest.mark.parametrize("kind", [errors.InvalidRequest, errors.NotAuthenticated, errors.NotPermitted, errors.Refused])
def test_a_definite_refusal_is_final(policy: Policy, kind: type[RtcAiError]) -> None:
    attempts = Attempts(kind("?"))
    with pytest.raises(kind):
        Clock().retrier().run(attempts, policy)
    assert attempts.made == 1


def test_no_connection_is_tried_six_times() -> None:
    attempts = Attempts(forever=errors.ConnectionFailed("?"))
    with pytest.raises(errors.ConnectionFailed):
        Clock().retrier().run(attempts, CREATE)
    assert attempts.made == 6


def test_too_many_requests_are_waited_out_for_two_minutes_and_no_longer() -> None:
    clock = Clock()
    with pytest.raises(errors.RateLimited):
        clock.retrier().run(Attempts(forever=errors.RateLimited("?")), CREATE)
    assert 120 <= clock.now <= 126


def test_the_waits_grow_and_have_a_random_part() -> None:
    clock = Clock()
    clock.retrier(dice=1.0).run(Attempts(*[errors.RateLimited("?")] * 7), CREATE)
    assert clock.waits == [0.25, 0.5, 1, 2, 4, 5, 5]
    least = Clock()
    least.retrier(dice=0.0).run(Attempts(errors.RateLimited("?")), CREATE)
    assert least.waits == [0.125]


@pytest.mark.parametrize(("asked", "waited"), [(3.0, 3.0), (0.01, 0.25), (10_000.0, 60.0)])
def test_retry_after_is_honoured_within_reason(asked: float, waited: float) -> None:
    clock = Clock()
    clock.retrier().run(Attempts(errors.RateLimited("?", Facts(retry_after=asked))), CREATE)
    assert clock.waits == [waited]


def test_a_missing_room_is_waited_for_as_long_as_configured() -> None:
    clock = Clock()
    attempts = Attempts(forever=errors.RoomNotFound("?"))
    with pytest.raises(errors.RoomNotFound):
        clock.retrier().run(attempts, Policy(repeats_unknown_outcomes=False, wait_for_room=3))
    assert clock.now == 3
    once = Attempts(forever=errors.RoomNotFound("?"))
    with pytest.raises(errors.RoomNotFound):
        Clock().retrier().run(once, CREATE)
    assert once.made == 1


@pytest.mark.parametrize("busy", [errors.RateLimited("?"), errors.ConnectionFailed("?")])
def test_an_error_after_the_wait_for_the_room_is_retried_as_usual(busy: RtcAiError) -> None:
    clock = Clock()
    attempts = Attempts(*[errors.RoomNotFound("?")] * 100, busy, busy, busy)
    policy = Policy(repeats_unknown_outcomes=False, wait_for_room=600)
    assert clock.retrier().run(attempts, policy) == "done"
    assert clock.waits[-3:] == [0.25, 0.5, 1]


def test_each_wait_is_reported() -> None:
    told: list[tuple[str, float]] = []
    attempts = Attempts(errors.RateLimited("busy"))
    Clock().retrier().run(attempts, CREATE, lambda error, wait: told.append((error.summary, wait)))
    assert told == [("busy", 0.25)]


def test_a_refused_connection_after_other_faults_is_not_the_last_of_six() -> None:
    """A service that is restarted: first it answers 503, then for a moment it refuses connections."""
    attempts = Attempts(*[errors.ServerFailed("?")] * 6, errors.ConnectionFailed("?"))
    assert Clock().retrier().run(attempts, CLOSE) == "done"
    assert attempts.made == 8
