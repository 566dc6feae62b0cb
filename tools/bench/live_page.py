"""The emulator's live page with many rooms and requests: the time to load it, and the cost of a change."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import CDPSession, Page, sync_playwright

from rtcai_pulumi.emulator import Emulator
from tools.programs import CHROMIUM

AGENT: Final = {"agent": {"agentId": "a", "userId": "u"}}
CHANGES: Final = 40
BETWEEN_MS: Final = 250.0
IDLE_SECONDS: Final = 3.0
_WATCH: Final = """() => {
    window.seen = {};
    new MutationObserver(changes => {
        for (const change of changes) for (const room of change.addedNodes) seen[room.dataset?.name] = Date.now();
    }).observe(document.getElementById("rooms"), {childList: true});
}"""
_PAINTED: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def measure(rooms: int, requests: int, runs: int) -> dict[str, float] | None:
    """Return medians by name, in ms unless the name gives a unit; None if there is no Chromium."""
    path = CHROMIUM.find(os.environ)
    if path is None:
        return None
    with Emulator() as emulator, _browser(path) as page:
        emulator.seed(
            tasks=[{"cname": f"room-{number}", "data": AGENT} for number in range(rooms)],
            requests=[
                {"path": "/v1/api/task/create", "body": {"cname": f"room-{number % rooms}"}}
                for number in range(requests)
            ],
        )
        views = [_view(page, emulator) for _ in range(runs + 1)][1:]  # the first one warms up both sides
        found = {name: statistics.median(view[name] for view in views) for name in views[0]}
        return {**found, **_changes(page, emulator)}


@contextmanager
def _browser(path: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-dev-shm-usage"])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


def _view(page: Page, emulator: Emulator) -> dict[str, float]:
    """Measure one page view, from the request until the page is live."""
    began = time.perf_counter()
    answer = page.goto(emulator.url, wait_until="commit")
    page.locator("#live.on").wait_for()
    live = (time.perf_counter() - began) * 1000
    body = answer.body() if answer else b""
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    return {
        "answer of the server": timing["responseEnd"] - timing["requestStart"],
        "first view": page.evaluate(_PAINTED) or timing["domContentLoadedEventEnd"],
        "live": live,
        "size of the page in kB": len(body) / 1000,
        "elements": page.evaluate("document.querySelectorAll('*').length"),
    }


def _changes(page: Page, emulator: Emulator) -> dict[str, float]:
    """Measure the cost of one more room: the time until it is visible, and the browser's CPU time."""
    page.evaluate(_WATCH)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    idle = _busy(session, page, IDLE_SECONDS)
    before, began, asked = _task_ms(session), time.perf_counter(), {}
    for number in range(CHANGES):
        name = f"new-{number}"
        asked[name] = time.time() * 1000
        emulator.open_room(name)
        # No polling: it would keep the browser busier than the change does.
        page.wait_for_timeout(BETWEEN_MS)
    spent = _task_ms(session) - before - idle * (time.perf_counter() - began)
    seen: dict[str, Any] = page.evaluate("window.seen")
    return {
        "a change, until it is seen": statistics.median(seen[name] - at for name, at in asked.items()),
        "a change, of the browser's time": spent / CHANGES,
        "nothing changes, of the browser's time a second": idle,
    }


def _busy(session: CDPSession, page: Page, seconds: float) -> float:
    """Return the milliseconds a second for which the page keeps the browser busy when nothing changes."""
    before = _task_ms(session)
    page.wait_for_timeout(seconds * 1000)
    return (_task_ms(session) - before) / seconds


def _task_ms(session: CDPSession) -> float:
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"]) * 1000
