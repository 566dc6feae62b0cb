"""Creates with the same ``X-custom-traceid``: which is the first, and what the others get.

Whether the service drops duplicates is not documented (API page digest, section 2), so a test chooses. What is
remembered for it are the tasks themselves: a create that started none did nothing, and its duplicate is as new.
"""

import asyncio
from collections.abc import Awaitable, Callable

from rtcai_pulumi.emulator.errors import Refused
from rtcai_pulumi.emulator.faults.cancellation import Client, Waits
from rtcai_pulumi.emulator.http.request import Call
from rtcai_pulumi.emulator.http.response import DUPLICATE, DUPLICATE_REQUEST, Answer, created
from rtcai_pulumi.emulator.settings import Dedup
from rtcai_pulumi.emulator.state.model import State, TraceKey, trace_key


class Turn:
    """One create, from its arrival until its work is done or will never be."""

    def __init__(self, key: TraceKey | None) -> None:
        self.key = key
        self.ended = asyncio.Event()


class Duplicates:
    """The creates that are on their way, by trace id."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._first: dict[TraceKey, Turn] = {}

    def arrived(self, call: Call) -> Turn:
        """Note a create; the first with its trace id goes ahead of the others, also where it is held at its arrival."""
        turn = Turn(trace_key(call.shown_header("AppKey"), call.shown_header("X-custom-traceid")))
        if turn.key:
            self._first.setdefault(turn.key, turn)
        return turn

    def end(self, turn: Turn) -> None:
        """Note that a create has done its work, or will not do it; may be called twice."""
        if turn.key and self._first.get(turn.key) is turn:
            del self._first[turn.key]
        turn.ended.set()

    async def once(
        self,
        turn: Turn,
        state: State,
        dedup: Dedup,
        client: Client,
        work: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Do the work of a create whose sender is known, unless it was done under its trace id before.

        Raises:
            Refused: 431 for a duplicate, where those are refused.
            NoAnswer: while it waited for the first, its client went away or the emulator was reset or stopped.
        """
        if turn.key is None or dedup is Dedup.IGNORE:
            return await work()
        if dedup is Dedup.REFUSE and (self._ahead(turn) or state.traced(turn.key)):
            raise Refused(DUPLICATE, DUPLICATE_REQUEST)
        while first := self._ahead(turn):
            await self._waits.until(first.ended.wait(), client)
        if task := state.traced(turn.key):
            return created(task)
        self._first[turn.key] = turn
        return await work()

    def _ahead(self, turn: Turn) -> Turn | None:
        first = self._first.get(turn.key) if turn.key else None
        return first if first is not turn else None
