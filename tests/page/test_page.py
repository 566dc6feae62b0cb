"""The live page in a real browser: its content and its actions."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.sync_api import Browser, Page, expect

from rtcai_pulumi.emulator import Emulator
from tests.emulator.api import Api, body
from tests.emulator.raw import until
from tests.page.rooms import DATA, HOSTILE, HOSTILE_NAME, agent, changed, many
from tests.page.view import View


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Api]:
    with httpx.Client(base_url=emulator.url, trust_env=False) as http:
        yield Api(emulator, http)


def staged(emulator: Emulator) -> None:
    """One of everything that the page can show."""
    emulator.seed(
        tasks=[
            agent("keynote", 200, 100, endedBy="close"),
            agent("keynote", 90, data=changed(tts={"speed": 1.5})),
            agent("workshop", 150),
            agent("workshop", 50),
            agent("lobby", 120, 60, endedBy="itself"),
            agent(HOSTILE_NAME, 30),
        ],
        requests=[
            {"path": "/v1/api/task/create", "body": body(cname="keynote"), "latencyMs": 12},
            {"path": "/v1/api/task/close", "code": 404, "body": {"cid": 1}},
            {"path": "/v1/api/task/create", "status": 503, "code": None, "faults": [{"id": 1, "kind": "answer"}]},
            {"path": "/v1/api/task/create", "status": None, "code": None, "end": "cut: reset"},
        ],
    )
    emulator.fault("create", "answer", code=611, errmsg=HOSTILE, times=None)
    emulator.fault("close", "hold", times=2)


# --- rooms ---


def test_a_room_says_in_words_and_on_a_line_what_there_is(emulator: Emulator, view: View) -> None:
    staged(emulator)
    expect(view.state("keynote")).to_have_text("Running")
    expect(view.state("workshop")).to_have_text("2 agents at the same time")
    expect(view.state("lobby")).to_have_text("Ended")
    assert view.room("keynote").locator(".line").get_attribute("aria-label") == (
        "Time line of keynote: 2 agents, 1 gap"
    )
    assert view.room("workshop").locator(".line").get_attribute("aria-label") == (
        "Time line of workshop: 2 agents, 1 overlap"
    )
    expect(view.room("keynote").locator("time")).to_have_text(re.compile(r"^1 min \d+ s$"))


def test_bars_stand_where_their_times_are(emulator: Emulator, page: Page) -> None:
    emulator.seed(tasks=[agent("r", 200, 100), agent("r", 60)])
    view = View(page, emulator).opened()
    boxes = [bar.bounding_box() for bar in view.bars("r").all()]
    line = view.room("r").locator(".line").bounding_box()
    assert line
    past, running = (box for box in boxes if box)
    # The time line is four minutes wide: the first agent from 200 s to 100 s ago, the second from 60 s ago.
    assert (past["x"] - line["x"]) / line["width"] == pytest.approx(40 / 240, abs=0.06)
    assert past["width"] / line["width"] == pytest.approx(100 / 240, abs=0.02)
    assert (running["x"] - line["x"]) / line["width"] == pytest.approx(180 / 240, abs=0.06)


def test_time_passes_without_redrawing_a_bar(emulator: Emulator, page: Page) -> None:
    emulator.seed(tasks=[agent("r", 10)])
    view = View(page, emulator).opened()
    line, bar = view.room("r").locator(".line"), view.bars("r").element_handle()
    before = line.get_attribute("viewBox")
    expect(line).not_to_have_attribute("viewBox", before or "")
    assert view.bars("r").element_handle().evaluate("(one, other) => one === other", bar)


def test_rooms_are_in_the_order_of_their_names_also_those_that_come_later(emulator: Emulator, view: View) -> None:
    emulator.seed(tasks=[agent("room-10", 1), agent("room-9", 1)])
    expect(view.rooms).to_have_count(2)
    emulator.seed(tasks=[agent("room-9b", 1), agent("a", 1)])
    expect(view.rooms.locator(".name")).to_have_text(["a", "room-9", "room-9b", "room-10"])


def test_a_room_that_is_forgotten_goes(emulator: Emulator, view: View) -> None:
    emulator.open_room("r")
    expect(view.state("r")).to_have_text("Open, no agent")
    emulator.end_room("r")
    expect(view.rooms).to_have_count(0)
    expect(view.page.locator("#no-rooms")).to_be_visible()


def test_a_task_that_starts_and_ends_by_itself_shows_without_a_request(
    emulator: Emulator, api: Api, view: View
) -> None:
    emulator.change_settings(start_seconds=60, end_seconds=60)
    api.create(body(cname="r"))
    expect(view.state("r")).to_have_text("Starting")
    emulator.clock.offset = 61
    expect(view.state("r")).to_have_text("Running")
    emulator.clock.offset = 121
    expect(view.state("r")).to_have_text("Open, no agent")


def test_an_agent_whose_room_is_gone_is_reported(emulator: Emulator, api: Api, view: View) -> None:
    api.create(body(cname="r"))
    emulator.end_room("r", end_tasks=False)
    expect(view.state("r")).to_have_text("Running, its room has ended")


def test_a_row_that_is_open_stays_so_and_is_kept_up_to_date(emulator: Emulator, api: Api, view: View) -> None:
    api.create(body(cname="r"))
    panel = view.opened_room("r")
    expect(panel.locator(".agent")).to_have_count(1)
    api.create(body(cname="r", data=changed(llm={"temperature": 0.1})))
    expect(panel.locator(".agent")).to_have_count(2)
    expect(panel.locator(".changed tbody tr")).to_have_text(re.compile(r"llm\.temperature\s*0\.8\s*0\.1"))


def test_the_window_and_the_name_that_is_looked_for_can_be_chosen(emulator: Emulator, view: View) -> None:
    emulator.seed(tasks=[agent("keynote", 3000), agent("lobby", 10)])
    expect(view.rooms).to_have_count(2)
    axis = view.page.locator("#axis span")
    expect(axis).to_have_text(["−1 h", "−45 min", "−30 min", "−15 min", "now"])
    view.page.get_by_label("Show").select_option("60")
    expect(axis).to_have_text(["−1 min", "−45 s", "−30 s", "−15 s", "now"])
    view.page.get_by_label("Show").select_option("fit")
    view.page.get_by_label("Find").fill("LOB")
    expect(view.room("lobby")).to_be_visible()
    expect(view.room("keynote")).to_be_hidden()
    expect(axis.first).to_have_text("−1 min")
    view.page.get_by_label("Find").fill("nobody")
    expect(view.page.locator("#none-found")).to_be_visible()


# --- hostile text ---


def test_names_prompts_and_messages_are_text_whatever_is_in_them(emulator: Emulator, api: Api, view: View) -> None:
    hostile = {"llmVendor": 1, "role": 0, "customPrompt": HOSTILE}
    emulator.fault("close", "answer", code=600, errmsg=HOSTILE)
    api.create(body(cname=HOSTILE_NAME, requestId=HOSTILE, data={**DATA, "llm": hostile}))
    api.close({"cid": 1, "taskType": 7, "taskId": HOSTILE})
    api.http.get(f"/{HOSTILE_NAME}", params={HOSTILE: HOSTILE})
    emulator.fault("create", "latency", before=1, cname=HOSTILE)
    panel = view.opened_room(HOSTILE_NAME)
    expect(panel.get_by_role("row").filter(has_text="customPrompt").locator("td")).to_have_text(HOSTILE)
    expect(view.calls.locator(".errmsg").first).to_have_text(HOSTILE)
    expect(view.faults.nth(1)).to_contain_text(HOSTILE)
    for row in view.calls.all():
        row.locator("button").click()
    expect(view.page.locator("#calls > .more")).to_have_count(3)
    # Content reaches the page in two ways, both tested here: as a piece, and with the whole page.
    view.press(HOSTILE_NAME, "End room", confirm=False)
    view.opened()
    assert view.page.locator("img").count() == 0
    assert view.page.locator("script").count() == 1


def test_the_page_s_own_policy_would_stop_a_script_that_got_through(view: View, wrong: list[str]) -> None:
    put = """html => {
        const element = document.createElement("div");
        element.innerHTML = html;
        document.body.append(element);
    }"""
    with view.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        view.page.evaluate(put, "<img src='/-/page/icon.svg' onload='document.title = \"changed\"'>")
    expect(view.page.locator("img")).to_be_visible()
    assert "Content Security Policy" in wrong.pop()
    expect(view.page).to_have_title("RTC AI emulator")


# --- requests ---


def test_requests_show_how_they_went(emulator: Emulator, view: View) -> None:
    staged(emulator)
    expect(view.calls.locator(".code")).to_have_text(
        ["no response (connection reset)", "HTTP 503, no JSON body", "404", "200"]
    )
    expect(view.calls.last.locator("td").nth(2)).to_have_text("keynote")
    expect(view.calls.last.locator("td").last).to_have_text("12.0")


def test_secrets_are_masked(emulator: Emulator, api: Api, view: View) -> None:
    emulator.seed(
        requests=[{"path": "/x", "query": {"token": "canary-1", "a": "b"}, "body": {"llm": {"apiKey": "canary-2"}}}]
    )
    headers = api.signed()
    with Emulator(allow_unknown_fields=True) as loose:
        for one in (emulator, loose):
            with httpx.Client(base_url=one.url, trust_env=False) as http:
                data = {**DATA, "extra": {"clientSecret": "canary-3"}}
                Api(one, http).create(body(cname="r", data=data), headers if one is emulator else None)
        expect(view.calls.locator(".code")).to_have_text(["601", "200"])
        view.calls.first.locator("button").click()
        messages = view.page.locator(".message")
        expect(messages).to_contain_text("CheckSum")
        assert headers["CheckSum"] not in view.page.content()
        view.calls.last.locator("button").click()
        expect(messages).to_have_count(2)
        expect(view.calls.last).to_contain_text("token=••••••")
        text = view.page.content()
        other = View(view.page, loose).opened()
        other.opened_room("r")
        expect(other.room("r")).to_contain_text("extra.clientSecret")
        text += view.page.content()
    assert not re.search(r"canary-\d", text)


def test_older_requests_are_reached_page_by_page(emulator: Emulator, page: Page) -> None:
    emulator.seed(**many(1, 250))
    view = View(page, emulator).opened()
    expect(view.calls).to_have_count(100)
    expect(page.locator("#range")).to_have_text("151–250 of 250")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#range")).to_have_text("51–150 of 250")
    emulator.seed(requests=[{"path": "/new"}])
    expect(page.get_by_role("link", name="Newest")).to_have_text(re.compile(r"\(1 new\)"))
    expect(page.locator("#range")).to_have_text("51–150 of 250")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#range")).to_have_text("1–50 of 251")
    expect(page.get_by_role("link", name="Older")).to_be_hidden()
    page.reload()
    expect(page.locator("#range")).to_have_text("1–50 of 251")
    page.get_by_role("link", name="Newest").click()
    expect(view.calls.first).to_contain_text("/new")
    expect(page.locator("#range")).to_have_text("152–251 of 251")


def test_no_more_rows_are_kept_than_are_shown_at_once(emulator: Emulator, view: View) -> None:
    for start in range(0, 1000, 100):
        emulator.seed(requests=[{"path": f"/{number}"} for number in range(start, start + 100)])
    expect(view.page.locator("#range")).to_have_text("901–1000 of 1000")
    expect(view.calls).to_have_count(100)
    expect(view.calls.first).to_contain_text("/999")
    expect(view.calls.last).to_contain_text("/900")


# --- actions ---


def test_an_agent_is_ended_after_a_question(emulator: Emulator, view: View) -> None:
    emulator.seed(tasks=[agent("r", 5)])
    view.press("r", "End agent", confirm=False)
    assert [task["state"] for task in emulator.tasks()] == ["running"]
    view.press("r", "End agent")
    expect(view.state("r")).to_have_text("Open, no agent")
    assert [task["endedBy"] for task in emulator.tasks()] == ["admin"]


def test_one_of_several_agents_is_ended_where_they_are_listed(emulator: Emulator, view: View) -> None:
    emulator.seed(tasks=[agent("r", 9, taskId="old"), agent("r", 5, taskId="new")])
    panel = view.opened_room("r")
    panel.locator('[data-task="old"]').get_by_role("button", name="End this agent").click()
    view.page.get_by_role("dialog").get_by_role("button", name="End agent").click()
    expect(view.state("r")).to_have_text("Running")
    assert {task["taskId"]: task["state"] for task in emulator.tasks()} == {"old": "ended", "new": "running"}


def test_a_room_of_another_account_is_ended_in_that_account(page: Page) -> None:
    with Emulator(accounts={"second": "s"}) as emulator:
        for app_key in (emulator.app_key, "second"):
            emulator.open_room("r", app_key=app_key)
        view = View(page, emulator).opened()
        view.rooms.filter(has_text="second").get_by_role("button", name="End room").click()
        page.get_by_role("dialog").get_by_role("button", name="End room").click()
        expect(view.rooms).to_have_count(1)
        assert [room["appKey"] for room in emulator.rooms()] == [emulator.app_key]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("answer", {"status": "503"}, {"kind": "answer", "status": 503}),
        ("answer-after", {"status": "200", "code": "611"}, {"kind": "answer-after", "code": 611}),
        ("latency", {"before": "1.5", "times": ""}, {"kind": "latency", "before": 1.5, "times": None}),
        ("hang", {}, {"kind": "hang"}),
        ("half", {"skip": "2"}, {"kind": "half", "skip": 2}),
        ("reset", {"cname": "r"}, {"kind": "reset", "cname": "r"}),
        ("garbage", {}, {"kind": "garbage"}),
        ("hold", {"times": "3"}, {"kind": "hold", "times": 3}),
    ],
)
def test_every_kind_of_fault_can_be_set(
    emulator: Emulator, view: View, kind: str, fields: dict[str, str], expected: dict[str, Any]
) -> None:
    view.set_fault("close", kind, **fields)
    expect(view.faults).to_have_count(1)
    (fault,) = emulator.faults()
    assert fault.items() >= {"verb": "close", **expected}.items()


def test_a_fault_that_makes_no_sense_says_why(emulator: Emulator, view: View, wrong: list[str]) -> None:
    view.set_fault("create", "answer", status="503", code="", errmsg="text")
    expect(view.page.get_by_role("alert")).to_have_text("errmsg: needs a code")
    assert emulator.faults() == []
    # The browser itself logs every answer with an error status.
    assert "400 (Bad Request)" in wrong.pop()


def test_what_a_fault_holds_is_released(emulator: Emulator, view: View) -> None:
    emulator.fault("create", "hold", times=2)
    view.faults.get_by_role("button", name="Release").click()
    expect(view.faults).to_contain_text("used up")
    emulator.fault("create", "reset")
    view.page.get_by_role("button", name="Remove all").click()
    expect(view.faults).to_have_count(0)


def test_a_fault_for_one_room_begins_at_that_room(emulator: Emulator, view: View) -> None:
    emulator.seed(tasks=[agent("keynote", 5)])
    view.opened_room("keynote").get_by_role("button", name="Set a fault for this room").click()
    expect(view.page.get_by_label("Only in room")).to_have_value("keynote")
    expect(view.page.locator("#fault [name=verb]")).to_be_focused()


# --- live ---


def test_it_comes_back_with_another_emulator_on_the_same_port(page: Page) -> None:
    with Emulator() as first:
        first.seed(tasks=[agent("before", 5)])
        view = View(page, first).opened()
        port = httpx.URL(first.url).port or 0
    expect(page.locator("#live")).to_have_text("reconnecting …")
    with Emulator(port=port) as second:
        second.seed(tasks=[agent("after", 5)])
        expect(view.state("after")).to_have_text("Running")
        expect(view.rooms).to_have_count(1)
        view.live()


def test_a_reset_empties_it(emulator: Emulator, view: View) -> None:
    staged(emulator)
    expect(view.rooms).to_have_count(4)
    emulator.reset()
    expect(view.rooms).to_have_count(0)
    expect(view.calls).to_have_count(0)
    expect(view.faults).to_have_count(0)
    view.live()


def test_a_hidden_tab_disconnects_and_later_continues(emulator: Emulator, view: View) -> None:
    # Headless tabs are never hidden, so the test replaces what the browser reports to the page.
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    view.page.evaluate(hide, True)
    expect(view.page.locator("#live")).to_have_text("paused")
    emulator.seed(tasks=[agent("r", 5)])
    view.page.evaluate(hide, False)
    expect(view.state("r")).to_have_text("Running")


def test_without_scripts_it_shows_how_things_stand(browser: Browser, emulator: Emulator) -> None:
    staged(emulator)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(emulator.url)
    expect(page.locator("#rooms > li")).to_have_count(4)
    expect(page.locator("#calls > tr")).to_have_count(4)
    expect(page.locator("noscript")).to_have_count(1)
    context.close()


# --- accessibility ---


def test_everything_can_be_done_with_the_keyboard(emulator: Emulator, page: Page) -> None:
    emulator.seed(tasks=[agent("keynote", 5)])
    view = View(page, emulator).opened()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the rooms")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    name = page.get_by_role("button", name="keynote", exact=True)
    expect(name).to_be_focused()
    page.keyboard.press("Enter")
    expect(view.room("keynote").locator(".agent")).to_be_visible()
    expect(name).to_have_attribute("aria-expanded", "true")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(view.room("keynote").locator("[data-act=end-room]")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(view.room("keynote").locator("[data-act=end-room]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("dialog").get_by_role("button", name="End room")).to_be_focused()
    page.keyboard.press("Enter")
    expect(view.state("keynote")).to_have_text("Ended")


def test_a_question_that_is_asked_again_at_once_is_answered(emulator: Emulator, page: Page) -> None:
    emulator.seed(tasks=[agent("keynote", 5)])
    view = View(page, emulator).opened()
    # In one task of the browser: the event of the first close must come after the second question.
    page.evaluate(
        """() => {
            const button = document.querySelector("[data-act=end-room]");
            button.click();
            document.getElementById("ask").close();
            button.click();
        }"""
    )
    page.get_by_role("dialog").get_by_role("button", name="End room").click()
    expect(view.state("keynote")).to_have_text("Ended")


def test_an_update_leaves_the_focus_where_it_is(emulator: Emulator, view: View) -> None:
    emulator.seed(tasks=[agent("r", 5, taskId="t")])
    button = view.room("r").locator("[data-act=end-room]")
    button.focus()
    emulator.seed(tasks=[agent("r", 4, taskId="u")])
    expect(view.state("r")).to_have_text("2 agents at the same time")
    expect(button).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_serious_hinders_those_who_see_or_hear_it_otherwise(
    emulator: Emulator, page: Page, scheme: Any, width: int
) -> None:
    staged(emulator)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    view = View(page, emulator).opened()
    view.opened_room("keynote")
    view.calls.last.locator("button").click()
    expect(page.locator(".message")).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found] == []
    view.room("keynote").locator(".row [data-act=end-room]").click()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_small_screen_needs_no_sideways_scrolling(emulator: Emulator, page: Page, width: int) -> None:
    staged(emulator)
    emulator.seed(tasks=[agent("x" * 64, 5)])
    page.set_viewport_size({"width": width, "height": 800})
    view = View(page, emulator).opened()
    view.opened_room("keynote")
    view.calls.last.locator("button").click()
    expect(page.locator(".message")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_two_hundred_rooms_and_five_thousand_requests_are_changed_piece_by_piece(
    emulator: Emulator, page: Page
) -> None:
    emulator.seed(**many(200, 5000))
    view = View(page, emulator).opened()
    expect(view.rooms).to_have_count(200)
    expect(view.calls).to_have_count(100)
    page.evaluate("for (const row of document.querySelectorAll('#rooms > li, #calls > tr')) row.seen = true")
    emulator.seed(tasks=[agent("room-100", 1)], requests=[{"path": "/new"}])
    expect(view.state("room-100")).to_have_text("2 agents at the same time")
    expect(view.calls.first).to_contain_text("/new")
    untouched = "[...document.querySelectorAll('#rooms > li, #calls > tr')].filter(row => row.seen).length"
    assert page.evaluate(untouched) == 200 + 99


# --- ends ---


class Ends:
    """When agents are to end, as a journal would say it."""

    def __init__(self) -> None:
        self.by_task: dict[tuple[int, str], str] = {}
        self.failure: str | None = None
        self.reads = 0

    def read(self) -> dict[tuple[int, str], str]:
        self.reads += 1
        if self.failure:
            raise OSError(self.failure)
        return self.by_task

    def set(self, emulator: Emulator, cname: str, **distance: float) -> None:
        """Give the newest agent of a room an end at this distance from the emulator's time."""
        [*_, task] = [task for task in emulator.tasks() if task["cname"] == cname]
        end = datetime.fromtimestamp(emulator.clock.now(), UTC) + timedelta(**distance)
        self.by_task = {**self.by_task, (int(task["cid"]), task["taskId"]): end.isoformat()}


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def ending(ends: Ends) -> Iterator[Emulator]:
    with Emulator(read_ends=ends.read) as emulator:
        yield emulator


