from concurrent.futures import Executor

import pytest

from rtcai_pulumi.emulator.admin.request_log import Gauge
from tests.emulator.api import Api, body, close_body


def test_it_tells_the_greatest_number_of_task_requests_at_once() -> None:
    gauge = Gauge()
    with gauge.count("create"), gauge.count("close"), gauge.count("query"):
        assert gauge.to_json()["inFlight"] == 2
    with gauge.count("create"):
        pass
    assert gauge.to_json() == {
        "inFlight": 0,
        "maxInFlight": 2,
        "requests": 3,
        "byVerb": {"create": 2, "close": 1, "query": 1},
        "throttled": 0,
    }


def test_a_request_that_broke_is_not_in_flight() -> None:
    gauge = Gauge()
    with pytest.raises(LookupError), gauge.count("create"):
        raise LookupError
    assert gauge.to_json()["inFlight"] == 0


def test_a_reset_takes_out_what_is_in_flight() -> None:
    gauge = Gauge()
    with gauge.count("create"):
        gauge.count_throttled()
        gauge.clear()
        assert gauge.to_json() == {"inFlight": 0, "maxInFlight": 0, "requests": 0, "byVerb": {}, "throttled": 0}
        with gauge.count("create"):
            assert gauge.to_json()["maxInFlight"] == 1
    assert gauge.to_json()["inFlight"] == 0


def test_requests_that_are_held_are_in_flight(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("*", at="worked", times=None)
    created = [apart.submit(api.create, body(cname=f"room-{number}")) for number in range(10)]
    hold.wait(10)
    assert (api.emulator.stats()["inFlight"], api.emulator.stats()["maxInFlight"]) == (10, 10)
    hold.release()
    for result in created:
        api.close(close_body(result.result(30)))
    stats = api.emulator.stats()
    assert (stats["inFlight"], stats["maxInFlight"], stats["requests"]) == (0, 10, 20)


def test_an_answered_request_is_not_in_flight_any_more(api: Api) -> None:
    for _ in range(50):
        api.create()
        assert api.emulator.stats()["inFlight"] == 0
    assert api.emulator.stats()["maxInFlight"] == 1
