"""The times at which agents are to end (`ends_at`), for the page only.

The service never receives an agent's end, so no request to the emulator contains it. The page can still show it: the
caller that starts the emulator passes a function that reads it elsewhere, such as in the journal.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from rtcai_pulumi.config.end_time import parse_end_time
from rtcai_pulumi.emulator.state.model import EmulatedTask, TaskKey
from rtcai_pulumi.emulator.state.service import EmulatedService

ReadEnds = Callable[[], Mapping[TaskKey, str]]
"""Returns the end of each task that has one, in ISO 8601 with an offset. It is called in a thread, and may block."""

_PAUSE_SECONDS: Final = 1.0
"""Seconds between two reads while a page is open."""
_MAX_SHARE: Final = 0.05
"""The largest share of the time in which the ends are read: a long journal is read less often."""

_logger = logging.getLogger(__name__)


class EndTimes:
    """The ends that are known, read again and again while a page is open. Use it in the emulator's event loop only.

    Args:
        service: the service whose tasks have the ends.
        read: reads them; None: no end is known.
    """

    def __init__(self, service: EmulatedService, read: ReadEnds | None) -> None:
        self._service = service
        self._read = read
        self._ends: dict[TaskKey, int] = {}
        self._next_read = 0.0
        self._failure = ""

    def find(self, task: EmulatedTask) -> int | None:
        """Return when a task is to end, in milliseconds since 1970; None if it has no known end."""
        return self._ends.get(task.key)

    def refresh(self) -> None:
        """Start to read the ends if the last read is long enough ago. A room whose ends differ then counts as changed.

        The thread is a daemon: a database that does not answer must not delay the end of the emulator.
        """
        if self._read is not None and time.monotonic() >= self._next_read:
            self._next_read = float("inf")  # until this read has finished
            arguments = (self._read, asyncio.get_running_loop())
            threading.Thread(target=self._run, args=arguments, name="rtcai-ends", daemon=True).start()

    def _run(self, read: ReadEnds, loop: asyncio.AbstractEventLoop) -> None:
        begin = time.monotonic()
        failure, ends = "", None
        try:
            ends = {key: int(end.timestamp() * 1000) for key, text in read().items() if (end := parse_end_time(text))}
        except Exception as error:  # the page must work without the ends
            failure = str(error) or type(error).__name__
        pause = max(_PAUSE_SECONDS, (time.monotonic() - begin) / _MAX_SHARE)
        with suppress(RuntimeError):  # the emulator has ended meanwhile
            loop.call_soon_threadsafe(self._finish, ends, failure, pause)

    def _finish(self, ends: dict[TaskKey, int] | None, failure: str, pause: float) -> None:
        self._next_read = time.monotonic() + pause
        if failure and failure != self._failure:
            _logger.warning("The live page cannot show when agents end: %s", failure)
        self._failure = failure
        if ends is None or ends == self._ends:
            return
        changed = {key for key in ends.keys() | self._ends.keys() if ends.get(key) != self._ends.get(key)}
        self._ends = ends
        for key in changed:
            if task := self._service.state.tasks.get(key):
                self._service.changes.touch("room", task.room_key)
