"""What all operations of one plugin process share: the service, the journal, and facts found during the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.journal.record import Record, RecordState, StackState, StateAgent
from rtcai_pulumi.lifecycle.account import require_account
from rtcai_pulumi.lifecycle.recovery_rules import is_being_closed, is_superseded, may_send
from rtcai_pulumi.service.errors import (
    Facts,
    Interrupted,
    RoomNotFound,
    RtcAiError,
    TakenOver,
)
from rtcai_pulumi.service.retry import QUERY, Retrier

if TYPE_CHECKING:
    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.journal.reader import JournalReader
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_LONG_WAIT: Final = 2.0
"""A wait of at least this many seconds is reported to the user."""
_REPORT_AGAIN: Final = 30.0
"""Seconds between two messages about the same waiting call."""
_POLL_INTERVAL: Final = 0.1
"""Seconds between two reads of another process's record."""


def explain_take_over(*, engine_lives: bool) -> tuple[str, str]:
    """Why this process may no longer start an agent, or keep it; and what to do."""
    if engine_lives:
        return "a later run of this stack manages it now", "wait until that run has ended, then run `pulumi up` again"
    return "the `pulumi` process that requested it has ended", "run `pulumi up` again"


def _interrupted_before_start(facts: Facts) -> Interrupted:
    return Interrupted("The agent was not started: the run was interrupted.", facts, "run it again")


def _discard(_: str) -> None:
    """Discard a message."""


@dataclass(slots=True)
class Run:
    """One plugin process: one phase (preview, update, refresh, destroy) of one stack."""

    connect: Callable[[], Client]
    """Returns the client; raises SettingsError if the credentials are not set."""
    open_journal: Callable[[], Journal]
    """Returns the journal; raises JournalError if it cannot be used."""
    engine_lives: Callable[[], bool] = lambda: True
    """Whether the engine still waits for the results of this process."""
    report: Callable[[str], None] = _discard
    """Shows a line to the user."""
    retrier: Retrier = field(default_factory=Retrier)
    sleep: Callable[[float], bool | None] = time.sleep
    """Waits for a number of seconds; returns true if the run was interrupted during the wait."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the engine has requested a stop: nothing new may be started."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, for the length of waits."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The time of day, in UTC."""
    read_journal: Callable[[], JournalReader] | None = None
    """Returns the journal for operations that a preview calls, which must not write; None: use `open_journal`."""
    known_settings: Callable[[], Settings | None] = lambda: None
    """The settings; None if they are missing or wrong: a preview does not need them."""
    state: Callable[[str], StackState | None] = lambda _: None
    """The state of the stack that an owner belongs to; None if it cannot be read."""
    destroys_stack: bool = False
    """Whether this run deletes every resource of the stack."""
    adopted_tasks: set[str] = field(default_factory=set)
    """Tasks that a state names as adopted: they are not adopted again, even if they were closed since."""
    unrecovered: set[str] = field(default_factory=set)
    """Records that this process must still recover, by trace id: creates whose outcome is unknown, and records of
    earlier runs that a call took over and could not recover. An error hook may have the engine repeat that call."""
    tasks_to_keep: set[str] = field(default_factory=set)
    """Tasks that stay after this run, as ``{cid}/{taskId}``: `diff` found them unchanged, or `create` started them."""
    newly_adopted: set[str] = field(default_factory=set)
    """Tasks that this run has adopted and that the journal did not know, as ``{cid}/{taskId}``."""
    gone_tasks: set[str] = field(default_factory=set)
    """Tasks that `read` found gone, as ``{cid}/{taskId}``. `read` must not write this, because previews call it too."""
    tasks_missing_from_state: set[str] = field(default_factory=set)
    """Tasks that an engine had and this stack's state no longer has, although no run on this machine closed them."""
    ended_rooms: set[int] = field(default_factory=set)
    """Rooms that this run has ended, by number: every agent that a state has in them has ended too."""
    state_rooms: set[tuple[int, str]] = field(default_factory=set)
    """Rooms in the state, each with its owner: `diff` receives them, also if they are to be replaced."""
    dropped_owners: set[str] = field(default_factory=set)
    """The owners whose rooms are removed from the state in this run."""
    rooms_to_keep: set[int] = field(default_factory=set)
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
        reported_at: float | None = None

        def report_wait(error: RtcAiError, seconds: float) -> None:
            nonlocal reported_at
            now = self.clock()
            is_long = seconds >= _LONG_WAIT or isinstance(error, RoomNotFound)
            if is_long and (reported_at is None or now - reported_at >= _REPORT_AGAIN):
                reported_at = now
                if isinstance(error, RoomNotFound):
                    self.report(f"room {cname}: the room does not exist yet; waiting for it (wait_for_room).")
                else:
                    self.report(f"room {cname}: {error.summary} Retrying (next attempt in {seconds:.1f} s).")

        return report_wait

    def require_still_wanted(self, record: Record) -> None:
        """Stop a create that no engine waits for; called immediately before its first byte is sent.

        Raises:
            TakenOver: another process owns the record, or the engine is gone.
            Interrupted: the run was interrupted.
            JournalError: the journal cannot be read, or does not show the other processes that this one runs.
        """
        journal, facts = self.journal, Facts(room=record.cname, trace_id=record.trace_id)
        journal.require_registration()
        engine_lives, process = self.engine_lives(), journal.process
        # In one query: what another process writes after it can no longer be noticed.
        records = journal.records(record.owner) if record.owner else filter(None, [journal.record(record.trace_id)])
        of_owner = {each.trace_id: each for each in records}
        engine_lives = engine_lives and self.engine_lives()  # the query may have waited for a database that restarts
        if self.stopping():
            raise _interrupted_before_start(facts)
        is_allowed = may_send(of_owner.get(record.trace_id), process=process, engine_lives=engine_lives)
        if not is_allowed or is_superseded(of_owner.values(), process=process):
            reason, advice = explain_take_over(engine_lives=engine_lives)
            raise TakenOver(f"The agent was not started: {reason}.", facts, advice)
        if is_being_closed(of_owner.values(), process=process):  # two agents would run for a moment
            message = "The agent was not started: another command is stopping the old agent of this resource."
            raise TakenOver(message, facts, "run `pulumi up` again; it starts the agent")

    def is_superseded(self, record: Record) -> bool:
        """Whether a later run has an agent of the same owner, or has requested one."""
        records = self.journal.records(record.owner) if record.owner else []
        return is_superseded(records, process=self.journal.process)

    def find_in_state(self, task: str, owner: str) -> StateAgent | None:
        """A task in the state of an owner's stack; None if the state does not have it, or cannot be read."""
        state = self.state(owner) if owner else None
        return next((agent for agent in (state.agents if state else ()) if agent.task == task), None)

    def is_room_gone(self, record: Record) -> bool:
        """Whether a task's room, and so the task, is definitely gone; if there is any doubt, the result is False."""
        try:
            require_account(record, self.client.settings, room_api=True)
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
            if self.sleep(_POLL_INTERVAL):
                raise _interrupted_before_start(Facts(room=record.cname))
            current = self.journal.record(record.trace_id)
        return current
