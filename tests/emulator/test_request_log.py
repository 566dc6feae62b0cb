from rtcai_pulumi.emulator.admin.request_log import KEPT_REQUESTS, RequestLog
from rtcai_pulumi.emulator.http.request import AuthScheme, Call
from rtcai_pulumi.emulator.http.response import success_answer

CALL = Call(AuthScheme.SERVER, "GET", "/v3/api/rooms", (("cname", "r"),), {}, {"nonce": (b"\xff",)}, 0, None, None)


def test_a_request_without_an_answer_is_shown_as_such() -> None:
    record = RequestLog()
    record.begin(CALL, 0.0, 0.0)
    (entry,) = record.to_json()
    assert (entry["status"], entry["code"], entry["latencyMs"]) == (None, None, None)


def test_latency_is_in_milliseconds() -> None:
    record = RequestLog()
    record.begin(CALL, 0.0, 10.0).finish(success_answer("q"), 10.0125)
    assert record.to_json()[0]["latencyMs"] == 12.5


def test_a_header_that_is_not_text_is_listed_too() -> None:
    record = RequestLog()
    record.begin(CALL, 0.0, 0.0)
    assert record.to_json()[0]["headers"] == {"Nonce": "\\xff"}


def test_the_oldest_requests_are_forgotten_first() -> None:
    record = RequestLog()
    for number in range(KEPT_REQUESTS + 1):
        record.begin(CALL, float(number), 0.0)
    requests = record.to_json()
    assert len(requests) == KEPT_REQUESTS
    assert requests[0]["startedAt"] == "1970-01-01T00:00:01.000000Z"
