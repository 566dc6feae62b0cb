import json
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import httpx
import pytest

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.service import errors
from rtcai_pulumi.service.client import Client, RoomInfo
from rtcai_pulumi.service.settings import Settings
from rtcai_pulumi.service.signing import check_sum
from tests.samples import load

NOW = 1_760_000_000.0
SUCCESS: dict[str, Any] = {"code": 200, "requestId": "r-1", "cid": 1144707127429101, "result": {"taskId": "2a78"}}
BODY = load("samples/parameters.json")
Handler = Callable[[httpx.Request], httpx.Response]


def client(answer: Handler | httpx.Response, **settings: Any) -> Client:
    settings = {
        "app_secret": "the-app-secret",
        "endpoint": "http://task.test",
        "room_endpoint": "http://room.test",
    } | settings
    handler = answer if callable(answer) else lambda _: answer
    transport = httpx.MockTransport(handler)
    return Client(Settings("the-app-key", **settings), transport=transport, clock=lambda: NOW, nonce=lambda: "nonce-1")


def create(answer: Handler | httpx.Response, **settings: Any) -> TaskReference:
    with client(answer, **settings) as service:
        return service.create_task(BODY, trace_id="trace-1")


def close(answer: Handler | httpx.Response) -> None:
    with client(answer) as service:
        service.close_task(7, "2a78", cname="room1", trace_id="trace-1")


def query(answer: Handler | httpx.Response, **settings: Any) -> RoomInfo:
    with client(answer, **settings) as service:
        return service.query_room("会议 a+b&c")


def answer(status: int = 200, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


def test_a_cookie_of_a_gateway_is_not_sent_back_and_a_redirect_is_not_followed() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        headers = {"Set-Cookie": "gateway=1", "Location": "http://elsewhere.test/"}
        return httpx.Response(307, text="moved", headers=headers)

    with client(handler) as service:
        for _ in range(2):
            with pytest.raises(errors.WrongEndpoint):
                service.close_task(7, "2a78", cname="room1", trace_id="trace-1")
    assert [str(request.url) for request in seen] == ["http://task.test/v1/api/task/close"] * 2
    assert not any("Cookie" in request.headers for request in seen)


def test_a_create_is_signed_with_the_secret_and_never_sends_it() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(**SUCCESS)

    assert create(handler) == TaskReference(cid=1144707127429101, task_id="2a78")
    (request,) = seen
    assert str(request.url) == "http://task.test/v1/api/task/create"
    assert request.headers["AppKey"] == "the-app-key"
    assert request.headers["CurTime"] == "1760000000"
    assert request.headers["CheckSum"] == check_sum("the-app-secret", "nonce-1", "1760000000")
    assert request.headers["X-custom-traceid"] == "trace-1"
    assert request.headers["User-Agent"] == "rtcai-pulumi"
    assert request.headers["Accept-Encoding"] == "gzip, deflate"
    assert json.loads(request.content) == BODY
    assert b"the-app-secret" not in request.content + str(request.headers.raw).encode()


def test_without_a_secret_the_token_speaks_for_its_user_and_room() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(**SUCCESS)

    service = client(handler, app_secret=None, token="the-token", uid="9527")
    service.create_task({**BODY, "cname": "会议室"}, trace_id="trace-1")
    service.close_task(7, "2a78", cname="会议室", trace_id="trace-2")
    assert [request.url.path for request in seen] == ["/ai/task/create", "/ai/task/close"]
    for request in seen:
        headers = dict(request.headers.raw)
        assert (headers[b"Token"], headers[b"Uid"], headers[b"Cname"]) == (b"the-token", b"9527", "会议室".encode())
        assert "CheckSum" not in request.headers


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"code": 400, "errmsg": "无效信令"}, errors.InvalidRequest),
        (400, {"code": 400}, errors.InvalidRequest),
        (200, {"code": 601}, errors.InvalidRequest),
        (200, {"code": 402}, errors.NotAuthenticated),
        (401, {}, errors.NotAuthenticated),
        (403, {"code": 414}, errors.NotAuthenticated),
        (200, {"code": 611}, errors.NotPermitted),
        (200, {"code": 612}, errors.NotPermitted),
        (429, {}, errors.RateLimited),
        (429, {"code": 200}, errors.AnswerUnreadable),
        (200, {"code": 416}, errors.RateLimited),
        (200, {"code": "429"}, errors.RateLimited),
        (200, {"code": 404}, errors.RoomNotFound),
        (404, {"code": 404}, errors.RoomNotFound),
        (200, {"code": 1234, "errmsg": "房间不存在"}, errors.RoomNotFound),
        (200, {"code": 1234, "msg": "channel does not exist"}, errors.RoomNotFound),
        (200, {"code": 1234, "message": "app not found"}, errors.Refused),
        (404, {}, errors.WrongEndpoint),
        (302, {}, errors.WrongEndpoint),
        (200, {"code": 777}, errors.Refused),
        (200, {"code": 417}, errors.DuplicateRequest),
        (200, {"code": 431}, errors.DuplicateRequest),
        (500, {"code": 400}, errors.ServerFailed),
        (502, {}, errors.ServerFailed),
        (200, {"code": 500}, errors.ServerFailed),
        (200, {"code": 503}, errors.ServerFailed),
        (200, {"code": 514}, errors.ServerFailed),
        (200, {"code": 502, "errmsg": "upstream room service not found"}, errors.ServerFailed),
        (408, {}, errors.ServerFailed),
        (200, {"code": 408}, errors.ServerFailed),
        (200, {}, errors.AnswerUnreadable),
        (202, {}, errors.AnswerUnreadable),
        (204, {}, errors.AnswerUnreadable),
        (200, {"code": -1}, errors.Refused),
        (200, {"code": True}, errors.AnswerUnreadable),
        (400, {"code": 200}, errors.AnswerUnreadable),
    ],
)
def test_a_failure_is_recognized_by_status_and_code_together(
    status: int, body: dict[str, Any], kind: type[errors.RtcAiError]
) -> None:
    with pytest.raises(errors.RtcAiError) as caught:
        create(answer(status, **body))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "damage",
    [
        {"cid": None},
        {"cid": 0},
        {"cid": True},
        {"cid": "x"},
        {"cid": "9" * 5000},
        {"result": None},
        {"result": {}},
        {"result": {"taskId": ""}},
    ],
)
def test_a_success_without_its_parts_is_an_unknown_outcome(damage: dict[str, Any]) -> None:
    with pytest.raises(errors.AnswerUnreadable):
        create(answer(**{**SUCCESS, **damage}))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b'{"code": 200,', b"\xff", b"[" * 100_000, b'{"code": "%s"}' % (b"9" * 5000)],
    ids=["empty", "html", "list", "cut off", "no text", "deep", "long number"],
)
def test_garbage_is_an_unknown_outcome(content: bytes) -> None:
    with pytest.raises(errors.AnswerUnreadable):
        create(httpx.Response(200, content=content))


