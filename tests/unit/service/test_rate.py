from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcai_pulumi.service.rate import Pace

pytestmark = pytest.mark.shows("safety busy-service")


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def pace(self, per_second: float) -> Pace:
        return Pace(per_second, clock=lambda: self.now, sleep=self.sleep)


def turns(clock: Clock, pace: Pace, count: int) -> list[float]:
    found = []
    for _ in range(count):
        pace.wait()
        found.append(clock.now)
    return found


@given(st.floats(1, 200), st.integers(1, 300))
def test_no_second_has_more_than_its_share(per_second: float, count: int) -> None:
    clock = Clock()
    times = turns(clock, clock.pace(per_second), count)
    for start in times:
        assert sum(start <= time < start + 0.999 for time in times) <= per_second + 1


def test_who_comes_late_does_not_wait() -> None:
    clock = Clock()
    pace = clock.pace(2)
    turns(clock, pace, 1)
    clock.now = 10.0
    assert turns(clock, pace, 2) == [10.0, 10.5]


def test_a_429_halves_the_rate_once_a_second_and_it_comes_back() -> None:
    clock = Clock()
    pace = clock.pace(10)
    turns(clock, pace, 1)
    clock.now = 1.0
    pace.slow_down()
    pace.slow_down()
    first, second = turns(clock, pace, 2)
    assert 0.19 < second - first <= 0.2
    clock.now = 30.0
    first, second = turns(clock, pace, 2)
    assert round(second - first, 6) == 0.1


def test_it_never_stops_altogether() -> None:
    clock = Clock()
    pace = clock.pace(10)
    for second in range(20):
        clock.now = second * 1.0
        pace.slow_down()
    first, second_turn = turns(clock, pace, 2)
    assert second_turn - first <= 1


def test_threads_share_one_pace() -> None:
    waits: list[float] = []
    pace = Pace(100, clock=lambda: 0.0, sleep=waits.append)
    threads = [Thread(target=pace.wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [round(wait, 6) for wait in sorted(waits)] == [round(turn / 100, 6) for turn in range(1, 20)]
