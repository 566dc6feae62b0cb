from concurrent.futures import Executor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.emulator.api import Api, body


def error(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status
    text: str = answer.json()["error"]
    return text


def test_a_fault_is_set_shown_and_removed(api: Api) -> None:
    sent = {"verb": "create", "kind": "answer", "status": 503, "code": 514, "headers": {"Retry-After": "2"}}
    fault = api.http.post("/-/faults", json=sent).json()
    assert fault == {"id": fault["id"], **sent, "times": 1, "left": 1, "applied": 0}
    assert api.http.get("/-/faults").json() == {"faults": [fault]}
    assert api.http.get(f"/-/faults/{fault['id']}").json() == fault
    answer = api.post("/v1/api/task/create", body())
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, 514, "2")
    assert api.http.get(f"/-/faults/{fault['id']}").json() == {**fault, "left": 0, "applied": 1}
    assert api.http.delete(f"/-/faults/{fault['id']}").json() == {"status": "removed"}
    assert api.http.get("/-/faults").json() == {"faults": []}


def test_its_methods_show_what_the_admin_path_shows(api: Api) -> None:
    api.emulator.fault("close", "latency", after=2, times=None, skip=1, cname="r")
    api.emulator.hold("*")
    assert api.http.get("/-/faults").json()["faults"] == api.emulator.faults()
    assert api.http.get("/-/settings").json() == api.emulator.settings()


def test_all_faults_are_removed_at_once(api: Api) -> None:
    for verb in ("create", "close"):
        api.http.post("/-/faults", json={"verb": verb, "kind": "reset", "times": None})
    assert api.http.delete("/-/faults").json() == {"status": "cleared"}
    assert api.emulator.faults() == []
    assert api.create()["code"] == 200


def test_a_reset_removes_the_faults(api: Api) -> None:
    api.http.post("/-/faults", json={"verb": "create", "kind": "reset"})
    api.http.post("/-/reset")
    assert api.emulator.faults() == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "must be valid JSON"),
        (b"{", "must be valid JSON"),
        (b'{"verb": NaN}', "not valid JSON"),
        (b'{"verb": "create", "kind": "reset", "kind": "half"}', "twice"),
        (b"[]", "must be an object"),
        (b'{"verb": "create"}', "kind: must be one of answer"),
        (b'{"verb": "create", "kind": "resett"}', "did you mean reset?"),
        (b'{"kind": "reset"}', "verb: "),
        (
            b'{"verb": "create", "kind": "reset", "wrok": true}',
            "wrok: unknown field; the fields here are verb, kind, times",
        ),
        (b" " * (1024 * 1024 + 1), "larger than"),
    ],
)
def test_what_is_no_fault_is_refused_and_sets_none(api: Api, raw: bytes, reason: str) -> None:
    assert reason in error(api.http.post("/-/faults", content=raw))
    assert api.emulator.faults() == []


def test_a_held_request_can_be_waited_for_and_released(api: Api, apart: Executor) -> None:
    fault = api.http.post("/-/faults", json={"verb": "create", "kind": "hold", "at": "worked"}).json()
    assert (fault["at"], fault["held"]) == ("worked", 0)
    created = apart.submit(api.create)
    held = api.http.get(f"/-/faults/{fault['id']}/held?count=1&timeout=30").json()
    assert (held["held"], held["applied"]) == (1, 1)
    assert len(api.emulator.tasks()) == 1
    assert not created.done()
    assert api.http.post(f"/-/faults/{fault['id']}/release").json()["left"] == 0
    assert created.result(30)["code"] == 200
    assert api.emulator.faults()[0]["held"] == 0


def test_removing_a_hold_releases_it(api: Api, apart: Executor) -> None:
    number = api.http.post("/-/faults", json={"verb": "create", "kind": "hold", "times": None}).json()["id"]
    created = apart.submit(api.create)
    api.http.get(f"/-/faults/{number}/held")
    api.http.delete(f"/-/faults/{number}")
    assert created.result(30)["code"] == 200
    assert api.create()["code"] == 200


def test_waiting_in_vain_is_http_408(api: Api) -> None:
    number = api.http.post("/-/faults", json={"verb": "create", "kind": "hold"}).json()["id"]
    assert "0 of 2 requests" in error(api.http.get(f"/-/faults/{number}/held?count=2&timeout=0.01"), 408)


