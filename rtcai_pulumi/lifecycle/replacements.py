"""Keeps the failure of one room from silencing other rooms.

A replacement that stops first has two steps: the engine deletes the old agent, then creates the new one. After an error
of any resource the engine starts no further step. A room whose agent was deleted at that moment would have no agent
until the next `pulumi up`. Two rules prevent this, as far as the errors are ours:

- An error is returned to the engine only when no room is between the two steps of its replacement.
- From an error on, no agent is deleted to be replaced: its replacement would not be created.

Both apply only if an error ends the run: not with ``--continue-on-error``, and not for a resource with an error hook,
which may repair it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.service.errors import Facts, NotReplaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IDLE_SECONDS: Final = 5.0
"""How long an error waits while no call runs. Between two steps the engine only writes its state. If it starts no step
for this time, it never will: another provider's error has ended the run, or the step depends on what has failed."""
_STEP_SECONDS: Final = 0.25
"""How often a wait checks whether the engine still runs."""


class Replacements:
    """The calls of one run, and the replacements among them that stop first. Any thread may call every method.

    Args:
        ends_at_error: whether the engine starts no further step after an error; None: this is not known.
        has_ended: whether the engine starts no step any more, because it was interrupted or killed; nothing waits then.
        report: shows a message to the user.
        on_wait: called when a call begins to wait, in its thread.
        idle_seconds: how long an error waits while no call runs.
    """

    def __init__(
        self,
        ends_at_error: bool | None,
        has_ended: Callable[[], bool],
        report: Callable[[str], None],
        on_wait: Callable[[], None] = lambda: None,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._ends_at_error = ends_at_error
        self._has_ended = has_ended
        self._report = report
        self._on_wait = on_wait
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._running = 0
        """How many calls run now, without those whose error waits."""
        self._failed: set[str] = set()
        """The calls whose error ends the run."""
        self._compared: dict[str, str] = {}
        """The owner of each task that was compared with new inputs."""
        self._announced: set[str] = set()
        """The owners that were checked as new."""
        self._created: set[str] = set()
        """The owners whose create has begun: what is deleted of them afterwards has its successor."""
        self._between: dict[str, str] = {}
        """The room of each owner whose agent is being deleted, or is deleted, and whose next agent is not created."""
        self._reported: set[str] = set()

    @contextmanager
    def call(self, name: str, *, may_be_repeated: bool = False) -> Iterator[None]:
        """Run a call in the block. An error leaves the block only when no room is between two steps.

        Args:
            name: the verb and its resource: if the engine repeats a call, the earlier error did not end the run.
            may_be_repeated: whether an error hook may repair its error, so that the run continues.
        """
        with self._changed:
            self._failed.discard(name)
            self._running += 1
        try:
            try:
                yield
            finally:
                self._end_call()
        except Exception:
            self.fail(name, may_be_repeated=may_be_repeated)
            raise

    def fail(self, name: str, *, may_be_repeated: bool = False) -> None:
        """Note that a call has failed, and wait until no room is between two steps."""
        with self._changed:
            if not may_be_repeated:
                self._failed.add(name)
        if self._ends_at_error is not False:
            self._wait_for_replacements()

    def note_compared(self, id_: str, owner: str) -> None:
        """Note that the program still declares a task's resource: if the task is deleted, it is to be replaced."""
        with self._changed:
            self._compared[id_] = owner

    def note_announced(self, owner: str) -> None:
        """Note that the engine will create an agent for an owner; for ``--replace`` and a taint it compares nothing."""
        with self._changed:
            self._announced.add(owner)

    @contextmanager
    def deleting(self, id_: str, owner_in_state: str | None, cname: str) -> Iterator[None]:
        """Delete a task in the block. If it is deleted to be replaced, its room is between the two steps afterwards.

        Args:
            id_: the task.
            owner_in_state: the owner in its state; after a rename, another one than that of its replacement.
            cname: its room.

        Raises:
            NotReplaced: the run has failed, so the task must stay.
        """
        with self._changed:
            owner = self._compared.get(id_, owner_in_state if owner_in_state in self._announced else None)
            if owner in self._created:
                owner = None
            if owner is not None and self._failed and self._ends_at_error:
                summary = (
                    "The agent was not replaced, and keeps running: another resource of this run has failed, so its "
                    "replacement would not be started."
                )
                advice = "fix the other error of this run, then run `pulumi up` again"
                raise NotReplaced(summary, Facts(room=cname, task=id_), advice)
            if owner is not None:
                self._between[owner] = cname
        try:
            yield
        except BaseException:
            if owner is not None:
                self._finish(owner)
            raise

    @contextmanager
    def creating(self, owner: str | None) -> Iterator[None]:
        """Create the agent of an owner in the block. Its room is then no longer between two steps, even after an error:
        no further step of this run would start its agent.
        """
        if owner is None:
            yield
            return
        with self._changed:
            # If its old agent is deleted after this, the replacement starts first, and its room is never silent.
            self._created.add(owner)
        try:
            yield
        finally:
            self._finish(owner)

    def _finish(self, owner: str) -> None:
        with self._changed:
            if self._between.pop(owner, None) is not None:
                self._changed.notify_all()

    def _end_call(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _wait_for_replacements(self) -> None:
        with self._changed:
            if not self._between:
                return
            rooms = self._between_and_not_reported()
        self._on_wait()
        if rooms:
            self._report(f"a resource has failed; before the run ends, it waits for the new agents of: {rooms}")
        active_at = time.monotonic()
        # What reports or asks the operating system runs without the lock: it may take long.
        while not self._has_ended():
            with self._changed:
                if not self._between:
                    return
                if self._running:
                    active_at = time.monotonic()
                elif time.monotonic() - active_at > self._idle_seconds:
                    break
                self._changed.wait(_STEP_SECONDS)
        self._give_up()

    def _between_and_not_reported(self) -> str:
        new = set(self._between) - self._reported
        self._reported |= new
        return ", ".join(sorted(self._between[owner] for owner in new))

    def _give_up(self) -> None:
        """Report the rooms that were waited for in vain. Nothing waits for them any more."""
        with self._changed:
            rooms = ", ".join(sorted(self._between.values()))
            self._between.clear()
            self._changed.notify_all()
        if rooms:
            self._report(f"warning: these rooms have no agent now: {rooms}; `pulumi up` starts them again")
