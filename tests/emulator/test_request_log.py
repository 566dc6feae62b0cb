from rtcai_pulumi.emulator.admin.request_log import KEPT_REQUESTS, Record
from rtcai_pulumi.emulator.http.request import Call, Flavour
from rtcai_pulumi.emulator.http.response import success

CALL = Call(Flavour.SERVER, "GET", "/v3/api/rooms", (("cname", "r"),), {}, {"nonce": (b"\xff",)}, 0, None, None)


def test_a_request_without_an_answer_is_shown_as_such() -> None:
    record = Record()
    record.begin(CALL, 0.0, 0.0)
    (entry,) = record.shown()
    assert (entry["status"], entry["code"], entry["latencyMs"]) == (None, None, None)


def test_latency_is_in_milliseconds() -> None:
    record = Record()
    record.begin(CALL, 0.0, 10.0).finish(success("q"), 10.0125)
    assert record.shown()[0]["latencyMs"] == 12.5


def test_a_header_that_is_no_text_is_shown_all_the_same() -> None:
    record = Record()
    record.begin(CALL, 0.0, 0.0)
    assert record.shown()[0]["headers"] == {"Nonce": "\\xff"}


def test_the_oldest_requests_are_forgotten_first() -> None:
    record = Record()
    for number in range(KEPT_REQUESTS + 1):
        record.begin(CALL, float(number), 0.0)
    shown = record.shown()
    assert len(shown) == KEPT_REQUESTS
    assert shown[0]["startedAt"] == "1970-01-01T00:00:01.000000Z"
