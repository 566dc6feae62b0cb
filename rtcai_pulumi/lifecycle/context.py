"""What all operations of one plugin process share: the service, the journal, and facts found during the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.record import Record, RecordState, StackState
from rtcai_pulumi.lifecycle.recovery_rules import is_superseded, may_send
from rtcai_pulumi.service.errors import (
    Facts,
    Interrupted,
    OtherAccount,
    RoomNotFound,
    RtcAiError,
    TakenOver,
)
from rtcai_pulumi.service.retry import QUERY, Retrier

if TYPE_CHECKING:
    from rtcai_pulumi.journal.journal import Journal, JournalReader
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_LONG_WAIT: Final = 2.0
"""A wait of at least this many seconds is reported to the user."""
_TELL_AGAIN: Final = 30.0
"""Seconds between two messages about the same waiting call."""
_GLANCE: Final = 0.1
"""Seconds between two reads of another process's record."""


def _nothing(_: str) -> None:
    """Report to no one."""


@dataclass(slots=True)
class Run:
    """One plugin process: one phase (preview, update, refresh, destroy) of one stack."""

    connect: Callable[[], Client]
    """Returns the client; raises SettingsError if there are no credentials."""
    open_journal: Callable[[], Journal]
    """Returns the journal; raises JournalError if it cannot be used."""
    engine_lives: Callable[[], bool] = lambda: True
    """Whether the engine still waits for the results of this process."""
    report: Callable[[str], None] = _nothing
    """Shows a line to the user."""
    retrier: Retrier = field(default_factory=Retrier)
    sleep: Callable[[float], bool | None] = time.sleep
    """Waits for a number of seconds; returns true if the run was interrupted during the wait."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the engine has requested a stop: nothing new may be started."""
    clock: Callable[[], float] = time.monotonic
    read_journal: Callable[[], JournalReader] | None = None
    """Returns the journal for operations that a preview calls, which must not write; None: use `open_journal`."""
    known_settings: Callable[[], Settings | None] = lambda: None
    """The settings; None if they are missing or wrong: a preview does not need them."""
    state: Callable[[str], StackState | None] = lambda _: None
    """The state of the stack that an owner belongs to; None if it cannot be read."""
    takes_all: bool = False
    """Whether this run deletes every resource of the stack."""
    adopted: set[str] = field(default_factory=set)
    """Tasks that a state names as adopted. `adopt` is done for them, whatever has happened to them since."""
    lost: set[str] = field(default_factory=set)
    """Records that this process must still recover, by trace id: creates whose outcome is unknown, and records of
    earlier runs that a call took over and could not recover. An error hook may have the engine repeat that call."""
    staying: set[str] = field(default_factory=set)
    """Tasks that stay after this run, as ``{cid}/{taskId}``: `diff` found them unchanged, or `create` started them."""
    gone: set[str] = field(default_factory=set)
    """Tasks that `read` found gone, as ``{cid}/{taskId}``. `read` must not write this, because previews call it too."""
    elsewhere: set[str] = field(default_factory=set)
    """Tasks that an engine had and this stack's state no longer has, although no run on this machine closed them."""
    ended: set[int] = field(default_factory=set)
    """Rooms that this run has ended, by number: every agent that a state has in them has ended too."""
    named: set[tuple[int, str]] = field(default_factory=set)
    """Rooms in the state, each with its owner: `diff` receives them, also if they are to be replaced."""
    dropped: set[str] = field(default_factory=set)
    """The owners whose rooms are removed from the state in this run."""
    rooms: set[int] = field(default_factory=set)
    """Rooms that stay after this run, by number: `diff` found them unchanged, or `create` opened or adopted them."""

    @property
    def client(self) -> Client:
        """The service."""
        return self.connect()

    @property
    def journal(self) -> Journal:
        """The journal."""
        return self.open_journal()

    @property
    def records(self) -> JournalReader:
        """The journal, for reading."""
        return self.read_journal() if self.read_journal else self.journal

    def make_wait_reporter(self, cname: str) -> Callable[[RtcAiError, float], None]:
        """Return a function that reports why a call about a room waits, if the wait is long enough to notice."""
        told_at: float | None = None

        def tell(error: RtcAiError, seconds: float) -> None:
            nonlocal told_at
            now = self.clock()
            long = seconds >= _LONG_WAIT or isinstance(error, RoomNotFound)
            if long and (told_at is None or now - told_at >= _TELL_AGAIN):
                told_at = now
                self.report(f"room {cname}: {error.summary} Trying again in {seconds:.1f} seconds.")

        return tell

    def require_turn(self, trace_id: str) -> None:
        """Stop a create that no engine waits for; called immediately before its first byte is sent.

        Raises:
            TakenOver: another process owns the record, or the engine is gone.
            Interrupted: the run was interrupted.
        """
        record = self.journal.record(trace_id)
        if self.stopping():
            facts = Facts(room=record.cname if record else None, trace_id=trace_id)
            message = "The agent was not started: the run was interrupted."
            raise Interrupted(message, facts, "run it again")
        lives = self.engine_lives()
        sends = may_send(record, process=self.journal.process, engine_lives=lives)
        if not sends or (record is not None and self.is_superseded(record)):
            reason = "another run has taken it over" if lives else "the engine that asked for it is gone"
            message = f"The agent was not started: {reason}."
            raise TakenOver(message, Facts(room=record.cname if record else None, trace_id=trace_id))

    def is_superseded(self, record: Record) -> bool:
        """Whether a later run has an agent of the same owner, or has requested one."""
        records = self.journal.records(record.owner) if record.owner else []
        return is_superseded(records, process=self.journal.process)

    def is_room_gone(self, record: Record) -> bool:
        """Whether a task's room, and so the task, is definitely gone; if there is any doubt, the result is False."""
        try:
            require_room_api(record, self.client.settings)
            room = self.retrier.run(lambda: self.client.query_room(record.cname), QUERY)
        except RoomNotFound:
            return True
        except RtcAiError:
            return False
        return room.cid != record.cid

    def wait_for_process(self, record: Record) -> Record | None:
        """Wait while another process still works on a record, for at most the time that one of its attempts can take.

        Returns:
            The record after the wait; None if it no longer exists.
        """
        until = self.clock() + self.client.settings.timeout + 5
        current: Record | None = record
        if record.process == self.journal.process:
            return self.journal.record(record.trace_id)
        while current is not None and current.state is RecordState.ASKED and current.process == record.process:
            if not self.journal.is_running(record.process) or self.clock() >= until:
                break
            if self.sleep(_GLANCE):
                message = "The agent was not started: the run was interrupted."
                raise Interrupted(message, Facts(room=record.cname), "run it again")
            current = self.journal.record(record.trace_id)
        return current