def test_an_end_is_shown_and_counts_down_to_over(ending: Emulator, ends: Ends, page: Page) -> None:
    staged(ending)
    ends.set(ending, "keynote", hours=2, minutes=10, seconds=30)
    ends.set(ending, "workshop", hours=-3)
    ends.set(ending, "lobby", hours=-1)
    view = View(page, ending).opened()
    end = view.room("keynote").locator(".row .end")
    expect(end).to_have_text("ends in 2 h 10 min")
    expect(view.room("workshop").locator(".row .over")).to_have_text("over for 3 h")
    expect(view.room("lobby").locator(".row .end")).to_have_count(0)
    expect(view.room(HOSTILE_NAME).locator(".row .end")).to_have_count(0)
    ending.clock.offset += 3 * 3600
    page.reload()
    expect(end).to_have_text(re.compile("^over for 49 min "))
    expect(end).to_have_class("end over")


def test_the_end_of_each_agent_is_among_its_facts(ending: Emulator, ends: Ends, page: Page) -> None:
    staged(ending)
    ends.set(ending, "keynote", hours=1, seconds=30)
    ends.set(ending, "lobby", hours=-1)
    view = View(page, ending).opened()
    expect(view.room("keynote").locator(".row .end")).to_have_text("ends in 1 h")
    facts = view.opened_room("keynote").locator(".agent").first.locator("dl.facts")
    expect(facts).to_contain_text("Is to end")
    expect(facts.locator(".end")).to_have_text("ends in 1 h")
    expect(view.opened_room("lobby").locator("dl.facts")).to_contain_text("Was to end")


