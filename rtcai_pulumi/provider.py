"""The dynamic door: serves the lifecycle to the engine through a Pulumi dynamic provider. No logic of its own.

It runs in the plugin process. Engine rules that shape it: what `configure` sets holds for all threads of the process;
an exception is printed with all its frames unless ``sys.tracebacklimit`` is 0; a failed check with a property name
prints that property's value; `read` must return a dict, empty for "gone"; a line on stderr becomes a message of the
stack.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from rtcai_pulumi.config.unknown import UNKNOWN
from rtcai_pulumi.engine import Engine, engine_address, widen_pool
from rtcai_pulumi.lifecycle.check import check
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.lifecycle.diff import diff
from rtcai_pulumi.lifecycle.read import read
from rtcai_pulumi.lifecycle.room import ADDED_OUTPUTS, check_room, create_room, delete_room, diff_room, read_room
from rtcai_pulumi.lifecycle.run import Run
from rtcai_pulumi.lifecycle.update import update
from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.settings import concurrency_of, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulumi.dynamic import ConfigureRequest

    from rtcai_pulumi.lifecycle.journal import Journal
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_PROVIDER_KEY = "__provider"


class _Process:
    """What all providers of one plugin process share: one client and one journal, and the life of their engine.

    One of each, whatever the program declares: two watchers would not know of each other's running calls, two clients
    would send at twice the pace, and two journals would give up each other's locks.
    """

    def __init__(self, config: Callable[[str], str | None]) -> None:
        self._config = config
        self._opening = Lock()
        self._client: Client | None = None
        self._journal: Journal | None = None
        self._unusable = False
        self.engine = Engine(engine_address(sys.argv))
        self.engine.watch()
        self.run = Run(self._connect, self._open_journal, self.engine.lives, _tell)
        widen_pool(concurrency_of(os.environ, config), self.engine.debug)

    def _connect(self) -> Client:
        """The one client of this process, made at the first request."""
        with self._opening:
            if self._client is None:
                from rtcai_pulumi.service.client import Client  # noqa: PLC0415  a program that only declares loads no HTTP

                self._client = Client(self._settings())
            return self._client

    def _open_journal(self) -> Journal:
        """The one journal of this process, opened at the first use."""
        with self._opening:
            if self._journal is None:
                from rtcai_pulumi.lifecycle.journal import Journal, journal_path  # noqa: PLC0415  nor a database

                self._journal = Journal(journal_path(os.environ))
            return self._journal

    def _settings(self) -> Settings:
        """The settings; what is wrong with them is said once, not once for each room."""
        if self._unusable:
            message = "RTC AI cannot be reached: see the other message of this run about its settings."
            raise SettingsError(message)
        try:
            return resolve(os.environ, self._config)
        except SettingsError:
            self._unusable = True
            raise


class _Door(ResourceProvider):
    """What the providers have in common. The engine configures each of them, in one process."""

    serialize_as_secret_always = False  # the reference is a constant; as a secret it would be ciphertext in each state

    _configuring: ClassVar[Lock] = Lock()
    _process: ClassVar[_Process | None] = None

    def configure(self, req: ConfigureRequest) -> None:
        """Keep the stack's config. Settings are resolved at the first request: a preview needs none."""
        sys.tracebacklimit = 0
        with _Door._configuring:
            if _Door._process is None:
                _Door._process = _Process(req.config.get)
            self._run = _Door._process.run
            self._engine = _Door._process.engine


class ConversationProvider(_Door):
    """Serves `check`, `diff`, `create`, `read`, `update` and `delete` of a conversation.

    The state of every stack holds a reference to this class by its name, for ever: module and name must not change,
    and an instance must hold nothing before `configure`.
    """

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every problem of the inputs; with an empty property name, or the engine prints the value."""
        return CheckResult(news, [CheckFailure("", str(problem)) for problem in check(_properties(news))])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Replace the agent where the canonical forms differ, or the journal knows that it is over."""
        difference = diff(_id, _properties(_olds), _properties(_news), self._run)
        return DiffResult(
            changes=bool(difference.replaces) or difference.settles,
            replaces=list(difference.replaces),
            delete_before_replace=difference.stop_first,
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start the agent."""
        with self._engine.call():
            created = create(_properties(props), self._run)
        return CreateResult(created.id, created.outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Drop the agent from state where its room is surely gone."""
        reading = read(id_, _properties(props), self._run)
        if reading.warning:
            _tell(f"warning: {reading.warning}")
        return ReadResult("", {}) if reading.gone else ReadResult(id_, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Close what an earlier run left beside the agent."""
        with self._engine.call():
            return UpdateResult(update(_id, _properties(_olds), _properties(_news), self._run))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop the agent."""
        with self._engine.call():
            delete(_id, _properties(_props), self._run)


class RoomProvider(_Door):
    """Serves `check`, `diff`, `create`, `read`, `update` and `delete` of a room.

    The state of every stack holds a reference to this class by its name, for ever: module and name must not change,
    and an instance must hold nothing before `configure`.
    """

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every problem of the inputs; with an empty property name, or the engine prints the value."""
        return CheckResult(news, [CheckFailure("", str(problem)) for problem in check_room(_properties(news))])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another name asks for another room, which is opened before the old one is ended."""
        changes, replaces = diff_room(_properties(_olds), _properties(_news))
        return DiffResult(changes=changes, replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Open the room."""
        with self._engine.call():
            id_, outputs = create_room(_properties(props), self._run)
        return CreateResult(id_, outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Drop the room from state where it is surely gone."""
        reading = read_room(_properties(props), self._run)
        if reading.warning:
            _tell(f"warning: {reading.warning}")
        return ReadResult("", {}) if reading.gone else ReadResult(id_, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Keep what only the provider reads; nothing is sent."""
        olds = _properties(_olds)
        return UpdateResult({**{name: olds.get(name) for name in ADDED_OUTPUTS}, **_properties(_news)})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End the room, where nobody is in it."""
        with self._engine.call():
            delete_room(_properties(_props), self._run)


def _tell(line: str) -> None:
    """Show a line to the user: the engine passes on what a plugin writes to stderr.

    Where the engine is gone nobody reads it, and what is done for want of an engine must go on.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")


def _properties(props: Any) -> Any:
    """Properties as the lifecycle knows them: its own mark for an unknown at any depth, nothing of the engine's."""
    if isinstance(props, dict):
        return {key: _properties(value) for key, value in props.items() if key != _PROVIDER_KEY}
    if isinstance(props, list):
        return [_properties(value) for value in props]
    return UNKNOWN if isinstance(props, Unknown) else props
