from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import httpx
import pytest

from rtcai_pulumi.emulator.api.rate_limit import Verb
from tests.emulator.api import Api, body, close_body
from tests.emulator.raw import logged, sent, until

ROOM = "r"
WORKING: list[Verb] = ["create", "close", "room-create", "room-delete"]
LOOKING: list[Verb] = ["query", "members"]


@dataclass
class Request:
    """One request of a verb, ready to be sent, and a check of whether it was executed."""

    send: Callable[[], httpx.Response]
    done: Callable[[], bool]


def request(api: Api, verb: Verb) -> Request:
    """A valid request, with everything that it needs already in place."""
    emulator = api.emulator
    match verb:
        case "create":
            before = len(emulator.tasks())
            content = body(cname=ROOM)
            return Request(
                lambda: api.post("/v1/api/task/create", content), lambda: len(emulator.tasks()) == before + 1
            )
        case "close":
            closing = close_body(api.create(body(cname=ROOM)))
            return Request(
                lambda: api.post("/v1/api/task/close", closing), lambda: emulator.tasks()[-1]["state"] == "ended"
            )
        case "room-create":
            content = {"channelName": ROOM, "mode": 2, "uid": 1}
            return Request(lambda: api.post("/v2/api/room", content), lambda: len(emulator.rooms()) == 1)
        case _:
            emulator.open_room(ROOM)
            method = "DELETE" if verb == "room-delete" else "GET"
            path = "/v3/api/rooms/members" if verb == "members" else "/v3/api/rooms"
            return Request(
                lambda: api.http.request(method, path, params={"cname": ROOM}, headers=api.signed()),
                lambda: verb == "room-delete" and emulator.rooms() == [],
            )


def seen(send: Callable[[], httpx.Response]) -> str:
    """The result that a client sees, in one word."""
    try:
        answer = send()
    except httpx.ReadError as error:
        return "reset" if "reset" in str(error) else str(error)
    except httpx.RemoteProtocolError as error:
        return "half" if "complete message body" in str(error) else str(error)
    try:
        return f"{answer.status_code}, code {answer.json()['code']}"
    except ValueError:
        return f"{answer.status_code}, no JSON"


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("reset", {}, "reset"),
    ("half", {}, "half"),
    ("garbage", {}, "200, no JSON"),
    ("garbage", {"form": "broken"}, "200, no JSON"),
    ("garbage", {"form": "empty"}, "200, no JSON"),
]
Kind = Literal["reset", "half", "garbage"]


@pytest.mark.parametrize("work", [False, True])
@pytest.mark.parametrize(("kind", "parts", "expected"), BROKEN)
@pytest.mark.parametrize("verb", WORKING)
def test_work_is_done_where_the_fault_says_so_and_the_answer_is_spoilt_either_way(
    api: Api, verb: Verb, kind: Kind, parts: Any, expected: str, work: bool
) -> None:
    asked = request(api, verb)
    api.emulator.fault(verb, kind, work=work, **parts)
    assert seen(asked.send) == expected
    assert asked.done() is work


@pytest.mark.parametrize(("kind", "parts", "expected"), BROKEN)
@pytest.mark.parametrize("verb", LOOKING)
def test_looking_at_a_room_is_spoilt_too(api: Api, verb: Verb, kind: Kind, parts: Any, expected: str) -> None:
    asked = request(api, verb)
    api.emulator.fault(verb, kind, **parts)
    assert seen(asked.send) == expected
    assert seen(asked.send) == "200, code 200"


@pytest.mark.parametrize(("kind", "done"), [("answer", False), ("answer-after", True)])
@pytest.mark.parametrize("verb", WORKING)
def test_another_answer_comes_before_the_work_or_after_it(
    api: Api, verb: Verb, kind: Literal["answer", "answer-after"], done: bool
) -> None:
    asked = request(api, verb)
    api.emulator.fault(verb, kind, status=503, code=514)
    assert seen(asked.send) == "503, code 514"
    assert asked.done() is done


@pytest.mark.parametrize("verb", [*WORKING, *LOOKING])
def test_a_fault_for_another_verb_changes_nothing(api: Api, verb: Verb) -> None:
    asked = request(api, verb)
    for other in {*WORKING, *LOOKING} - {verb}:
        api.emulator.fault(other, "reset")
    assert seen(asked.send) == "200, code 200"