def test_an_answer_that_comes_too_slowly_is_an_unknown_outcome() -> None:
    def dripping() -> Iterator[bytes]:
        for byte in json.dumps(SUCCESS).encode():
            Event().wait(0.02)
            yield bytes([byte])

    with pytest.raises(errors.AnswerLost, match=r"did not respond within 0\.1 seconds"):
        create(httpx.Response(200, content=dripping()), timeout=0.1)


def test_a_date_that_no_clock_knows_is_no_date() -> None:
    headers = {"Retry-After": "Thu, 01 Jan 99999999999 00:00:00 GMT"}
    with pytest.raises(errors.RateLimited) as caught:
        create(httpx.Response(429, headers=headers))
    assert caught.value.facts.retry_after is None


def test_a_date_to_wait_for_is_measured_by_the_answer_s_own_clock() -> None:
    """The clock of this machine may be wrong by more than the wait."""
    headers = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}
    with pytest.raises(errors.RateLimited) as caught:
        create(httpx.Response(429, headers=headers))
    assert caught.value.facts.retry_after == 7


def test_what_a_broken_connection_brought_is_not_shown() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        message = f"illegal status line: bytearray({json.dumps(BODY).encode()!r})"
        raise httpx.RemoteProtocolError(message)

    with pytest.raises(errors.AnswerLost) as caught:
        create(handler)
    assert "reason: RemoteProtocolError\n" in str(caught.value)


def test_a_cid_written_as_a_string_is_read() -> None:
    assert create(answer(**{**SUCCESS, "cid": "1144707127429101"})).cid == 1144707127429101


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError, errors.ConnectionFailed),
        (httpx.ConnectTimeout, errors.ConnectionFailed),
        (httpx.PoolTimeout, errors.ConnectionFailed),
        (httpx.ProxyError, errors.ConnectionFailed),
        (httpx.LocalProtocolError, errors.ConnectionFailed),
        (httpx.ReadTimeout, errors.AnswerLost),
        (httpx.ReadError, errors.AnswerLost),
        (httpx.WriteError, errors.AnswerLost),
        (httpx.WriteTimeout, errors.AnswerLost),
        (httpx.RemoteProtocolError, errors.AnswerLost),
    ],
)
def test_only_a_connection_that_was_never_made_sent_nothing(
    failure: type[httpx.TransportError], kind: type[errors.RtcAiError]
) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        message = "broken near the-app-secret"
        raise failure(message)

    with pytest.raises(kind) as caught:
        create(handler)
    assert caught.value.facts.trace_id == "trace-1"
    assert caught.value.facts.request_id == BODY["requestId"]
    assert caught.value.__cause__ is None
    assert "the-app-secret" not in str(caught.value)


