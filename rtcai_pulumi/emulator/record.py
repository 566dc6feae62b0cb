"""The record of API requests, in the order in which they came; no CheckSum, token or secret gets in."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from rtcai_pulumi.emulator.answers import Answer
from rtcai_pulumi.emulator.call import Call
from rtcai_pulumi.emulator.clock import iso

KEPT_REQUESTS: Final = 20_000
"""How many requests are remembered; the oldest go first."""
_SHOWN_HEADERS: Final = ("AppKey", "Nonce", "CurTime", "Cname", "Uid", "X-custom-traceid", "Content-Type", "User-Agent")


@dataclass(slots=True)
class Entry:
    """One request; without an answer until there is one."""

    call: Call
    started: float
    """Seconds since 1970 by the emulator's clock."""
    began: float
    """Seconds by a clock that nobody sets."""
    answer: Answer | None = None
    latency: float | None = None
    """Seconds from the end of the request to its answer, or to its end without one."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    """The faults that were applied to it."""
    end: str | None = None
    """How it ended; None while it is in flight."""

    def finish(self, answer: Answer, now: float) -> None:
        """Note the answer, right before it is sent."""
        self.answer, self.latency, self.end = answer, now - self.began, "answered"

    def break_off(self, end: str, now: float) -> None:
        """Note that there is no answer, or no whole one, and why."""
        self.latency, self.end = now - self.began, end

    def shown(self) -> dict[str, Any]:
        """The entry as JSON."""
        headers = {name: self.call.shown_header(name) for name in _SHOWN_HEADERS}
        return {
            "method": self.call.method,
            "path": self.call.path,
            "query": dict(self.call.query),
            "headers": {name: value for name, value in headers.items() if value is not None},
            "body": self.call.content,
            "status": self.answer.status if self.answer else None,
            "code": self.answer.code if self.answer else None,
            "startedAt": iso(self.started),
            "latencyMs": None if self.latency is None else round(self.latency * 1000, 3),
            "end": self.end,
            "faults": self.faults,
        }


class Record:
    """The requests of one emulator."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT_REQUESTS)

    def begin(self, call: Call, started: float, began: float) -> Entry:
        """Note a request that has come in."""
        entry = Entry(call, started, began)
        self._entries.append(entry)
        return entry

    def shown(self) -> list[dict[str, Any]]:
        """All entries as JSON, in order."""
        return [entry.shown() for entry in self._entries]

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
