"""The log of API requests in order of arrival, without CheckSums, tokens and secrets; and the request counts."""

from collections import Counter, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from rtcai_pulumi.emulator.api.rate_limit import TASK_VERBS, Verb
from rtcai_pulumi.emulator.clock import iso
from rtcai_pulumi.emulator.http.request import Call
from rtcai_pulumi.emulator.http.response import EmulatedAnswer
from rtcai_pulumi.emulator.state.changes import Changes

KEPT_REQUESTS: Final = 20_000
"""How many requests are kept; the oldest are dropped first."""
LOGGED_HEADERS: Final = ("AppKey", "Nonce", "CurTime", "Cname", "Uid", "X-custom-traceid", "Content-Type", "User-Agent")


@dataclass(slots=True)
class RequestEntry:
    """One request. Its answer is empty until the request is answered."""

    call: Call
    started: float
    """Seconds since 1970 by the emulator's clock."""
    began: float
    """Seconds by a monotonic clock, which no test can set."""
    number: int = 0
    """Position in order of arrival, from 1."""
    changes: Changes = field(default_factory=Changes)
    answer: EmulatedAnswer | None = None
    latency: float | None = None
    """Seconds from the end of the request to its answer, or to its end if it was not answered."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    """The faults that were applied to the request."""
    end: str | None = None
    """How the request ended; None while it is in flight."""

    def finish(self, answer: EmulatedAnswer, now: float) -> None:
        """Record the answer, immediately before it is sent."""
        self.answer, self.latency, self.end = answer, now - self.began, "answered"
        self.changes.touch("request", self.number)

    def break_off(self, end: str, now: float) -> None:
        """Record why no answer was sent, or only a part of one."""
        self.latency, self.end = now - self.began, end
        self.changes.touch("request", self.number)

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON."""
        headers = {name: self.call.display_header(name) for name in LOGGED_HEADERS}
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


class RequestLog:
    """The requests of one emulator, oldest first."""

    def __init__(self, changes: Changes | None = None) -> None:
        self._changes = changes or Changes()
        self._entries: deque[RequestEntry] = deque(maxlen=KEPT_REQUESTS)
        self.newest = 0
        """Number of the newest entry; 0 if there has been none."""

    def begin(self, call: Call, started: float, began: float) -> RequestEntry:
        """Record a request that has arrived."""
        return self.add(RequestEntry(call, started, began))

    def add(self, entry: RequestEntry) -> RequestEntry:
        """Append a complete entry."""
        self.newest += 1
        entry.number, entry.changes = self.newest, self._changes
        self._entries.append(entry)
        self._changes.touch("request", entry.number)
        return entry

    def get(self, number: int) -> RequestEntry | None:
        """Return an entry by its number; None if it does not exist or was dropped."""
        index = number - self.newest + len(self._entries) - 1
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def before(self, number: int, count: int) -> list[RequestEntry]:
        """Return at most this many entries that arrived before a number, newest first."""
        entries = (self.get(one) for one in range(number - 1, max(number - 1 - count, 0), -1))
        return [entry for entry in entries if entry]

    @property
    def oldest(self) -> int:
        """Return the number of the oldest entry that is kept; one above the newest if there is none."""
        return self.newest - len(self._entries) + 1

    def to_json(self) -> list[dict[str, Any]]:
        """Return all entries as JSON, in order."""
        return [entry.to_json() for entry in self._entries]

    def clear(self) -> None:
        """Drop all entries; numbers start from 1 again."""
        self._entries.clear()
        self.newest = 0


class Gauge:
    """Counts since the start or the last reset. A request is in flight from its last byte to its answer."""

    def __init__(self) -> None:
        self._by_verb: Counter[Verb] = Counter()
        self._in_flight: set[object] = set()
        self._max_in_flight = 0
        self._throttled = 0

    @contextmanager
    def count(self, verb: Verb) -> Generator[None]:
        """Count a request while it runs; a reset removes it from the count."""
        self._by_verb[verb] += 1
        request = object()
        if verb in TASK_VERBS:
            self._in_flight.add(request)
            self._max_in_flight = max(self._max_in_flight, len(self._in_flight))
        try:
            yield
        finally:
            self._in_flight.discard(request)

    def count_throttled(self) -> None:
        """Count a request that the rate limit refused."""
        self._throttled += 1

    def clear(self) -> None:
        """Reset all counts."""
        self._by_verb.clear()
        self._in_flight.clear()
        self._max_in_flight = self._throttled = 0

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "inFlight": len(self._in_flight),
            "maxInFlight": self._max_in_flight,
            "requests": sum(number for verb, number in self._by_verb.items() if verb in TASK_VERBS),
            "byVerb": dict(self._by_verb),
            "throttled": self._throttled,
        }