def test_a_message_says_what_happened_the_facts_and_what_to_do() -> None:
    with pytest.raises(errors.NotAuthenticated) as caught:
        create(answer(code=402, errmsg="用户未登录状态"))
    assert str(caught.value).splitlines() == [
        "The service did not start the agent: it does not accept the signature.",
        "  room: meeting_name111",
        "  endpoint: http://task.test",
        "  HTTP status: 200",
        "  service code: 402",
        "  service text: 用户未登录状态",
        f"  request id: {BODY['requestId']}",
        "  trace id: trace-1",
        "  to do: check AppKey, AppSecret or token, and the clock",
    ]


@pytest.mark.parametrize(
    ("code", "summary"),
    [
        (503, "The service failed while it was asked to {}; it is unknown whether {}."),
        (408, "The service timed out while it was asked to {}; it is unknown whether {}."),
    ],
)
def test_a_failure_of_the_service_says_what_is_unknown(code: int, summary: str) -> None:
    with pytest.raises(errors.ServerFailed) as created:
        create(answer(code=code))
    assert created.value.summary == summary.format("start the agent", "the agent was started")
    with pytest.raises(errors.ServerFailed) as closed:
        close(lambda _: answer(code=code))
    assert closed.value.summary == summary.format("stop the agent", "the agent was stopped")


@pytest.mark.parametrize("code", [417, 431])
def test_a_duplicate_says_that_the_request_arrived_before(code: int) -> None:
    with pytest.raises(errors.DuplicateRequest) as caught:
        create(answer(code=code))
    assert (
        caught.value.summary
        == "The service reports a duplicate: it has already received this request to start the agent."
    )
    assert caught.value.advice == "check the room; send the request id and the trace id to the service's support"


def test_too_many_requests_name_the_setting() -> None:
    with pytest.raises(errors.RateLimited) as caught:
        create(answer(code=416))
    assert "to do: set RTCAI_MAX_RPS to a lower number and run again" in str(caught.value)
    assert "pulumi config set rtcai:maxRps" in str(caught.value)


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("Thu, 09 Oct 2025 08:43:20 GMT", "clock is 10 minutes ahead"),
        ("Thu, 09 Oct 2025 09:03:20 GMT", "clock is 10 minutes behind"),
        ("Thu, 09 Oct 2025 08:55:00 GMT", "does not accept the signature"),
        ("yesterday", "does not accept the signature"),
    ],
)
def test_a_wrong_clock_is_named_as_the_cause_of_a_refused_signature(date: str, words: str) -> None:
    with pytest.raises(errors.NotAuthenticated, match=words):
        create(httpx.Response(200, json={"code": 402}, headers={"Date": date}))


def test_what_the_service_echoes_is_redacted() -> None:
    echo = f"bad: the-app-secret {BODY['data']['pipeline']['welcomeMessage']}"
    with pytest.raises(errors.InvalidRequest) as caught:
        create(answer(code=601, errmsg=echo))
    assert "  service text: bad: [secret] [secret]" in str(caught.value)


def test_a_long_service_text_is_cut() -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        create(answer(code=400, errmsg="x" * 10_000))
    assert len(str(caught.value)) < 1000


