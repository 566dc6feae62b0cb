"""Runs an emulator in a thread of this process: `Emulator`."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, closing
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, Unpack

from rtcai_pulumi.config.block import describe_misspelt_keyword
from rtcai_pulumi.config.emulator import (
    ChangeableSettings,
    ChangeableSettingsArguments,
    EmulatorSettings,
    EmulatorSettingsArguments,
)
from rtcai_pulumi.emulator.admin.admin import Admin
from rtcai_pulumi.emulator.api.rate_limit import Verbs
from rtcai_pulumi.emulator.app import application
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.faults.model import At, FaultArguments
from rtcai_pulumi.emulator.http.server import Server, format_url, listen
from rtcai_pulumi.emulator.page.ends import ReadEnds
from rtcai_pulumi.emulator.state.file import StateFile
from rtcai_pulumi.emulator.state.service import EmulatedService
from rtcai_pulumi.emulator.strict_model import parse_strict
from rtcai_pulumi.emulator.thread import EmulatorThread, Hold

T = TypeVar("T")


class Emulator:
    """An emulator that serves while its ``with`` block runs. Every method may be called from any thread.

    Args:
        port: port of 127.0.0.1; 0 picks a free one.
        state: file that keeps rooms and tasks from one emulator to the next; None keeps them in memory.
        clock: the source of the time of day; the real time by default.
        read_ends: reads when agents are to end, for the live page: no request contains it. It returns, for a task's
            room number and id, a time in ISO 8601. It is called in a thread, again and again while a page is open.
        **settings: the fields of `EmulatorSettings`; ``docs/emulator.md`` has a table of them.

    Raises:
        TypeError: unknown setting; the message names the nearest one.
        ValueError: a setting is not valid; the message names it.
        CannotStart: on entering the block: the port is in use, or the state file cannot be used.
    """

    __signature__: ClassVar[Signature]

    def __init__(
        self,
        *,
        port: int = 0,
        state: Path | str | None = None,
        clock: Clock | None = None,
        read_ends: ReadEnds | None = None,
        **settings: Unpack[EmulatorSettingsArguments],
    ) -> None:
        known = signature(type(self)).parameters
        if unknown := [name for name in settings if name not in known]:
            raise TypeError(describe_misspelt_keyword("Emulator", unknown[0], known))
        self._settings = parse_strict(EmulatorSettings, settings, by_name=True)
        self.app_key = self._settings.app_key
        self.app_secret = self._settings.app_secret
        self.clock = clock or Clock()
        self.url = ""
        """URL of the emulator, as in ``http://127.0.0.1:40123``; empty until the block is entered."""
        self._port = port
        self._read_ends = read_ends
        self._state_path = None if state is None else Path(state)
        self._thread: EmulatorThread | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        """Start the emulator; when this returns, it accepts connections."""
        if self._thread is not None:
            message = "this emulator is already running; create another one"
            raise RuntimeError(message)
        with ExitStack() as stack:
            listener = stack.enter_context(listen(self._port))
            state_file = stack.enter_context(closing(StateFile(self._state_path))) if self._state_path else None
            service = EmulatedService.load(self._settings, self.clock, state_file)
            self.url = format_url(listener)
            self._thread = EmulatorThread(
                Admin(service),
                lambda ready: Server(application(service, self._read_ends), listener, ready, service.end),
            )
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the emulator; only the state file remains."""
        if self._thread is not None:
            self._thread.end()
            self._thread = None
            self._resources.close()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point a program, the engine and `rtcai` to this emulator: endpoint and
        credentials.

        Requests never go through a proxy, because the address is a loopback address.
        """
        return {"RTCAI_ENDPOINT": self.url, "RTCAI_APP_KEY": self.app_key, "RTCAI_APP_SECRET": self.app_secret}

    def tasks(self) -> list[dict[str, Any]]:
        """Return every task, running and ended, in order of start, as ``GET /-/tasks`` does."""
        return self._run(Admin.tasks)

    def rooms(self) -> list[dict[str, Any]]:
        """Return every open room, in order of opening, as ``GET /-/rooms`` does."""
        return self._run(Admin.rooms)

    def requests(self) -> list[dict[str, Any]]:
        """Return every API request until now, in order of arrival, as ``GET /-/requests`` does."""
        return self._run(Admin.requests)

    def stats(self) -> dict[str, Any]:
        """Return how many requests there were since the last reset, and how many task requests at the same time.

        The keys are those of ``GET /-/stats``: ``inFlight``, ``maxInFlight``, ``requests``, ``byVerb``, ``throttled``.
        """
        return self._run(Admin.stats)

    def settings(self) -> dict[str, Any]:
        """Return the settings that can be changed, as ``GET /-/settings`` does."""
        return self._run(Admin.settings)

    def change_settings(self, **changes: Unpack[ChangeableSettingsArguments]) -> None:
        """Change settings from the next request on, as in ``change_settings(dedup="replay", max_rps=50)``.

        Raises:
            ValueError: a setting is not valid; the message names it.
        """
        checked = parse_strict(ChangeableSettings, changes, by_name=True)
        self._run(lambda admin: admin.change_settings(checked))

    def fault(
        self,
        verb: Verbs,
        kind: Literal["answer", "answer-after", "latency", "hang", "half", "reset", "garbage", "hold"],
        *,
        times: int | None = 1,
        skip: int = 0,
        cname: str | None = None,
        **arguments: Unpack[FaultArguments],
    ) -> int:
        """Set a fault; ``docs/emulator.md`` lists the kinds and the arguments of each.

        Args:
            verb: the operation; ``"*"`` for any.
            kind: what happens.
            times: how many requests it applies to; None: all until it is removed.
            skip: how many requests pass first.
            cname: apply it only to requests about this room.
            **arguments: the arguments of the kind, as in ``work=True``.

        Returns:
            The number of the fault, for `remove_fault`.

        Raises:
            ValueError: the fault is not valid; the message names every argument that is wrong.
        """
        fault = {"verb": verb, "kind": kind, "times": times, "skip": skip, "cname": cname, **arguments}
        number: int = self._run(lambda admin: admin.add_fault(fault))["id"]
        return number

    def hold(
        self,
        verb: Verbs,
        *,
        at: At = "arrived",
        times: int | None = 1,
        skip: int = 0,
        cname: str | None = None,
    ) -> Hold:
        """Hold requests until they are released.

        Args:
            verb: the operation; ``"*"`` for any.
            at: ``"arrived"``: the request has arrived and no work is done; ``"worked"``: the work is done and no answer
                is sent.
            times: how many requests; None: all until the hold is released.
            skip: how many requests pass first.
            cname: hold only requests about this room.

        Raises:
            ValueError: an argument is not valid; the message names every one that is wrong.
        """
        number = self.fault(verb, "hold", at=at, times=times, skip=skip, cname=cname)
        return Hold(self._require_thread(), number)

    def faults(self) -> list[dict[str, Any]]:
        """Return every fault, in the order of setting, with what each has done, as ``GET /-/faults`` does."""
        return self._run(Admin.faults)

    def remove_fault(self, number: int) -> None:
        """Remove a fault; the requests that it holds continue.

        Raises:
            LookupError: no fault has this number.
        """
        self._run(lambda admin: admin.remove_fault(number))

    def clear_faults(self) -> None:
        """Remove all faults; the requests that they hold continue."""
        self._run(Admin.clear_faults)

    def reset(self) -> None:
        """Delete all rooms, tasks, nonces, requests, counts and faults, and disconnect every request that waits.

        Settings and clock stay as they are.
        """
        self._run(Admin.reset)

    def seed(
        self,
        *,
        rooms: Sequence[Mapping[str, Any]] = (),
        tasks: Sequence[Mapping[str, Any]] = (),
        requests: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Add rooms, tasks and requests to the existing ones, in the form in which `rooms`, `tasks` and `requests`
        return them.

        ``docs/emulator.md`` lists the keys that can be left out.

        Raises:
            ValueError: something is not valid; the message names it, and nothing was added.
        """
        content = {name: [dict(item) for item in items] for name, items in
                  (("rooms", rooms), ("tasks", tasks), ("requests", requests))}  # fmt: skip
        self._run(lambda admin: admin.seed(content))

    def open_room(self, cname: str, *, app_key: str | None = None) -> int:
        """Open a room, as if a user had joined; return its number, also if it was open already.

        Raises:
            LookupError: the account is unknown.
            ValueError: the name is not a valid room name.
        """
        return self._run(lambda admin: admin.open_room(cname, app_key))

    def end_room(self, cname: str, *, end_tasks: bool | None = None, app_key: str | None = None) -> None:
        """End a room without a request of the client.

        Args:
            cname: name of the room.
            end_tasks: whether its tasks end with it; None: use the setting `tasks_end_with_room`.
            app_key: account of the room; None: the first account.

        Raises:
            LookupError: the room is not open, or the account is unknown.
        """
        self._run(lambda admin: admin.end_room(cname, app_key, end_tasks=end_tasks))

    def end_task(self, cid: int | str, task_id: str) -> None:
        """End a task without a request of the client.

        Raises:
            LookupError: no such task is running.
        """
        self._run(lambda admin: admin.end_task(int(cid), task_id))

    def _run(self, work: Callable[[Admin], Coroutine[Any, Any, T]]) -> T:
        return self._require_thread().run(work)

    def _require_thread(self) -> EmulatorThread:
        if self._thread is None:
            message = "the emulator is not running: use it inside `with Emulator() as emulator:`"
            raise RuntimeError(message)
        return self._thread


def _add_keywords() -> None:
    """Let `help` and `inspect.signature` see each setting, with its default, in place of ``**settings``."""
    *own, _ = signature(Emulator).parameters.values()
    settings = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.annotation)
        for name, field in EmulatorSettings.model_fields.items()
    ]
    Emulator.__signature__ = Signature([*own, *settings])


_add_keywords()