@pytest.mark.parametrize("verb", [*WORKING, *LOOKING])
def test_a_star_is_every_verb(api: Api, verb: Verb) -> None:
    asked = request(api, verb)
    api.emulator.fault("*", "answer", status=500)
    assert seen(asked.send) == "500, no JSON"


def test_a_star_is_no_path_that_the_service_does_not_have(api: Api) -> None:
    api.emulator.fault("*", "reset", times=None)
    assert api.http.post("/nowhere").status_code == 404


def test_both_flavours_of_an_operation_are_one_verb(api: Api) -> None:
    api.emulator.fault("create", "answer", code=1)
    answer = api.post("/ai/task/create", body(), api.with_token(body()["cname"]))
    assert answer.json()["code"] == 1


def test_a_code_comes_in_the_documented_form(api: Api) -> None:
    api.emulator.fault("create", "answer", code=1404, errmsg="房间不存在")
    answer = api.post("/v1/api/task/create", body(requestId="mine"))
    assert answer.status_code == 200
    assert answer.json() == {"code": 1404, "errmsg": "房间不存在", "requestId": "mine"}


def test_a_status_alone_comes_without_json_as_from_a_gateway(api: Api) -> None:
    api.emulator.fault("create", "answer", status=502)
    answer = api.post("/v1/api/task/create", body())
    assert (answer.status_code, answer.text) == (502, "Bad Gateway")


@pytest.mark.parametrize("status", [204, 304, 299, 599])
def test_every_status_can_be_answered(api: Api, status: int) -> None:
    api.emulator.fault("create", "answer", status=status)
    assert api.post("/v1/api/task/create", body()).text == ""
    assert api.create()["code"] == 200


def test_headers_are_added_and_take_the_place_of_the_usual_ones(api: Api) -> None:
    headers = {"Retry-After": "7", "CONTENT-TYPE": "text/html", "date": "yesterday", "X-Empty": ""}
    api.emulator.fault("create", "answer", status=429, headers=headers)
    answered = api.post("/v1/api/task/create", body()).headers
    assert answered["retry-after"] == "7"
    assert answered["x-empty"] == ""
    assert answered.get_list("content-type") == ["text/html"]
    assert answered.get_list("date") == ["yesterday"]


def test_a_page_of_html_says_that_it_is_one(api: Api) -> None:
    api.emulator.fault("create", "garbage")
    answer = api.post("/v1/api/task/create", body())
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(("form", "text"), [("broken", '{"code": 200, '), ("empty", "")])
def test_garbage_can_be_announced_as_json(api: Api, form: Literal["broken", "empty"], text: str) -> None:
    api.emulator.fault("create", "garbage", form=form)
    answer = api.post("/v1/api/task/create", body())
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.text.startswith(text)


def test_work_that_is_refused_starts_nothing_and_the_fault_answers_all_the_same(api: Api) -> None:
    api.emulator.fault("create", "answer-after", code=500)
    assert api.create(body(cname=None))["code"] == 500
    assert api.emulator.tasks() == []


def test_a_fault_before_the_work_uses_up_no_nonce(api: Api) -> None:
    headers = api.signed()
    api.emulator.fault("create", "answer", code=500)
    assert [api.create(headers=headers)["code"] for _ in range(3)] == [500, 200, 402]


def times(api: Api) -> tuple[float, float, float]:
    """When the last request arrived, when its task was started, and when it was answered; in seconds from the first."""
    (asked, task) = (api.emulator.requests()[-1], api.emulator.tasks()[-1])
    came, started = (datetime.fromisoformat(text).timestamp() for text in (asked["startedAt"], task["startedAt"]))
    return 0.0, started - came, asked["latencyMs"] / 1000


def test_latency_before_the_work_delays_the_work(api: Api) -> None:
    api.emulator.fault("create", "latency", before=0.1)
    api.create()
    came, started, _ = times(api)
    assert started - came > 0.09


def test_latency_after_the_work_delays_only_the_answer(api: Api) -> None:
    api.emulator.fault("create", "latency", after=0.1)
    api.create()
    _, started, answered = times(api)
    assert answered - started > 0.09


def test_a_slow_service_does_its_work_though_its_client_has_gone(api: Api) -> None:
    api.emulator.fault("create", "latency", before=0.05)
    with logged("HTTP 200, code 200") as answered:
        with sent(api):
            pass
        assert answered.wait(30)
    assert len(api.emulator.tasks()) == 1


