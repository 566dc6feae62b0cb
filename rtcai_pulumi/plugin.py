"""Serves the lifecycle to the engine, in the plugin process. It has no logic of its own.

These engine rules shape it: what `configure` sets is shared by all threads of the process; a failed check with a
property name prints the value of that property; `read` must return a dict, which is empty for "gone"; a line on stderr
becomes a message of the stack; previews call `check`, `diff` and `read` too, and nothing shows that they are previews.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    UpdateResult,
)
from pulumi.output import Unknown

from rtcai_pulumi.config.conversation import former_owners, options_of
from rtcai_pulumi.config.end_time import ENDS_AT, normalize_end_time
from rtcai_pulumi.config.validation import check
from rtcai_pulumi.config.values import UNKNOWN, map_nested
from rtcai_pulumi.journal.owner import make_owner, urn_of
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.delete import delete
from rtcai_pulumi.lifecycle.diff import diff
from rtcai_pulumi.lifecycle.foresee import foresee
from rtcai_pulumi.lifecycle.read import Reading, read
from rtcai_pulumi.lifecycle.replacements import Replacements
from rtcai_pulumi.lifecycle.room import (
    check_room,
    create_room,
    delete_room,
    diff_room,
    foresee_room,
    read_room,
    update_room,
)
from rtcai_pulumi.lifecycle.update import update
from rtcai_pulumi.module_loading import pause_garbage_collection
from rtcai_pulumi.plugin_process import (
    Engine,
    add_thread,
    engine_address,
    on_cancel,
    print_without_frames,
    request_of_call,
    widen_pool,
)
from rtcai_pulumi.service.errors import JournalError, SettingsError
from rtcai_pulumi.service.printable import printable
from rtcai_pulumi.service.retry import Retrier, limit_time
from rtcai_pulumi.service.settings import concurrency_of, how_to_set, missing_credentials, resolve
from rtcai_pulumi.stack.command import cli, exported_state
from rtcai_pulumi.stack.owner import resolve_place, split_owner
from rtcai_pulumi.stack.project import project_folder, project_in
from rtcai_pulumi.stack.state import stack_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.journal.reader import JournalReader, ReadOnlyJournal
    from rtcai_pulumi.journal.record import StackState
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_PROVIDER_KEY = "__provider"


class PluginProcess:
    """What all providers of one plugin process share: one client, one journal, and one watcher of the engine.

    There is one of each, regardless of what the program declares: two watchers would not know of each other's running
    calls, two clients would send at twice the rate, and two journals would release each other's locks.
    """

    def __init__(self, config: Callable[[str], str | None]) -> None:
        self._config = config
        self._opening = RLock()
        self._client: Client | None = None
        self._journal: Journal | None = None
        self._reader: ReadOnlyJournal | None = None
        self._has_unusable_journal = False
        self._has_invalid_settings = False
        self._has_checked_credentials = False
        self._places: dict[str, str] = {}
        self._resolved: Settings | None = None
        self._cli = cli()
        self._reading_state = Lock()
        self._state: list[StackState | None] = []
        self.engine = Engine(engine_address(sys.argv), self._cli.runs)
        self.engine.watch()
        self.run = Run(
            self._connect,
            self._open_journal,
            self.engine.lives,
            _report,
            Retrier(sleep=self.engine.stopping.wait),
            sleep=self.engine.stopping.wait,
            stopping=self.engine.stopping.is_set,
            read_journal=self._read_journal,
            known_settings=self._known_settings,
            state=self._read_state,
            destroys_stack=self._cli.destroys_all,
        )
        self.replacements = Replacements(self._cli.ends_at_error, self._has_ended, _report, self._replace_thread)
        print_without_frames()
        if not on_cancel(self._is_cancelled):
            self.engine.debug("rtcai: the plugin's Cancel was not found; a Ctrl-C does not end waits")
        self._pool = widen_pool(concurrency_of(os.environ, config), self.engine.debug)

    def warn_of_missing_credentials(self) -> None:
        """Warn once that `pulumi up` will fail. Only this process can know: the program may run somewhere else."""
        with self._opening:
            checked, self._has_checked_credentials = self._has_checked_credentials, True
        if not checked and (missing := missing_credentials(os.environ, self._config)):
            names = " and ".join(name.variable for name in missing)
            _report(
                f"warning: RTC AI credentials are not set ({names}). A preview does not need them, but "
                f"`pulumi up` will fail; {how_to_set(missing)}"
            )

    def owner(self, program_owner: str) -> str:
        """The owner of a task: the program's value, completed with the backend that only this process knows."""
        place, urn = split_owner(program_owner)
        with self._opening:
            if place not in self._places:
                folder = project_folder(self._cli.folder)
                self._places[place] = resolve_place(place, os.environ, _project_backend(folder), folder)
            return make_owner(self._places[place], urn)

    def _read_state(self, owner: str) -> StackState | None:
        """The stack's state, read once; None if it cannot be read."""
        with self._reading_state:
            if not self._state:
                urn = urn_of(owner)
                self._state.append(stack_state(exported_state(self._cli, urn)) if urn else None)
            return self._state[0]

    def _is_cancelled(self) -> None:
        """Handle the engine's stop request. If no call runs here, the run may have ended with its state written."""
        self.engine.stopping.set()
        journal = self._journal
        if journal is not None and self.engine.idle:
            with suppress(JournalError):
                journal.record_stored()

    def _replace_thread(self) -> None:
        """Give other calls a thread for the one that waits: they may be what it waits for."""
        if self._pool is not None:
            add_thread(self._pool)

    def _has_ended(self) -> bool:
        """Whether the engine creates nothing any more: it has requested a stop, or it is gone."""
        return self.engine.stopping.is_set() or not self.engine.lives()

    def _connect(self) -> Client:
        """The one client of this process, created at the first request."""
        with self._opening:
            if self._client is None:
                with pause_garbage_collection():
                    from rtcai_pulumi.service.client import Client  # noqa: PLC0415  a run without changes needs no HTTP

                self._client = Client(self._settings())
                for warning in self._client.proxy_warnings:
                    _report(f"warning: {warning}; this entry is ignored")
            return self._client

    def _open_journal(self) -> Journal:
        """The one journal of this process, opened at the first use by an operation that only an update calls."""
        with self._opening:
            if self._journal is None:
                self._journal = self._open_new_journal()
            return self._journal

    def _open_new_journal(self) -> Journal:
        """Open the journal; if this fails, the other calls of this run refer to its error."""
        with pause_garbage_collection():
            from rtcai_pulumi.journal.journal import Journal  # noqa: PLC0415  a run without changes needs no database
            from rtcai_pulumi.journal.location import journal_location  # noqa: PLC0415  as above
            from rtcai_pulumi.journal.storage import Waits  # noqa: PLC0415  as above
            from rtcai_pulumi.journal.stores import find_location_warning  # noqa: PLC0415  as above

        if self._has_unusable_journal:
            message = "The journal cannot be used; see the first error of this run."
            raise JournalError(message)
        try:
            location = journal_location(os.environ)
            waits = Waits(self.engine.stopping.wait, _report)
            if self._reader is None:
                journal = Journal(location, waits)
            else:
                journal = self._reader.switch_to(lambda: Journal(location, waits))
        except JournalError:
            self._has_unusable_journal = True
            raise
        if warning := find_location_warning(location):
            _report(f"warning: {warning}")
        return journal

    def _read_journal(self) -> JournalReader:
        """The journal for operations that a preview calls: they write nothing, and work on a read-only disk."""
        with self._opening:
            if self._journal is not None:
                return self._journal
            if self._reader is None:
                with pause_garbage_collection():
                    from rtcai_pulumi.journal.location import Location, journal_location  # noqa: PLC0415  as above
                    from rtcai_pulumi.journal.stores import open_read_only  # noqa: PLC0415  as above

                location: Location
                try:
                    location = journal_location(os.environ)
                except JournalError as error:
                    _warn_of_unread_journal(error)
                    location = Path(os.devnull) / "no journal"
                self._reader = open_read_only(location, _warn_of_unread_journal)
            return self._reader

    def _settings(self) -> Settings:
        """The settings; invalid settings are reported once, not once for each room."""
        if (settings := self._known_settings()) is not None:
            return settings
        if self._has_invalid_settings:
            message = "Settings are missing or invalid; see the first error of this run."
            raise SettingsError(message)
        self._has_invalid_settings = True
        return resolve(os.environ, self._config)  # raises the error

    def _known_settings(self) -> Settings | None:
        """The settings, resolved once; None if they are incomplete or invalid."""
        if self._resolved is None:
            with suppress(SettingsError):
                self._resolved = resolve(os.environ, self._config)
        return self._resolved


