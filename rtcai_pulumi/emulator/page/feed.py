"""Sends page changes as server-sent events.

Readers have no queues: each one gets what has changed since its last event, in its newest form. A browser that
reconnects sends its last position (``Last-Event-ID``) and continues from there. If that is too long ago, or belongs to
another emulator, the browser is asked to reload everything.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from rtcai_pulumi.emulator.errors import RequestDropped
from rtcai_pulumi.emulator.page.ends import EndTimes
from rtcai_pulumi.emulator.page.render import PageRenderer
from rtcai_pulumi.emulator.page.requests import PAGE_ROWS
from rtcai_pulumi.emulator.page.rooms import room_id
from rtcai_pulumi.emulator.state.changes import Change
from rtcai_pulumi.emulator.state.service import EmulatedService

MAX_READERS: Final = 24
"""How many readers may be connected at the same time; each browser tab is one."""
_BATCH_SECONDS: Final = 0.05
"""Seconds from a change to its event; changes within this time are sent together."""
_CHECK_SECONDS: Final = 0.5
"""Seconds between checks whether a task has started or ended by itself."""
_KEEP_ALIVE_SECONDS: Final = 10.0
"""Seconds after which something is sent, to notice a disconnected browser."""


class Feed:
    """The events of one emulator."""

    def __init__(self, service: EmulatedService, renderer: PageRenderer, ends: EndTimes) -> None:
        self._service = service
        self._ends = ends
        self._renderer = renderer
        self.readers = 0
        """How many readers are connected now."""

    async def events(self, cursor: str) -> AsyncGenerator[str, None]:
        """Yield the events after a cursor, until the emulator ends."""
        self.readers += 1
        try:
            async for event in self._events(self._parse_cursor(cursor)):
                yield event
        finally:
            self.readers -= 1

    async def _events(self, number_seen: int) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        sent: dict[str, str] = {}
        last_event = time.monotonic()
        while not self._service.waits.ended:
            await self._wait_for_changes(number_seen)
            number = self._service.changes.number
            changes = self._service.changes.since(number_seen)
            if changes is None:
                yield self._format_event("reload", number, {})
                sent.clear()
            elif changes:
                yield self._format_event("update", number, self._collect_update(changes, sent))
            elif time.monotonic() - last_event > _KEEP_ALIVE_SECONDS:
                yield ": \n\n"
            else:
                continue
            number_seen, last_event = number, time.monotonic()

    async def _wait_for_changes(self, number_seen: int) -> None:
        """Wait for a change and for those that follow shortly; at the latest until the next check of the clock."""

        async def wait() -> None:
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await self._service.changes.after(number_seen)
            except TimeoutError:
                return
            await asyncio.sleep(_BATCH_SECONDS)

        try:
            await self._service.waits.until(wait())
        except RequestDropped:
            return  # the emulator was reset, which counts as a change, or has ended
        self._service.advance()
        self._ends.refresh()

    def _collect_update(self, changes: list[Change], sent: dict[str, str]) -> dict[str, Any]:
        """Return the changed pieces; of requests, only as many as the page shows."""
        requests = [change.key for change in changes if change.kind == "request"]
        numbers = sorted(number for number in requests if isinstance(number, int))[-PAGE_ROWS:]
        rooms = [change.key for change in changes if change.kind == "room"]
        update: dict[str, Any] = {
            "now": self._service.clock.now_ms(),
            "rooms": [
                {"id": room_id(key), "html": self._renderer.room(key)} for key in rooms if isinstance(key, tuple)
            ],
            "requests": [
                {"number": number, "html": html} for number in numbers if (html := self._renderer.request(number))
            ],
            "newest": self._service.record.newest,
        }
        for name, html in (("faults", self._renderer.faults()), ("summary", self._renderer.summary())):
            if sent.get(name) != html:
                sent[name] = update[name] = html
        return update

    def _format_event(self, name: str, number: int, content: dict[str, Any]) -> str:
        data = json.dumps(content, ensure_ascii=False)
        return f"id: {self._service.instance}:{number}\nevent: {name}\ndata: {data}\n\n"

    def _parse_cursor(self, cursor: str) -> int:
        """Return the number of a cursor; -1 if it belongs to another emulator, so that everything counts as changed."""
        instance, _, number = cursor.partition(":")
        known = instance == self._service.instance and number.isascii() and number.isdecimal() and len(number) <= 20
        return int(number) if known else -1
