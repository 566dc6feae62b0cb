"""An emulator in a thread of this process."""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread
from typing import Any, Final, Literal, Self, TypeVar

from rtcai_pulumi.emulator.admin import Admin
from rtcai_pulumi.emulator.app import application
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.emulated import EmulatedService
from rtcai_pulumi.emulator.server import Server, listening, url_of
from rtcai_pulumi.emulator.settings import PLACEHOLDER_APP_KEY, PLACEHOLDER_APP_SECRET, Rooms, Settings
from rtcai_pulumi.emulator.state_file import StateFile

T = TypeVar("T")

_PATIENCE: Final = 30.0
"""Seconds that a method waits for the emulator's thread before it raises `TimeoutError`."""


class Emulator:
    """An emulator that serves while its ``with`` block runs. Every method may be called from any thread.

    Args:
        port: port of 127.0.0.1; 0 picks a free one.
        state: file in which rooms and tasks are kept from one emulator to the next; None keeps them in memory.
        rooms: ``"auto"``: a create opens its room; ``"required"``: it is refused where the room is not open.
        allow_unknown_fields: let fields pass that the API page does not list.
        app_key: the one AppKey that is known.
        app_secret: its AppSecret.
        room_missing_code: ``code`` of "room does not exist", which is not documented.
        task_missing_code: ``code`` of "no such task", which is not documented.
        clock: what the emulator takes for the time of day; the real time where it is left out.

    Raises:
        CannotStart: on entering the block: the port is taken, or the state file cannot be used.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state: Path | str | None = None,
        rooms: Literal["auto", "required"] = "auto",
        allow_unknown_fields: bool = False,
        app_key: str = PLACEHOLDER_APP_KEY,
        app_secret: str = PLACEHOLDER_APP_SECRET,
        room_missing_code: int = 404,
        task_missing_code: int = 404,
        clock: Clock | None = None,
    ) -> None:
        self.app_key = app_key
        self.app_secret = app_secret
        self.clock = clock or Clock()
        self.url = ""
        """Where it answers, as in ``http://127.0.0.1:40123``; empty until the block is entered."""
        self._settings = Settings(
            app_key, app_secret, Rooms(rooms), allow_unknown_fields, room_missing_code, task_missing_code
        )
        self._port = port
        self._state_path = None if state is None else Path(state)
        self._running: _Running | None = None
        self._left = ExitStack()

    def __enter__(self) -> Self:
        """Start to serve; once this returns, connections are accepted."""
        if self._running is not None:
            message = "this emulator runs already; make another one"
            raise RuntimeError(message)
        with ExitStack() as undone:
            listener = undone.enter_context(listening(self._port))
            state_file = undone.enter_context(closing(StateFile(self._state_path))) if self._state_path else None
            service = EmulatedService.started(self._settings, self.clock, state_file)
            self.url = url_of(listener)
            self._running = _Running(Admin(service), lambda ready: Server(application(service), listener, ready))
            self._left = undone.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; nothing of it is left but the state file."""
        if self._running is not None:
            self._running.end()
            self._running = None
            self._left.close()

    def tasks(self) -> list[dict[str, Any]]:
        """Every task, running and ended, in order of start, as ``GET /-/tasks`` shows them."""
        return self._ask(Admin.tasks)

    def rooms(self) -> list[dict[str, Any]]:
        """Every open room, in order of opening, as ``GET /-/rooms`` shows them."""
        return self._ask(Admin.rooms)

    def requests(self) -> list[dict[str, Any]]:
        """Every API request until now, in the order in which they came, as ``GET /-/requests`` shows them."""
        return self._ask(Admin.requests)

    def reset(self) -> None:
        """Forget all rooms, tasks, nonces and requests."""
        self._ask(Admin.reset)

    def open_room(self, cname: str) -> int:
        """Open a room, as if someone had joined; returns its number, also where it was open already."""
        return self._ask(lambda admin: admin.open_room(cname))

    def end_room(self, cname: str, *, end_tasks: bool = True) -> None:
        """End a room behind the client's back; its tasks end with it, unless told otherwise.

        Raises:
            LookupError: no such room is open.
        """
        self._ask(lambda admin: admin.end_room(cname, end_tasks=end_tasks))

    def end_task(self, cid: int | str, task_id: str) -> None:
        """End a task behind the client's back.

        Raises:
            LookupError: no such task runs.
        """
        self._ask(lambda admin: admin.end_task(int(cid), task_id))

    def _ask(self, work: Callable[[Admin], Coroutine[Any, Any, T]]) -> T:
        """Do something where all changes are made, in the emulator's event loop."""
        if self._running is None:
            message = "the emulator does not run: use it within `with Emulator() as emulator:`"
            raise RuntimeError(message)
        # Copied here and not in the loop: a test that looks often must not slow down what it looks at.
        return copy.deepcopy(self._running.ask(work))


class _Running:
    """One thread with one event loop, from the moment it accepts connections until it has ended."""

    def __init__(self, admin: Admin, server: Callable[[Callable[[], None]], Server]) -> None:
        self._admin = admin
        self._accepting: Future[asyncio.AbstractEventLoop] = Future()
        self._server = server(lambda: self._accepting.set_result(asyncio.get_running_loop()))
        self._thread = Thread(target=self._serve, name="rtcai-emulator", daemon=True)
        self._thread.start()
        self._loop = self._accepting.result()

    def ask(self, work: Callable[[Admin], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(self._admin), self._loop).result(_PATIENCE)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._server.end)
        self._thread.join()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve_until_end())
        except BaseException as error:  # whoever waits for the start must hear of it, whatever it was
            if self._accepting.done():
                raise
            self._accepting.set_exception(error)