class _Verbs:
    """What the verbs of all kinds of resources have in common."""

    def __init__(self, process: PluginProcess) -> None:
        self._process = process
        self._run = process.run
        self._replacements = process.replacements

    @contextmanager
    def _call(self, verb: str, props: dict[str, Any], id_: str = "") -> Iterator[None]:
        """Mark a call that must be finished, within the time that ``custom_timeouts`` allows."""
        timeout = getattr(request_of_call(), "timeout", None)
        with self._process.engine.call(), self._guard(verb, props, id_), limit_time(timeout):
            yield

    def _guard(self, verb: str, props: dict[str, Any], id_: str = "") -> AbstractContextManager[None]:
        """Let an error of a call silence no other room."""
        name = f"{verb} {id_ or props.get('owner')}"
        return self._replacements.call(name, may_be_repeated=bool(options_of(props).get("errorHook")))

    def _check_result(self, news: dict[str, Any], problems: Iterable[object]) -> CheckResult:
        """The result of a check; the property name is empty, because the engine would print the value."""
        failures = [CheckFailure("", str(problem)) for problem in problems]
        if failures:
            self._replacements.fail(f"check {news.get('owner')}")
        return CheckResult(_with_end_in_utc(news), failures)

    def _inputs(self, props: Any) -> Any:
        """The inputs of a program in the lifecycle's form: with the owner as in journal and state."""
        inputs = _to_properties(props)
        if isinstance(inputs.get("owner"), str):
            inputs["owner"] = self._process.owner(inputs["owner"])
        if former := former_owners(inputs):
            inputs["options"] = {**inputs["options"], "formerOwners": list(map(self._process.owner, former))}
        return inputs


