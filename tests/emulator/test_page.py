"""The live page over HTTP: who may open it, with which headers, and its events. tests/page tests how it looks."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import httpx
import pytest

from rtcai_pulumi.config.emulator import EmulatorSettings
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.page.ends import EndTimes
from rtcai_pulumi.emulator.page.feed import MAX_READERS, Feed
from rtcai_pulumi.emulator.page.render import PageRenderer
from rtcai_pulumi.emulator.page.rooms import KEPT_ROWS, SHOWN_AGENTS, room_id
from rtcai_pulumi.emulator.state.changes import KEPT_CHANGES
from rtcai_pulumi.emulator.state.service import EmulatedService
from tests.emulator.api import Api, body, close_body
from tests.emulator.raw import until

AGENT = body("agent")["data"]
EVERY_PATH = [
    "/",
    "/?before=5",
    "/-/page/page.js",
    "/-/page/page.css",
    "/-/page/icon.svg",
    "/-/page/events",
    "/-/page/requests",
    "/-/page/requests/1",
    "/-/page/rooms/x",
    "/-/page/nothing",
]
KINDS: tuple[Literal["hang", "half", "reset"], ...] = ("hang", "half", "reset")
FOLLOWED_LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

Event = tuple[str, str, Any]
"""The id, the name and the data of an event."""


@contextmanager
def events(api: Api, since: str = "", **headers: str) -> Iterator[Iterator[Event]]:
    """The events of the page, as a browser receives them."""
    with api.http.stream("GET", "/-/page/events", params={"since": since}, headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield _parsed(answer.iter_lines())


def _parsed(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        assert not line.startswith(":"), "nothing was sent for so long that the connection was tried"
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def cursor(api: Api) -> str:
    """The position up to which a client that opens the page now has seen everything."""
    return api.http.get("/").text.partition('data-cursor="')[2].partition('"')[0]


# --- access ---


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {**FOLLOWED_LINK, "Sec-Fetch-Dest": "iframe"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_another_site_gets_nothing_of_it(api: Api, path: str, headers: dict[str, str]) -> None:
    answer = api.http.get(path, headers=headers)
    assert answer.status_code == 403
    assert "text/plain" in answer.headers["Content-Type"]
    assert api.emulator.requests() == []


def test_a_person_may_follow_a_link_to_it(api: Api) -> None:
    assert api.http.get("/", headers=FOLLOWED_LINK).status_code == 200


@pytest.mark.parametrize("path", EVERY_PATH)
def test_everything_of_it_forbids_what_is_not_its_own(api: Api, path: str) -> None:
    with api.http.stream("GET", path) as answer:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_it_has_no_script_style_or_address_but_its_own(api: Api) -> None:
    api.create()
    text = api.http.get("/").text
    assert "<style" not in text
    assert " style=" not in text
    assert " on" not in "".join(part.partition(">")[0] for part in text.split("<")[1:] if part.startswith("script"))
    assert text.count("<script") == 1
    assert "://" not in text.replace("http://www.w3.org", "")


def test_looking_at_it_is_no_request_to_the_service(api: Api) -> None:
    for path in EVERY_PATH:
        with api.http.stream("GET", path):
            pass
    assert api.emulator.requests() == []


@pytest.mark.parametrize("path", ["/-/page/nothing", "/-/page/rooms/x", "/-/page/requests/1", "/-/page/templates"])
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.http.get(path).status_code == 404


@pytest.mark.parametrize("before", ["x", "-1", "9" * 5000, "", "0"])
def test_a_number_that_makes_no_sense_shows_the_newest(api: Api, before: str) -> None:
    api.create()
    assert 'id="call-1"' in api.http.get("/", params={"before": before}).text


def test_another_method_at_the_root_is_a_request_to_the_service(api: Api) -> None:
    assert api.http.post("/").status_code == 404
    assert len(api.emulator.requests()) == 1


# --- content ---


def test_any_name_can_be_shown(api: Api) -> None:
    for name in ("<b>", "\"'&", "{{7*7}}", "会议室", "\u202eevil", " ", "a\nb"):
        api.emulator.open_room(name)
    text = api.http.get("/").text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text.replace("<b>POST", "")
    assert "{{7*7}}" in text


def test_so_many_rooms_are_shown_and_those_with_an_agent_come_first(api: Api) -> None:
    ended = [
        {"cname": f"ended-{number}", "data": AGENT, "startedAt": "2026-01-01", "endedAt": "2026-01-02"}
        for number in range(KEPT_ROWS + 5)
    ]
    api.emulator.seed(tasks=[*ended, {"cname": "running", "data": AGENT}])
    text = api.http.get("/").text
    assert text.count('<li class="room') == KEPT_ROWS
    assert 'data-name="running"' in text
    assert "6 more rooms" in text


def test_so_many_agents_of_a_room_are_drawn_and_those_that_run_always(api: Api) -> None:
    running = {"cname": "r", "data": AGENT, "taskId": "the-first"}
    ended = [{"cname": "r", "data": AGENT, "state": "ended", "taskId": f"t{number}"} for number in range(60)]
    api.emulator.seed(tasks=[running, *ended])
    text = api.http.get(f"/-/page/rooms/{room_id((api.emulator.app_key, 'r'))}").text
    assert text.count('<details class="agent"') == SHOWN_AGENTS + 1
    assert 'data-task="the-first"' in text
    assert "10 earlier agents are not listed" in text


def test_every_fault_and_setting_is_described_in_words(api: Api) -> None:
    emulator = api.emulator
    emulator.change_settings(dedup="replay", max_rps=50)
    emulator.clock.offset = 90
    emulator.fault("*", "answer-after", status=503)
    emulator.fault("create", "latency", before=1, after=0.5, times=3, skip=2)
    emulator.fault("close", "garbage", form="broken", work=True, times=None)
    emulator.fault("query", "hold", at="worked", cname="<r>")
    for kind in KINDS:
        emulator.fault("create", kind)
    text = " ".join(api.http.get("/").text.split())
    for said in (
        "<code>dedup = &#34;replay&#34;</code>",
        "<code>maxRps = 50</code>",
        "<code>clock +90 s</code>",
        "<b>any request</b> responds with HTTP 503, no JSON body; the request takes effect first",
        "waits 1 s before and 0.5 s after the request takes effect",
        ": 3 requests left, skips the first 2, not applied yet",
        "sends an invalid response (broken); the request takes effect first",
        ": until it is removed, not applied yet",
        "holds the request after it takes effect, for <b>&lt;r&gt;</b>",
        "sends no response until it is released or removed; the request has no effect until then",
        "sends half of the response; the request has no effect",
        "resets the connection; the request has no effect",
    ):
        assert said.replace("&#34;", '"') in text.replace("&#34;", '"')


# --- events ---


def test_a_change_sends_only_the_pieces_that_it_concerns(api: Api) -> None:
    api.create(body(cname="one"))
    with events(api, cursor(api)) as heard:
        api.create(body(cname="two"))
        _, name, update = next(heard)
    assert name == "update"
    assert [room["id"] for room in update["rooms"]] == [room_id((api.emulator.app_key, "two"))]
    assert [request["number"] for request in update["requests"]] == [2]
    assert 'id="call-2"' in update["requests"][0]["html"]


def test_missed_changes_are_sent_from_the_last_received_event(api: Api) -> None:
    with events(api, cursor(api)) as heard:
        api.emulator.open_room("one")
        seen, _, _ = next(heard)
    api.emulator.open_room("two")
    with events(api, "nonsense", **{"Last-Event-ID": seen}) as heard:
        _, name, update = next(heard)
    assert name == "update"
    assert ['data-name="two"' in room["html"] for room in update["rooms"]] == [True]


def test_many_changes_of_one_thing_are_sent_once_in_its_newest_form(api: Api) -> None:
    seen = cursor(api)
    created = api.create(body(cname="r"))
    api.close(close_body(created))
    api.create(body(cname="r"))
    with events(api, seen) as heard:
        _, _, update = next(heard)
    (room,) = update["rooms"]
    assert room["html"].count('class="bar') == 2
    assert [request["number"] for request in update["requests"]] == [1, 2, 3]


def test_a_room_that_is_forgotten_is_sent_as_gone(api: Api) -> None:
    api.emulator.open_room("r")
    seen = cursor(api)
    api.emulator.end_room("r")
    with events(api, seen) as heard:
        _, _, update = next(heard)
    assert update["rooms"] == [{"id": room_id((api.emulator.app_key, "r")), "html": None}]


def test_faults_and_settings_that_have_changed_are_described(api: Api) -> None:
    with events(api, cursor(api)) as heard:
        api.emulator.fault("create", "reset")
        _, _, first = next(heard)
        api.emulator.change_settings(dedup="replay")
        _, _, second = next(heard)
    assert "resets the connection" in first["faults"]
    assert "faults" not in second
    assert "dedup" in second["summary"]


@pytest.mark.parametrize("since", ["", "x", "x:1", "another:5", f"another:{'9' * 5000}", ":", "0"])
def test_a_new_reader_loads_everything(api: Api, since: str) -> None:
    with events(api, since) as heard:
        seen, name, content = next(heard)
    assert (name, content) == ("reload", {})
    assert seen == cursor(api)


def test_a_reader_that_missed_too_much_reloads_everything(api: Api) -> None:
    seen = cursor(api)
    api.emulator.seed(requests=[{"path": "/x"} for _ in range(KEPT_CHANGES + 1)])
    with events(api, seen) as heard:
        assert next(heard)[1] == "reload"


def test_a_page_gets_only_as_many_requests_as_it_shows(api: Api) -> None:
    seen = cursor(api)
    api.emulator.seed(requests=[{"path": "/x"} for _ in range(1000)])
    with events(api, seen) as heard:
        _, _, update = next(heard)
    assert [request["number"] for request in update["requests"]] == list(range(901, 1001))
    assert update["newest"] == 1000


def test_after_a_reset_a_reader_reloads_over_the_same_connection(api: Api) -> None:
    api.create()
    with events(api, cursor(api)) as heard:
        api.emulator.reset()
        assert next(heard)[1] == "reload"
        api.create()
        assert next(heard)[1] == "update"


def test_so_many_may_look_on_at_once_and_who_goes_makes_room(api: Api) -> None:
    def status() -> int:
        with api.http.stream("GET", "/-/page/events") as answer:
            return answer.status_code

    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=api.emulator.url, trust_env=False, limits=limits) as client, ExitStack() as open_ones:
        heard = [open_ones.enter_context(client.stream("GET", "/-/page/events")).iter_raw() for _ in range(MAX_READERS)]
        assert all(next(one).startswith(b"retry:") for one in heard)
        refused = client.get("/-/page/events")
        assert refused.status_code == 503
        assert "close one" in refused.text
        open_ones.close()
        until(lambda: status() == 200)


def test_the_end_of_the_emulator_ends_the_events_in_good_order() -> None:
    with httpx.Client(trust_env=False) as client, Emulator() as emulator:
        asked = client.build_request("GET", f"{emulator.url}/-/page/events")
        answer = client.send(asked, stream=True)
        heard = answer.iter_raw()
        next(heard)
        emulator.__exit__()
        b"".join(heard)  # raises an error if the connection was cut


def test_a_slow_reader_lets_nothing_grow() -> None:
    async def heard() -> tuple[list[str], int]:
        service = EmulatedService.load(EmulatorSettings(), Clock(), None)
        ends = EndTimes(service, None)
        feed = Feed(service, PageRenderer(service, ends), ends)
        stream = feed.events(f"{service.instance}:{service.changes.number}")
        await anext(stream)
        for number in range(3 * KEPT_CHANGES):
            service.state.open_room(f"room-{number % 7}", 0, 1)
            service.changes.touch("room", ("", f"room-{number % 7}"))
        told = [await anext(stream)]
        readers = feed.readers
        await stream.aclose()
        return told, readers - feed.readers

    told, gone = asyncio.run(heard())
    content = json.loads(told[0].partition("data: ")[2])
    assert len(content["rooms"]) == 7
    assert gone == 1