def require_account(record: Record, settings: Settings) -> None:
    """Raise an error if the settings name another account, because its "not found" would mean nothing for this task.

    Raises:
        OtherAccount: the settings name another AppKey or endpoint than the task was started with.
    """
    app_key = ("RTCAI_APP_KEY (config rtcai:appKey)", settings.app_key, record.app_key)
    _require_same(record, app_key, ("RTCAI_ENDPOINT (config rtcai:endpoint)", settings.endpoint, record.endpoint))


def require_room_api(record: Record, settings: Settings) -> None:
    """Raise an error if the settings name another room API, because its answer would mean nothing for this task's room.

    Raises:
        OtherAccount: the settings name another room API than the task was started with.
    """
    name = "RTCAI_ROOM_ENDPOINT (config rtcai:roomEndpoint)"
    _require_same(record, (name, settings.room_endpoint, record.room_endpoint))


def _require_same(record: Record, *settings: tuple[str, str, str]) -> None:
    differences = [
        f"{name} is {given}, and the task was started under {stored}"
        for name, given, stored in settings
        if given != stored
    ]
    if differences:
        summary = f"The agent in room {record.cname} cannot be reached with these settings: {'; '.join(differences)}."
        facts = Facts(cid=record.cid, task=record.task_id, request_id=record.request_id, trace_id=record.trace_id)
        raise OtherAccount(summary, facts, "set the values that the task was started under, and run again")