@pytest.mark.parametrize(
    "query", ["count=0", "count=x", "timeout=0", "timeout=601", "timeout=nan", "cout=1", "count=1.5"]
)
def test_a_wait_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    number = api.http.post("/-/faults", json={"verb": "create", "kind": "hold"}).json()["id"]
    assert query.partition("=")[0] in error(api.http.get(f"/-/faults/{number}/held?{query}"))


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/release"), ("GET", "/held")])
def test_a_fault_that_is_not_set_is_named(api: Api, method: str, path: str) -> None:
    assert "fault 999 does not exist" in error(api.http.request(method, f"/-/faults/999{path}"), 404)


def test_settings_are_shown_and_changed_one_by_one(api: Api) -> None:
    assert api.http.get("/-/settings").json() == {
        "rooms": "auto",
        "dedup": "ignore",
        "maxRps": None,
        "retryAfter": False,
        "startSeconds": 0.0,
        "endSeconds": None,
        "tasksEndWithRoom": True,
    }
    assert api.http.patch("/-/settings", json={"dedup": "replay"}).json()["dedup"] == "replay"
    before = api.http.get("/-/settings").json()
    changed = api.http.patch("/-/settings", json={"maxRps": 50, "rooms": "required", "retryAfter": True}).json()
    assert changed == {**before, "rooms": "required", "dedup": "replay", "maxRps": 50, "retryAfter": True}
    assert api.http.patch("/-/settings", json={"maxRps": None}).json()["maxRps"] is None
    assert api.http.patch("/-/settings", json={}).json() == {**changed, "maxRps": None}


def test_changed_settings_hold_from_the_next_request_on(api: Api) -> None:
    api.http.patch("/-/settings", json={"rooms": "required"})
    assert api.create()["code"] == 404
    api.http.patch("/-/settings", json={"rooms": "auto"})
    assert api.create()["code"] == 200


def test_settings_outlive_a_reset(api: Api) -> None:
    api.http.patch("/-/settings", json={"dedup": "refuse"})
    api.http.post("/-/reset")
    assert api.http.get("/-/settings").json()["dedup"] == "refuse"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"dedup": "always"}, "dedup: .*'ignore', 'replay' or 'refuse', not 'always'"),
        ({"rooms": None}, "rooms: "),
        ({"maxRps": 0}, "maxRps: "),
        ({"maxRps": "50"}, "maxRps: "),
        ({"retryAfter": 1}, "retryAfter: "),
        ({"max_rps": 1}, "max_rps: unknown field; the fields here are rooms, dedup, maxRps, retryAfter"),
        ({"startSeconds": -1}, "startSeconds: "),
        ({"endSeconds": 1e8}, "endSeconds: "),
        ({"tasksEndWithRoom": "yes"}, "tasksEndWithRoom: "),
        ({"allowUnknownFields": True}, "allowUnknownFields: unknown field"),
        ([], "must be an object"),
    ],
)
def test_a_setting_that_makes_no_sense_changes_none(api: Api, value: Any, reason: str) -> None:
    before = api.emulator.settings()
    content = {"retryAfter": True, **value} if isinstance(value, dict) else value
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(error(api.http.patch("/-/settings", json=content)))
    assert api.emulator.settings() == before


@pytest.mark.parametrize("offset", [3600, -400.5, 0])
def test_the_clock_can_be_set(api: Api, offset: float) -> None:
    real = parsedate_to_datetime(api.http.get("/-/health").headers["Date"])
    assert api.http.put("/-/clock", json={"offset": offset}).json()["offset"] == offset
    assert api.emulator.clock.offset == offset
    told = parsedate_to_datetime(api.http.get("/-/clock").headers["Date"])
    assert abs((told - real).total_seconds() - offset) < 30
    assert api.http.get("/-/clock").json()["now"].startswith(f"{told:%Y-%m-%dT%H}")


def test_a_clock_that_is_off_refuses_signatures_and_says_the_time(api: Api) -> None:
    headers = api.signed()
    api.http.put("/-/clock", json={"offset": 301})
    answer = api.post("/v1/api/task/create", body(), headers)
    assert answer.json()["code"] == 402
    off = parsedate_to_datetime(answer.headers["Date"]).timestamp() - float(headers["CurTime"])
    assert off >= 300


@pytest.mark.parametrize(
    "value", [{}, {"offset": "1"}, {"offset": None}, {"offset": 1e10}, {"now": 1}, {"offset": 1, "x": 1}]
)
def test_a_time_that_makes_no_sense_is_refused(api: Api, value: Any) -> None:
    assert error(api.http.put("/-/clock", json=value))
    assert api.emulator.clock.offset == 0
