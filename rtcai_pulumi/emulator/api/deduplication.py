"""Creates with the same ``X-custom-traceid``: which one is the first, and what the others are answered.

It is not documented whether the service drops duplicates (API page digest, section 2), so a test chooses. The
emulator finds duplicates by the tasks themselves: a create that started no task did nothing, and a later create with
its trace id counts as the first.
"""

import asyncio
from collections.abc import Awaitable, Callable

from rtcai_pulumi.config.emulator import Dedup
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.faults.cancellation import Client, Waits
from rtcai_pulumi.emulator.http.request import Call
from rtcai_pulumi.emulator.http.response import DUPLICATE, DUPLICATE_REQUEST, EmulatedAnswer, created_answer
from rtcai_pulumi.emulator.state.model import ServiceState, TraceKey, make_trace_key


class Turn:
    """One create, from its arrival until its work is done or has been given up."""

    def __init__(self, key: TraceKey | None) -> None:
        self.key = key
        self.ended = asyncio.Event()


class Duplicates:
    """The creates in progress, by trace id."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._first: dict[TraceKey, Turn] = {}

    def register(self, call: Call) -> Turn:
        """Register a create. The first one with a trace id goes ahead of the others, even if held at its arrival."""
        turn = Turn(make_trace_key(call.display_header("AppKey"), call.display_header("X-custom-traceid")))
        if turn.key:
            self._first.setdefault(turn.key, turn)
        return turn

    def end(self, turn: Turn) -> None:
        """Mark that a create has done its work or has given it up; may be called twice."""
        if turn.key and self._first.get(turn.key) is turn:
            del self._first[turn.key]
        turn.ended.set()

    async def run_once(
        self,
        turn: Turn,
        state: ServiceState,
        dedup: Dedup,
        client: Client,
        work: Callable[[], Awaitable[EmulatedAnswer]],
    ) -> EmulatedAnswer:
        """Do the work of an authenticated create, unless it was done under the same trace id before.

        Raises:
            Rejection: 431 for a duplicate, if the settings refuse duplicates.
            NoAnswer: while this create waited for the first, its client disconnected or the emulator was reset or
                stopped.
        """
        if turn.key is None or dedup == "ignore":
            return await work()
        if dedup == "refuse" and (self._ahead(turn) or state.find_by_trace_id(turn.key)):
            raise Rejection(DUPLICATE, DUPLICATE_REQUEST)
        while first := self._ahead(turn):
            await self._waits.until(first.ended.wait(), client)
        if task := state.find_by_trace_id(turn.key):
            return created_answer(task)
        self._first[turn.key] = turn
        return await work()

    def _ahead(self, turn: Turn) -> Turn | None:
        first = self._first.get(turn.key) if turn.key else None
        return first if first is not turn else None