def test_a_close_names_room_and_task() -> None:
    seen: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, json.loads(request.content)))
        return answer(code=200, errmsg="")

    close(handler)
    assert seen == [("/v1/api/task/close", {"cid": 7, "taskType": 7, "taskId": "2a78"})]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": 404}, errors.TaskNotFound),
        ({"code": 1, "errmsg": "任务不存在"}, errors.TaskNotFound),
        ({"code": 1, "errmsg": "task not found"}, errors.TaskNotFound),
        ({"code": 1, "errmsg": "not exist"}, errors.TaskNotFound),
        ({"code": 1, "errmsg": "房间不存在"}, errors.RoomNotFound),
        ({"code": 1, "errmsg": "app key not found"}, errors.Refused),
        ({"code": 402, "errmsg": "user does not exist"}, errors.NotAuthenticated),
        ({"code": 400, "errmsg": "房间不存在"}, errors.RoomNotFound),
        ({"code": 601, "errmsg": "房间不存在"}, errors.RoomNotFound),
        ({"code": 601, "errmsg": "任务不存在"}, errors.TaskNotFound),
        ({"code": 611, "errmsg": "no such room"}, errors.RoomNotFound),
        ({"code": 400, "errmsg": "the voice was not found"}, errors.InvalidRequest),
        ({"code": 402, "errmsg": "房间不存在"}, errors.NotAuthenticated),
        ({"code": 414, "errmsg": "房间不存在"}, errors.NotAuthenticated),
        ({"code": 416, "errmsg": "房间不存在"}, errors.RateLimited),
        ({"code": 408, "errmsg": "房间不存在"}, errors.ServerFailed),
        ({"code": 500, "errmsg": "房间不存在"}, errors.ServerFailed),
        ({"code": 431, "errmsg": "房间不存在"}, errors.DuplicateRequest),
    ],
)
def test_only_a_missing_room_or_task_counts_as_missing(body: dict[str, Any], kind: type[errors.RtcAiError]) -> None:
    with pytest.raises(errors.RtcAiError) as caught:
        close(answer(**body))
    assert type(caught.value) is kind


@pytest.mark.parametrize("text", ["Not Found", "404 page not found", "route /v1/api/task/close not found"])
@pytest.mark.parametrize("call", [create, close, query])
def test_a_gateway_s_not_found_says_nothing_of_rooms_and_tasks(
    call: Callable[[httpx.Response], object], text: str
) -> None:
    with pytest.raises(errors.WrongEndpoint):
        call(answer(404, message=text))


def test_a_room_is_asked_for_by_its_whole_name() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(code=200, cid=9, cname="会议 a+b&c", stats=2)

    assert query(handler) == RoomInfo(cid=9, ended=False)
    assert seen[0].url.raw_path == b"/v3/api/rooms?cname=%E4%BC%9A%E8%AE%AE%20a%2Bb%26c"
    assert "CheckSum" in seen[0].headers


def test_a_room_that_the_service_calls_ended_is_reported() -> None:
    assert query(answer(code=200, cid=9, stats=3)).ended


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(404, code=404), errors.RoomNotFound),
        (answer(200, code=404, errmsg="room not exist"), errors.RoomNotFound),
        (answer(200, code=504, errmsg="room not found"), errors.ServerFailed),
        (httpx.Response(404, text="nginx"), errors.WrongEndpoint),
        (answer(200, code=200), errors.AnswerUnreadable),
        (answer(200, code=200, cid=9, cname="another"), errors.AnswerUnreadable),
        (answer(503), errors.ServerFailed),
        (answer(200, code=402), errors.NotAuthenticated),
    ],
)
def test_only_a_clear_answer_says_that_there_is_no_room(reply: httpx.Response, kind: type[errors.RtcAiError]) -> None:
    with pytest.raises(errors.RtcAiError) as caught:
        query(reply)
    assert type(caught.value) is kind


def test_the_room_api_cannot_be_asked_with_a_token() -> None:
    with pytest.raises(errors.SettingsError, match="AppSecret"):
        query(answer(code=200, cid=9), app_secret=None, token="t", uid="1")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "ALL_PROXY",
            "socks5://127.0.0.1:1",
            "The proxy in ALL_PROXY is a SOCKS proxy, but SOCKS support is not installed",
        ),
        ("SSL_CERT_FILE", "/nonexistent", "certificates of SSL_CERT_FILE (/nonexistent) cannot be read"),
        ("HTTPS_PROXY", "a:b:c", "The proxy in HTTPS_PROXY is not valid: http://a:b:c"),
    ],
)
def test_an_environment_that_cannot_be_used_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        Client(Settings("key", app_secret="secret"), env={name: value})
    assert said in str(caught.value)


@pytest.mark.parametrize("url", ["http://example\u200b.com", "https://xn--a.com"])
def test_an_endpoint_with_a_character_that_cannot_be_seen_is_named_before_anything_is_sent(url: str) -> None:
    with pytest.raises(errors.SettingsError, match="RTCAI_ENDPOINT is not a valid URL"):
        Client(Settings("key", app_secret="secret", endpoint=url))
    with pytest.raises(errors.SettingsError, match="RTCAI_ROOM_ENDPOINT is not a valid URL"):
        Client(Settings("key", app_secret="secret", room_endpoint=url))


def test_the_setting_to_check_is_the_one_of_the_endpoint_that_failed() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        message = "refused"
        raise httpx.ConnectError(message)

    with pytest.raises(errors.ConnectionFailed, match="RTCAI_ROOM_ENDPOINT"):
        query(handler)
    with pytest.raises(errors.ConnectionFailed, match="RTCAI_ENDPOINT"):
        create(handler)
