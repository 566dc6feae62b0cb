"""The page while the real engine works: agents, a replacement, a fault, drift."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.stores import open_read_only
from rtcai_pulumi.maintenance.agents import read_ends
from tests.cli.test_ls import in_hours
from tests.engine.service import calls
from tests.engine.stack import PROJECT, Stack
from tests.engine.test_up import one_room
from tests.page.view import View

pytestmark = pytest.mark.full("more of what the page shows; tests/page/test_page.py tries the page itself every day")

SCREENSHOTS = os.environ.get("RTCAI_SCREENSHOTS") == "1"
IMAGES = PROJECT / "docs" / "images"
ROOMS = ["keynote", "lobby", "workshop"]


def rooms(**speeds: float) -> str:
    """A program with an agent in each room. A changed speed is a changed configuration."""
    blocks = [
        one_room(cname=name, tts=f", speed={speeds.get(name, 1)}").replace('"host"', f'"{name}-host"') for name in ROOMS
    ]
    return "".join(blocks)


def save_screenshot(part: Page | Locator, name: str) -> None:
    """Save a screenshot for the README if requested. The tests themselves do not change the checkout."""
    if SCREENSHOTS:
        IMAGES.mkdir(exist_ok=True)
        part.screenshot(path=IMAGES / f"{name}.png")


@pytest.mark.everyday
def test_agents_appear_as_up_starts_them(stack: Stack, emulator: Emulator, view: View) -> None:
    stack.program(rooms())
    hold = emulator.hold("create", cname="workshop")
    with ThreadPoolExecutor() as pool, hold:
        up = pool.submit(stack.up)
        expect(view.state("keynote")).to_have_text("Running")
        expect(view.state("lobby")).to_have_text("Running")
        expect(view.calls.filter(has_text="in flight")).to_have_count(1)
        expect(view.rooms).to_have_count(2)
        assert not up.done()
        hold.release()
        up.result().succeeded()
    expect(view.state("workshop")).to_have_text("Running")
    expect(view.page.locator("#agents")).to_have_text("3")
    expect(view.calls).to_have_count(3)


def test_a_replacement_shows_with_what_has_changed(stack: Stack, emulator: Emulator, view: View) -> None:
    stack.program(rooms())
    stack.up().succeeded()
    stack.program(rooms(keynote=1.5))
    stack.up().succeeded()
    expect(view.bars("keynote")).to_have_count(2)
    expect(view.room("keynote").locator(".gap")).to_have_count(1)
    expect(view.bars("lobby")).to_have_count(1)
    panel = view.opened_room("keynote")
    changed = panel.locator(".changed tbody tr")
    expect(changed).to_have_count(1)
    expect(changed.locator("th, td")).to_have_text(["tts.speed", "1", "1.5"])
    expect(panel.locator(".agent").nth(1)).to_contain_text("closed by the API")
    expect(panel.locator(".between").first).to_contain_text("after the previous agent had ended")


def test_a_replacement_that_starts_first_shows_as_an_overlap(stack: Stack, emulator: Emulator, view: View) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    stack.program(one_room(tts=", speed=2", more=", replace_strategy='start-first'"))
    hold = emulator.hold("close")
    with ThreadPoolExecutor() as pool, hold:
        up = pool.submit(stack.up)
        expect(view.state("keynote")).to_have_text("2 agents at the same time")
        hold.release()
        up.result().succeeded()
    expect(view.state("keynote")).to_have_text("Running")
    expect(view.room("keynote").locator(".overlap")).to_have_count(1)


def test_a_fault_that_is_set_on_the_page_makes_the_next_up_fail_as_described(
    stack: Stack, emulator: Emulator, view: View
) -> None:
    stack.program(rooms())
    view.set_fault("create", "answer", status="200", code="611", errmsg="no subtitle permission", cname="lobby")
    expect(view.faults).to_contain_text(
        "responds with HTTP 200, code 611, “no subtitle permission”; the request has no effect"
    )
    run = stack.up().failed()
    assert "service code: 611" in run.output
    assert "no subtitle permission" in run.output
    refused = view.calls.filter(has=view.page.locator(".code", has_text="611"))
    expect(refused).to_have_count(1)
    expect(refused).to_contain_text("no subtitle permission")
    expect(refused).to_contain_text("fault 1: answer")
    expect(view.faults).to_contain_text("used up, applied once")
    view.faults.get_by_role("button", name="Remove").click()
    expect(view.faults).to_have_count(0)
    stack.up().succeeded()
    expect(view.state("lobby")).to_have_text("Running")


def test_ending_a_room_on_the_page_is_drift_to_refresh(stack: Stack, emulator: Emulator, view: View) -> None:
    stack.program(rooms())
    stack.up().succeeded()
    view.press("keynote", "End room")
    expect(view.state("keynote")).to_have_text("Ended")
    expect(view.page.locator("#said")).to_have_text("Ended the room keynote.")
    assert "1 deleted" in stack.refresh().succeeded().output
    assert sorted(stack.conversations()) == ["lobby-host", "workshop-host"]
    expect(view.calls.filter(has_text="/v3/api/rooms").filter(has_text="404").first).to_be_visible()
    stack.up().succeeded()
    expect(view.state("keynote")).to_have_text("Running")
    expect(view.bars("keynote")).to_have_count(2)


def test_the_end_in_a_program_shows_and_moves(tmp_path: Path, page: Page) -> None:
    journal = open_read_only(tmp_path / "journal.db")
    with Emulator(read_ends=lambda: read_ends(journal)) as emulator, closing(journal):
        stack = Stack(tmp_path, emulator)
        view = View(page, emulator).opened()
        end = view.room("keynote").locator(".row .end")
        for hours in (2, 5):
            stack.program(one_room(more=f", ends_at={in_hours(hours + 0.1)!r}"))
            stack.up().succeeded()
            expect(end).to_have_text(re.compile(f"^ends in {hours} h"))
        assert calls(emulator) == ["create"]


@pytest.mark.parametrize(("name", "width", "height"), [("page", 1280, 860), ("page-phone", 390, 780)])
def test_a_day_at_an_event_for_the_readme(
    stack: Stack, emulator: Emulator, page: Page, tmp_path: Path, name: str, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    stack.program(rooms())
    stack.up().succeeded()
    emulator.clock.offset = 60
    stack.program(rooms(keynote=1.5))
    emulator.fault("close", "latency", after=1)
    stack.up().succeeded()
    emulator.clock.offset = 120
    emulator.end_room("lobby")
    emulator.fault("create", "answer", code=611, errmsg="no subtitle permission", status=200, cname="lobby")
    stack.refresh().succeeded()
    stack.up().failed()
    emulator.clock.offset = 140
    stack.up().succeeded()
    emulator.clock.offset = 190
    view = View(page, emulator).opened()
    for room in ROOMS:
        expect(view.state(room)).to_have_text("Running")
    expect(view.calls.filter(has=view.page.locator(".code", has_text="611"))).to_have_count(1)
    save_screenshot(page, name)
    if name == "page":
        view.opened_room("keynote")
        save_screenshot(view.room("keynote"), "page-agent")