def test_a_moved_or_removed_end_is_shown_without_reloading(ending: Emulator, ends: Ends, page: Page) -> None:
    staged(ending)
    ends.set(ending, "keynote", hours=1, seconds=30)
    view = View(page, ending).opened()
    end = view.room("keynote").locator(".row .end")
    expect(end).to_have_text("ends in 1 h")
    ends.set(ending, "keynote", hours=5, seconds=30)
    expect(end).to_have_text("ends in 5 h")
    ends.by_task = {}
    expect(end).to_have_count(0)


def test_ends_that_cannot_be_read_are_a_warning_in_the_log(
    ending: Emulator, ends: Ends, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    staged(ending)
    ends.set(ending, "keynote", hours=1, seconds=30)
    view = View(page, ending).opened()
    end = view.room("keynote").locator(".row .end")
    expect(end).to_have_text("ends in 1 h")
    ends.failure = "the journal is locked"
    reads = ends.reads
    until(lambda: ends.reads >= reads + 3)  # it is reported once, not at each read
    assert [record.getMessage() for record in caplog.records if record.name.endswith("page.ends")] == [
        "The live page cannot show when agents end: the journal is locked"
    ]
    expect(end).to_have_text(re.compile("^ends in "))  # the last known one
    ends.failure = None
    ends.by_task = {}
    expect(end).to_have_count(0)
