import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.api.rate_limit import Group, RateLimiter
from tests.emulator.api import Api, body, close_body


@pytest.fixture
def frozen(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """An emulator with a stopped clock. Its offset moves the time."""
    monkeypatch.setattr(api.emulator.clock, "source", lambda: 1_800_000_000.0)
    return api


def test_without_a_limit_everything_is_taken() -> None:
    limiter = RateLimiter()
    assert {limiter.admit("create", None, 0.0) for _ in range(1000)} == {0.0}


def test_a_clock_set_forward_and_back_counts_no_request_of_the_future() -> None:
    limiter = RateLimiter()
    for now in (1000.0, 1000.5, 1000.1):
        assert limiter.admit("create", 10, now) == 0
    assert limiter.admit("create", 3, 1000.2) == 0
    assert limiter.admit("create", 3, 1000.2) == pytest.approx(0.8)


def test_so_many_are_taken_in_any_one_second() -> None:
    limiter = RateLimiter()
    assert [limiter.admit("create", 2, now) for now in (10.0, 10.5)] == [0.0, 0.0]
    assert limiter.admit("create", 2, 10.75) == pytest.approx(0.25)
    assert limiter.admit("create", 2, 11.0) == 0.0
    assert limiter.admit("create", 2, 11.25) == pytest.approx(0.25)
    assert limiter.admit("create", 2, 11.5) == 0.0


def test_what_was_refused_does_not_count() -> None:
    limiter = RateLimiter()
    limiter.admit("create", 1, 10.0)
    assert all(limiter.admit("create", 1, 10.5) > 0 for _ in range(9))
    assert limiter.admit("create", 1, 11.0) == 0.0


@pytest.mark.parametrize(("first", "second"), [("create", "close"), ("close", "rooms"), ("rooms", "create")])
def test_groups_have_windows_of_their_own(first: Group, second: Group) -> None:
    limiter = RateLimiter()
    assert [limiter.admit(first, 1, 1.0), limiter.admit(second, 1, 1.0)] == [0.0, 0.0]
    assert limiter.admit(first, 1, 1.0) > 0


def test_a_limit_that_was_lowered_holds_at_once() -> None:
    limiter = RateLimiter()
    for now in (10.0, 10.2, 10.4):
        limiter.admit("create", None, now)
    assert limiter.admit("create", 2, 10.5) == pytest.approx(0.7)


def test_a_clock_that_is_set_back_locks_no_client_out() -> None:
    limiter = RateLimiter()
    limiter.admit("create", 1, 1000.0)
    assert limiter.admit("create", 1, 10.0) == 0.0


def test_too_fast_is_http_429_with_code_429_and_starts_nothing(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=2)
    answers = [frozen.post("/v1/api/task/create", body(requestId="mine")) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    refused = answers[-1].json()
    assert (refused["code"], refused["requestId"]) == (429, "mine")
    assert refused["errmsg"]
    assert "Retry-After" not in answers[-1].headers
    assert len(frozen.emulator.tasks()) == 2
    assert frozen.emulator.stats()["throttled"] == 2


def test_after_a_second_requests_are_taken_again(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=1)
    codes = []
    for offset in (0.0, 0.99, 1.0, 1.5):
        frozen.emulator.clock.offset = offset
        codes.append(frozen.create()["code"])
    assert codes == [200, 429, 200, 429]


def test_retry_after_tells_whole_seconds_where_it_is_switched_on(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=1, retry_after=True)
    frozen.create()
    for offset in (0.0, 0.5):
        frozen.emulator.clock.offset = offset
        assert frozen.post("/v1/api/task/create", body()).headers["Retry-After"] == "1"


def test_create_close_and_the_room_api_are_counted_apart(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=1)
    created = frozen.create()
    assert frozen.close(close_body(created))["code"] == 200
    assert frozen.get("/v3/api/rooms", cname=body()["cname"])["code"] == 200
    assert frozen.get("/v3/api/rooms/members", cname=body()["cname"])["code"] == 429
    assert frozen.close(close_body(created))["code"] == 429


def test_too_fast_uses_up_neither_nonce_nor_fault(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=1)
    frozen.create()
    frozen.emulator.fault("create", "answer", code=500)
    headers = frozen.signed()
    assert frozen.create(headers=headers)["code"] == 429
    assert frozen.emulator.requests()[-1]["faults"] == []
    frozen.emulator.change_settings(max_rps=None)
    assert [frozen.create(headers=headers)["code"] for _ in range(2)] == [500, 200]


def test_a_path_that_the_service_does_not_have_is_not_counted(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=1)
    assert {frozen.http.get("/nowhere").status_code for _ in range(5)} == {404}


def test_a_reset_empties_the_windows(frozen: Api) -> None:
    frozen.emulator.change_settings(max_rps=1)
    frozen.create()
    frozen.emulator.reset()
    assert frozen.create()["code"] == 200


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "50"])
def test_a_limit_is_a_whole_number_above_zero(wrong: int) -> None:
    with pytest.raises(ValueError, match="max_rps: "):
        Emulator(max_rps=wrong)
