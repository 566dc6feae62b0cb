"""What all verbs of one plugin process share: the service, the journal, and facts learnt during the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from rtcai_pulumi.journal.record import Record, StackState, State
from rtcai_pulumi.lifecycle.recovery_rules import is_superseded, may_send
from rtcai_pulumi.service.errors import (
    ConnectionFailed,
    Facts,
    Interrupted,
    OtherAccount,
    OutcomeUnknown,
    Refused,
    RoomNotFound,
    RtcAiError,
    TakenOver,
    TaskNotFound,
)
from rtcai_pulumi.service.retry import HARMLESS, QUERY, Retrier

if TYPE_CHECKING:
    from rtcai_pulumi.journal.journal import Journal, JournalReader
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_LONG_WAIT: Final = 2.0
"""From how many seconds on a wait is told to the user."""
_TELL_AGAIN: Final = 30.0
"""Seconds between two lines about one call that waits."""
_GLANCE: Final = 0.1
"""Seconds between two looks at another process's record."""


def _nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Run:
    """One plugin process: one phase (preview, update, refresh, destroy) of one stack."""

    connect: Callable[[], Client]
    """Gives the client; raises SettingsError where there are no credentials."""
    open_journal: Callable[[], Journal]
    """Gives the journal; raises JournalError where it cannot be used."""
    engine_lives: Callable[[], bool] = lambda: True
    """Whether anybody waits for the answers of this process."""
    tell: Callable[[str], None] = _nothing
    """Shows a line to the user."""
    retrier: Retrier = field(default_factory=Retrier)
    sleep: Callable[[float], bool | None] = time.sleep
    """Waits for seconds; returns true where the run was interrupted meanwhile."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the engine has asked to stop: nothing new may be started."""
    clock: Callable[[], float] = time.monotonic
    read_journal: Callable[[], JournalReader] | None = None
    """Gives the journal to verbs that a preview calls, which must write nothing; None: `open_journal` does."""
    known_settings: Callable[[], Settings | None] = lambda: None
    """The settings; None where there are none, or wrong ones: a preview needs none."""
    state: Callable[[str], StackState | None] = lambda _: None
    """The state of the stack that an owner belongs to; None where it cannot be read."""
    takes_all: bool = False
    """Whether every resource of the stack goes in this run."""
    adopted: set[str] = field(default_factory=set)
    """Tasks that a state says were adopted once; `adopt` is over for them, whatever has become of them since."""
    lost: set[str] = field(default_factory=set)
    """Records that this process owes, by trace id: creates whose outcome nobody knows, and what earlier runs left and a
    call took over and could not settle. An error hook may have the engine repeat that call."""
    staying: set[str] = field(default_factory=set)
    """Tasks that stay after this run, as ``{cid}/{taskId}``: `diff` found them unchanged, or `create` started them."""
    gone: set[str] = field(default_factory=set)
    """Tasks that `read` has found gone, as ``{cid}/{taskId}``; it must not write that down: previews call it too."""
    elsewhere: set[str] = field(default_factory=set)
    """Tasks that an engine had, and that no state of this stack has any more, though no run of here has closed them."""
    ended: set[int] = field(default_factory=set)
    """Rooms that this run has ended, by number: whatever agent a state has in them is over."""
    named: set[tuple[int, str]] = field(default_factory=set)
    """Rooms that the state names, each with its owner: `diff` is shown them, also where they are to be replaced."""
    dropped: set[str] = field(default_factory=set)
    """The owners whose rooms leave the state in this run."""
    rooms: set[int] = field(default_factory=set)
    """Rooms that stay after this run, by number: `diff` found one unchanged, or `create` opened or took it."""

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
        """The journal, to look into."""
        return self.read_journal() if self.read_journal else self.journal

    def telling_why(self, cname: str) -> Callable[[RtcAiError, float], None]:
        """Tells the user why a call about a room waits, where that takes long enough to wonder about."""
        told_at: float | None = None

        def tell(error: RtcAiError, seconds: float) -> None:
            nonlocal told_at
            now = self.clock()
            long = seconds >= _LONG_WAIT or isinstance(error, RoomNotFound)
            if long and (told_at is None or now - told_at >= _TELL_AGAIN):
                told_at = now
                self.tell(f"room {cname}: {error.summary} Trying again in {seconds:.1f} seconds.")

        return tell

    def require_turn(self, trace_id: str) -> None:
        """Stop a create that nobody waits for: asked right before its first byte is sent.

        Raises:
            TakenOver: another process answers for the record, or the engine is gone.
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
        """Whether a later run has an agent of the same owner, or has asked for one."""
        records = self.journal.records(record.owner) if record.owner else []
        return is_superseded(records, process=self.journal.process)

    def close(self, record: Record) -> None:
        """Close the task of a record: journal "closing", close, journal "closed".

        Raises:
            RtcAiError: the agent may still be in the room; where it surely is, the record says "open" again.
        """
        require_account(record, self.client.settings)
        was_open = self.journal.closing(record)
        unknown, tell = False, self.telling_why(record.cname)

        def waiting(error: RtcAiError, seconds: float) -> None:
            nonlocal unknown
            unknown = unknown or isinstance(error, OutcomeUnknown)
            tell(error, seconds)

        try:
            self._request_close(record, waiting)
        except (Refused, ConnectionFailed):
            # What an earlier request came to nobody knows: it may have closed the task.
            if was_open and not unknown:
                self.journal.not_closing(record)
            raise
        self.journal.closed(str(record.task))

    def close_unwritten(self, record: Record) -> None:
        """Close a task of which the journal cannot be told.

        Raises:
            RtcAiError: the agent may still be in the room.
        """
        self._request_close(record, self.telling_why(record.cname))

    def _request_close(self, record: Record, waiting: Callable[[RtcAiError, float], None]) -> None:
        """Have the service close a task; that it, or its room, is not there any more is as good."""
        client, cid, task_id, trace_id = self.client, record.cid or 0, record.task_id or "", uuid4().hex

        def attempt() -> None:
            client.close_task(cid, task_id, cname=record.cname, trace_id=trace_id)

        try:
            self.retrier.run(attempt, HARMLESS, waiting)
        except (TaskNotFound, RoomNotFound):
            return
        except Refused:
            if not self.room_is_gone(record):  # else there is nothing left that could be closed
                raise

    def room_is_gone(self, record: Record) -> bool:
        """Whether a task's room is surely gone, and the task with it; a doubt is no "gone"."""
        try:
            require_room_api(record, self.client.settings)
            room = self.retrier.run(lambda: self.client.query_room(record.cname), QUERY)
        except RoomNotFound:
            return True
        except RtcAiError:
            return False
        return room.cid != record.cid

    def settled_by_its_process(self, record: Record) -> Record | None:
        """Wait for another process that still works on a record; for as long as one attempt of it can take.

        Returns:
            The record as it is then; None where it is gone.
        """
        until = self.clock() + self.client.settings.timeout + 5
        current: Record | None = record
        if record.process == self.journal.process:
            return self.journal.record(record.trace_id)
        while current is not None and current.state is State.ASKED and current.process == record.process:
            if not self.journal.lives(record.process) or self.clock() >= until:
                break
            if self.sleep(_GLANCE):
                message = "The agent was not started: the run was interrupted."
                raise Interrupted(message, Facts(room=record.cname), "run it again")
            current = self.journal.record(record.trace_id)
        return current


def require_account(record: Record, settings: Settings) -> None:
    """Refuse to speak of a task to an account that does not know it: its "not there" would mean nothing.

    Raises:
        OtherAccount: the settings name another AppKey or endpoint than the task was started under.
    """
    app_key = ("RTCAI_APP_KEY (config rtcai:appKey)", settings.app_key, record.app_key)
    _require_same(record, app_key, ("RTCAI_ENDPOINT (config rtcai:endpoint)", settings.endpoint, record.endpoint))


def require_room_api(record: Record, settings: Settings) -> None:
    """Refuse to believe another room API about the room of a task.

    Raises:
        OtherAccount: the settings name another room API than the one at the task's start.
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
