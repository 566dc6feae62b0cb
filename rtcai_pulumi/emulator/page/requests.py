"""What the page shows about one request."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from rtcai_pulumi.emulator.admin.request_log import RequestEntry
from rtcai_pulumi.emulator.page.format import MASK, is_secret, mask
from rtcai_pulumi.emulator.state.service import EmulatedService

PAGE_ROWS: Final = 100
"""How many requests are shown at a time."""
_SIGNATURES: Final = ("CheckSum", "Token")
"""Headers that prove the sender: the page shows that they were sent, never their values."""

_ENDS: Final = {
    "client gone": "client disconnected",
    "dropped": "emulator reset or stopped",
    "cut: half": "connection closed after half of it",
    "cut: reset": "connection reset",
}
"""How a request ended, for people; the log and the admin API have the short form."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """One row of the page."""

    entry: RequestEntry
    room: str | None
    """Name of the room that the request is about, if it is known."""

    @property
    def number(self) -> int:
        """Position in order of arrival."""
        return self.entry.number

    @property
    def time(self) -> str:
        """Time of arrival, UTC, to the millisecond."""
        return datetime.fromtimestamp(self.entry.started, UTC).strftime("%H:%M:%S.%f")[:-3]

    @property
    def query(self) -> str:
        """The query with its question mark, secrets masked."""
        pairs = [f"{name}={MASK if is_secret(name) else value}" for name, value in self.entry.call.query]
        return f"?{'&'.join(pairs)}" if pairs else ""

    @property
    def outcome(self) -> Literal["waiting", "good", "refused", "failed", "cut"]:
        """The result in one word."""
        entry = self.entry
        if entry.end is None:
            return "waiting"
        if entry.end != "answered" or entry.answer is None:
            return "cut"
        if entry.answer.status >= 500 or entry.answer.code is None:
            return "failed"
        return "good" if entry.answer.code == 200 else "refused"

    @property
    def result(self) -> str:
        """The code of the response, with the HTTP status if it is not 200; or how the request ended without one."""
        entry = self.entry
        if entry.end is None:
            return "in flight"
        if entry.end != "answered" or entry.answer is None:
            return f"no response ({_ENDS.get(entry.end, entry.end)})"
        code = entry.answer.code
        if code is None:
            return f"HTTP {entry.answer.status}, no JSON body"
        return str(code) if entry.answer.status == 200 else f"{code} (HTTP {entry.answer.status})"

    @property
    def message(self) -> str:
        """``errmsg`` of the answer."""
        content = self.entry.answer.content if self.entry.answer else None
        errmsg = content.get("errmsg") if isinstance(content, dict) else None
        return errmsg if isinstance(errmsg, str) else ""

    @property
    def latency(self) -> str:
        """Time to the answer, in milliseconds."""
        seconds = self.entry.latency
        return "" if seconds is None else f"{seconds * 1000:.1f}" if seconds < 0.1 else f"{seconds * 1000:.0f}"

    @property
    def faults(self) -> str:
        """The faults that were applied to it."""
        return ", ".join(f"fault {fault.get('id')}: {fault.get('kind')}" for fault in self.entry.faults)

    @property
    def headers(self) -> dict[str, str]:
        """The recorded headers; for signatures, only that they were sent."""
        signed = {name: MASK for name in _SIGNATURES if self.entry.call.headers.get(name.lower())}
        return {**self.entry.to_json()["headers"], **signed}

    @property
    def body(self) -> str:
        """The JSON body, secrets masked; empty if there is none."""
        content = self.entry.call.content
        return "" if content is None else json.dumps(mask(content), ensure_ascii=False, indent=2)


def request_view(service: EmulatedService, number: int) -> RequestView | None:
    """Return the view of one request; None if it was dropped from the log."""
    entry = service.record.get(number)
    return _make_view(service, entry) if entry else None


def request_views(service: EmulatedService, before: int | None = None) -> list[RequestView]:
    """Return the newest requests, or the newest before a number; newest first."""
    top = service.record.newest + 1
    return [_make_view(service, entry) for entry in service.record.before(min(before or top, top), PAGE_ROWS)]


def _make_view(service: EmulatedService, entry: RequestEntry) -> RequestView:
    body = entry.call.content if isinstance(entry.call.content, dict) else {}
    fields = {**dict(entry.call.query), **entry.call.path_params, **body}
    cname = fields.get("cname", fields.get("channelName"))
    cid = str(fields.get("cid", ""))
    if not isinstance(cname, str) and cid.isascii() and cid.isdecimal() and len(cid) <= 20:
        cname = service.state.find_room_name(int(cid))
    return RequestView(entry, cname if isinstance(cname, str) else None)