class ConversationVerbs(_Verbs):
    """The verbs of a conversation."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every problem of the inputs."""
        self._process.warn_of_missing_credentials()
        problems = check(_to_properties(news))
        if not _olds and not problems:
            inputs = self._inputs(news)
            problems = foresee(inputs, self._run)
            if (owner := inputs.get("owner")) is not None:
                self._replacements.note_announced(owner)
        return self._check_result(news, problems)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Replace the agent if the canonical forms differ, or if the journal says that it has ended."""
        with self._guard("diff", _news, _id):
            news = self._inputs(_news)
            difference = diff(_id, _to_properties(_olds), news, self._run)
        if (owner := news.get("owner")) is not None:
            self._replacements.note_compared(_id, owner)
        return DiffResult(
            changes=bool(difference.replaces) or difference.needs_recovery,
            replaces=list(difference.replaces),
            delete_before_replace=difference.stop_first,
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start the agent."""
        with self._call("create", props):
            inputs = self._inputs(props)
            with self._replacements.creating(inputs.get("owner")):
                created = create(inputs, self._run)
        return CreateResult(created.id, created.outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Remove the agent from the state if its room is definitely gone."""
        with self._guard("read", props, id_):
            return _read_result(read(id_, _to_properties(props), self._run), id_, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Close other agents of this resource that an earlier run left next to the agent."""
        with self._call("update", _news, _id):
            return UpdateResult(update(_id, _to_properties(_olds), self._inputs(_news), self._run))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop the agent."""
        props = _to_properties(_props)
        deleting = self._replacements.deleting(_id, props.get("owner"), str(props.get("cname")))
        with self._call("delete", props, _id), deleting:
            delete(_id, props, self._run)


class RoomVerbs(_Verbs):
    """The verbs of a room."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every problem of the inputs."""
        self._process.warn_of_missing_credentials()
        problems = check_room(_to_properties(news))
        if not _olds and not problems:
            problems = foresee_room(self._inputs(news), self._run)
        return self._check_result(news, problems)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Replace the room if its name differs; the new room is opened before the old one is ended."""
        with self._guard("diff", _news, _id):
            changes, replaces = diff_room(_id, _to_properties(_olds), self._inputs(_news), self._run)
        return DiffResult(changes=changes, replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Open the room."""
        with self._call("create", props):
            id_, outputs = create_room(self._inputs(props), self._run)
        return CreateResult(id_, outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Remove the room from the state if it is definitely gone."""
        with self._guard("read", props, id_):
            return _read_result(read_room(_to_properties(props), self._run), id_, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Store the inputs that only the provider reads; no request is sent."""
        with self._call("update", _news, _id):
            return UpdateResult(update_room(_id, _to_properties(_olds), self._inputs(_news), self._run))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End the room if no one is in it."""
        with self._call("delete", _props, _id):
            delete_room(_to_properties(_props), self._run)


def _with_end_in_utc(news: dict[str, Any]) -> dict[str, Any]:
    """Inputs whose end has the form of the state: a transform may have set it in another form."""
    return {**news, ENDS_AT: normalize_end_time(news[ENDS_AT])} if ENDS_AT in news else news


def _read_result(reading: Reading, id_: str, props: dict[str, Any]) -> ReadResult:
    if reading.warning:
        _report(f"warning: {reading.warning}")
    return ReadResult("", {}) if reading.gone else ReadResult(id_, props)


def _project_backend(folder: Path) -> str | None:
    try:
        return project_in(folder).backend
    except (OSError, ValueError):
        return None  # the engine has read the file, or reports the error itself


def _warn_of_unread_journal(error: JournalError) -> None:
    _report(
        "warning: The journal (the record of started agents) cannot be read, so this run does not know what "
        "earlier runs started. A preview works without it, but `pulumi up` will fail until this is fixed. "
        f"{error}"
    )


def _report(line: str) -> None:
    """Show a line to the user: the engine forwards what a plugin writes to stderr.

    If the engine is gone, no process reads the line, and the clean-up that follows must continue.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{printable(line)}\n")


def _to_properties(props: Any) -> Any:
    """Properties in the lifecycle's form: with its own marker for unknowns at any depth, and without the engine's."""
    return map_nested(
        props,
        lambda _, value: UNKNOWN if isinstance(value, Unknown) else value,
        keeps=lambda key, _: key != _PROVIDER_KEY,
    )
