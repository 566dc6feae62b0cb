import json
import logging
import socket
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from rtcai_pulumi.emulator.api import tasks as task_api
from tests.emulator.api import JSON, Api, assert_form, body


def requests(api: Api) -> list[dict[str, Any]]:
    answer: dict[str, list[dict[str, Any]]] = api.http.get("/-/requests").json()
    return answer["requests"]


def test_a_request_is_recorded_with_its_answer(api: Api) -> None:
    headers = api.signed(**{"X-custom-traceid": "trace"})
    api.create(headers=headers)
    (entry,) = requests(api)
    assert (entry["method"], entry["path"], entry["query"]) == ("POST", "/v1/api/task/create", {})
    assert entry["body"] == body()
    assert (entry["status"], entry["code"]) == (200, 200)
    assert entry["headers"]["X-custom-traceid"] == "trace"
    assert entry["headers"]["Nonce"] == headers["Nonce"]
    assert entry["headers"]["Content-Type"] == JSON
    assert 0 <= entry["latencyMs"] < 60_000
    assert entry["startedAt"].endswith("Z")


def test_requests_are_recorded_in_order_good_and_refused(api: Api) -> None:
    api.create()
    api.create(body(cname=None))
    api.get("/v3/api/rooms", cname="r")
    api.create(b"no json")
    assert [(entry["path"], entry["code"]) for entry in requests(api)] == [
        ("/v1/api/task/create", 200),
        ("/v1/api/task/create", 400),
        ("/v3/api/rooms", 404),
        ("/v1/api/task/create", 400),
    ]
    assert requests(api)[2]["query"] == {"cname": "r"}
    assert requests(api)[3]["body"] is None


def test_the_record_and_the_log_hold_no_checksum_no_token_and_no_secret(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signed, with_token = api.signed(), api.with_token(body()["cname"])
    api.create(headers=signed)
    api.post("/ai/task/create", body(), with_token)
    api.create(headers={**signed, "CheckSum": "0123456789wrong"})
    seen = json.dumps(requests(api)) + caplog.text
    assert "POST '/ai/task/create': HTTP 200, code 200" in caplog.text
    for secret in (signed["CheckSum"], with_token["Token"], "0123456789wrong"):
        assert secret not in seen
    assert api.emulator.app_secret not in seen


def test_the_log_holds_nothing_of_a_body_or_a_query(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="rtcai_pulumi.emulator")
    wrong = body()
    wrong["data"]["llm"]["customPrompt"] = {"canary": 1}
    api.create(wrong)
    api.get("/v3/api/rooms", cname="canary")
    assert "canary" not in caplog.text


def test_a_line_break_in_a_path_breaks_no_line_of_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="rtcai_pulumi.emulator")
    api.http.get("/x%0AERROR%20forged")
    assert "forged" in caplog.text
    assert "\nERROR" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/api/task/creat"),
        ("POST", "/v1/api/task/create/"),
        ("GET", "/v1/api/task/create"),
        ("POST", "/"),
        ("PUT", "/v3/api/rooms"),
        ("POST", "/v3/api/kicklist/members"),
    ],
)
def test_a_path_that_the_service_does_not_have_looks_like_a_wrong_endpoint(api: Api, method: str, path: str) -> None:
    answer = api.http.request(method, path, headers=api.signed())
    assert answer.status_code == 404
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
    assert [(entry["path"], entry["status"], entry["code"]) for entry in requests(api)] == [(path, 404, None)]


@pytest.mark.parametrize("offset", [0.0, 3600.0])
def test_every_answer_tells_the_emulators_time(api: Api, offset: float) -> None:
    api.emulator.clock.offset = offset
    responses = [api.post("/v1/api/task/create", body()), api.http.get("/nowhere"), api.http.get("/-/health")]
    for response in responses:
        told = parsedate_to_datetime(response.headers["Date"]).timestamp()
        assert abs(told - api.emulator.clock.now()) < 5
        assert len(response.headers.get_list("Date")) == 1


def test_what_breaks_inside_is_answered_in_the_documented_form(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        message = "canary"
        raise RuntimeError(message)

    monkeypatch.setattr(task_api, "check_body", broken)
    response = api.post("/v1/api/task/create", body())
    assert response.status_code == 500
    assert_form(response.json(), "error")
    assert response.json()["code"] == 500
    assert "canary" not in response.text
    assert "create failed inside the emulator" in caplog.text


def test_a_client_that_goes_away_in_mid_request_starts_nothing(api: Api) -> None:
    address = urlsplit(api.emulator.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as client:
        client.sendall(b"POST /v1/api/task/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert api.create()["code"] == 200
    assert len(api.emulator.tasks()) == 1
    assert len(requests(api)) == 1