@pytest.mark.parametrize("work", [False, True])
@pytest.mark.parametrize("verb", WORKING)
def test_a_hang_ends_when_the_fault_is_removed(api: Api, apart: Executor, verb: Verb, work: bool) -> None:
    asked = request(api, verb)
    number = api.emulator.fault(verb, "hang", work=work)
    hanging = apart.submit(seen, asked.send)
    api.http.get(f"/-/faults/{number}/held")
    assert asked.done() is work
    assert not hanging.done()
    api.emulator.remove_fault(number)
    assert hanging.result(30) == "200, code 200"
    assert asked.done()


@pytest.mark.parametrize("work", [False, True])
def test_a_hang_ends_when_the_client_goes_away_and_no_work_is_done_after_that(api: Api, work: bool) -> None:
    number = api.emulator.fault("create", "hang", work=work)
    with logged("no answer, client gone") as gone:
        with sent(api):
            api.http.get(f"/-/faults/{number}/held")
        assert gone.wait(30)
    api.emulator.clear_faults()
    assert len(api.emulator.tasks()) == work
    assert api.emulator.stats()["inFlight"] == 0
    (entry,) = api.emulator.requests()
    assert (entry["status"], entry["end"]) == (None, "client gone")


@pytest.mark.parametrize("work", [False, True])
def test_a_reset_of_the_emulator_ends_a_hang_and_leaves_no_task(api: Api, apart: Executor, work: bool) -> None:
    number = api.emulator.fault("create", "hang", work=work)
    hanging = apart.submit(seen, request(api, "create").send)
    api.http.get(f"/-/faults/{number}/held")
    api.emulator.reset()
    assert "disconnected" in hanging.result(30)
    assert api.emulator.tasks() == []
    assert api.create()["code"] == 200


def test_a_reset_of_the_emulator_cuts_a_delay_short_and_leaves_no_task(api: Api, apart: Executor) -> None:
    api.emulator.fault("create", "latency", before=3600, times=2)
    with logged("no answer, dropped", 2) as dropped:
        slow = [apart.submit(seen, request(api, "create").send) for _ in range(2)]
        until(lambda: api.emulator.stats()["inFlight"] == 2)
        api.emulator.reset()
        assert dropped.wait(30)
    assert all("disconnected" in result.result(30) for result in slow)
    assert api.emulator.tasks() == []


def test_one_request_is_delayed_held_and_spoilt_by_one_fault_of_each_sort(api: Api, apart: Executor) -> None:
    emulator = api.emulator
    emulator.fault("create", "reset", work=True)
    hold = emulator.hold("create", at="worked")
    emulator.fault("create", "latency", before=0.05)
    result = apart.submit(seen, request(api, "create").send)
    hold.wait()
    assert len(emulator.tasks()) == 1
    assert not result.done()
    hold.release()
    assert result.result(30) == "reset"
    assert [fault["kind"] for fault in emulator.requests()[-1]["faults"]] == ["latency", "hold", "reset"]
    assert emulator.requests()[-1]["latencyMs"] > 45


@pytest.mark.parametrize(
    ("kind", "parts", "end"),
    [
        ("reset", {}, (None, None, "cut: reset")),
        ("half", {}, (None, None, "cut: half")),
        ("garbage", {}, (200, None, "answered")),
        ("answer", {"status": 503}, (503, None, "answered")),
        ("answer", {"code": 9}, (200, 9, "answered")),
        ("latency", {"after": 0.001}, (200, 200, "answered")),
    ],
)
def test_the_record_shows_the_fault_and_how_the_request_ended(api: Api, kind: Any, parts: Any, end: Any) -> None:
    number = api.emulator.fault("create", kind, **parts)
    seen(request(api, "create").send)
    (entry,) = api.emulator.requests()
    assert entry["faults"] == [{"id": number, "kind": kind}]
    assert (entry["status"], entry["code"], entry["end"]) == end
    assert entry["latencyMs"] >= 0


def test_a_request_without_a_fault_is_recorded_as_such(api: Api) -> None:
    api.emulator.fault("create", "reset", skip=1)
    api.create()
    assert (api.emulator.requests()[0]["faults"], api.emulator.requests()[0]["end"]) == ([], "answered")
