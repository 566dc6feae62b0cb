"""The live page, with methods for what the tests do on it."""

from typing import Self

from playwright.sync_api import Locator, Page, expect

from rtcai_pulumi.emulator import Emulator


class View:
    """One emulator's page in a browser."""

    def __init__(self, page: Page, emulator: Emulator) -> None:
        self.page = page
        self._emulator = emulator

    def opened(self, path: str = "/") -> Self:
        """Open the page, and wait until it is live."""
        self.page.goto(self._emulator.url + path)
        self.live()
        return self

    def live(self) -> None:
        """Wait until it receives changes."""
        expect(self.page.locator("#live")).to_have_text("live")

    @property
    def rooms(self) -> Locator:
        """The rows of all rooms."""
        return self.page.locator("#rooms > li")

    def room(self, name: str) -> Locator:
        """The row of a room."""
        return self.rooms.filter(has=self.page.get_by_role("button", name=name, exact=True))

    def state(self, name: str) -> Locator:
        """The state that is shown for a room."""
        return self.room(name).locator(".state")

    def bars(self, name: str) -> Locator:
        """The agents on the time line of a room."""
        return self.room(name).locator(".bar")

    def opened_room(self, name: str) -> Locator:
        """The expanded list of a room's agents."""
        self.room(name).get_by_role("button", name=name, exact=True).click()
        panel = self.room(name).locator(".panel")
        expect(panel.locator(".agents")).to_be_visible()
        return panel

    def press(self, name: str, button: str, *, confirm: bool = True) -> None:
        """Press a button of a room, and answer the confirmation question."""
        self.room(name).locator(".row").get_by_role("button", name=button).click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name=button if confirm else "Cancel", exact=True).click()
        expect(dialog).to_be_hidden()

    @property
    def calls(self) -> Locator:
        """The rows of the requests that are shown."""
        return self.page.locator("#calls > .call")

    @property
    def faults(self) -> Locator:
        """The faults that are set."""
        return self.page.locator("#faults .set > li")

    def set_fault(self, verb: str, kind: str, **fields: str) -> None:
        """Fill in the form for a fault, and submit it."""
        form = self.page.locator("#fault")
        form.locator("[name=verb]").select_option(verb)
        form.locator("[name=kind]").select_option(kind)
        for name, value in fields.items():
            form.locator(f"[name={name}]").fill(value)
        form.get_by_role("button", name="Set fault").click()
