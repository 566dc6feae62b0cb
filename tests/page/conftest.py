"""A real Chromium. Its page must not log errors or warnings, and may send requests only to the emulator."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, Request, expect, sync_playwright

from rtcai_pulumi.emulator import Emulator
from tests.engine.stack import Stack
from tests.page.view import View
from tools import programs

# Read now, because every test starts from an environment without RTCAI_ variables.
CHROMIUM = programs.CHROMIUM.find(os.environ)
IN_CI = bool(os.environ.get("CI"))

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Only for one module: Playwright runs an event loop in this thread, so other tests could not run one."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    if CHROMIUM is None:
        # In CI, fail: a check that can be missing without notice is not a check.
        (pytest.fail if IN_CI else pytest.skip)(programs.CHROMIUM.how)
    # Debian's Chromium runs as root only without its sandbox. The option avoids using more shared memory than a
    # container has.
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
    """The errors of the page. A test that causes an error on purpose removes it from the list."""
    return []


@pytest.fixture
def page(browser: Browser, wrong: list[str]) -> Iterator[Page]:
    """A page in a fresh browser context. Every error in it fails the test."""
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
