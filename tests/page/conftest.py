"""A real Chromium, and a page in it that must not make a sound on the console nor ask anyone but the emulator."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, Request, expect, sync_playwright

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack
from tests.page.view import View
from tools import chromium

# Now, because every test starts from an environment without RTCAI_ variables.
CHROMIUM = chromium.found(os.environ)
IN_CI = bool(os.environ.get("CI"))

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Not longer than a module: an event loop runs in this thread, beside which other tests could run none."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    if CHROMIUM is None:
        # A check that nobody notices is missing is none.
        (pytest.fail if IN_CI else pytest.skip)(chromium.HOW)
    # Debian's Chromium runs as root without its sandbox only, and needs no more shared memory than a container has.
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-dev-shm-usage"])
    yield browser
    browser.close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Stack:
    return Stack(tmp_path, emulator)


@pytest.fixture
def wrong() -> list[str]:
    """What has gone wrong in the page: a test that does something wrong takes out what it expects."""
    return []


@pytest.fixture
def page(browser: Browser, wrong: list[str]) -> Iterator[Page]:
    """A page of a browser that nobody has used; whatever goes wrong in it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = context.new_page()

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(f"console: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith("http://127.0.0.1:"):
            wrong.append(f"asked for {request.url}")

    def opened(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", heard)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("dialog", opened)
    page.on("request", asked)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def view(page: Page, emulator: Emulator) -> View:
    """The emulator's page, open and live."""
    return View(page, emulator).opened()
