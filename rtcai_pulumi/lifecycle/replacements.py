"""Keeps the failure of one room from silencing other rooms.

A replacement that stops first has two steps: the engine deletes the old agent, then creates the new one. After an error
of any resource the engine starts no further step. A room whose agent was deleted at that moment would have no agent
until the next `pulumi up`. Two rules prevent this, as far as the errors are ours:

- An error is returned to the engine only when no room is between the two steps of its replacement.
- From an error on, no agent is deleted to be replaced: its replacement would not be created.

Both apply only if the run ends with its first error: with ``--continue-on-error`` it does not.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rtcai_pulumi.service.errors import Facts, NotReplaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_QUIET_SECONDS: Final = 15.0
"""How long an error waits if nothing happens: another provider's error may have ended the run already, and then the
engine never creates what it has deleted."""
_STEP_SECONDS: Final = 0.5
"""How often a wait checks whether the engine still runs."""


class Replacements:
    """The replacements of one run that stop first. Every method may be called from any thread.

    Args:
        ends_at_error: whether the engine starts no further step after an error; None: this is not known.
        has_ended: whether the engine starts no step any more, because it was interrupted or killed; nothing waits then.
        report: shows a message to the user.
        quiet_seconds: how long an error waits if no step begins or ends.
    """

    def __init__(
        self,
        ends_at_error: bool | None,
        has_ended: Callable[[], bool],
        report: Callable[[str], None],
        quiet_seconds: float = _QUIET_SECONDS,
    ) -> None:
        self._ends_at_error = ends_at_error
        self._has_ended = has_ended
        self._report = report
        self._quiet_seconds = quiet_seconds
        self._changed = threading.Condition()
        self._compared: dict[str, str] = {}
        """The owner of each task that was compared with new inputs, and has no successor yet."""
        self._tasks: dict[str, str] = {}
        """The same, by owner."""
        self._announced: set[str] = set()
        """The owners that were checked as new, and are not created yet."""
        self._between: dict[str, str] = {}
        """The room of each owner whose agent is being deleted, or is deleted, and whose next agent is not created."""
        self._steps = 0
        """How many steps of these owners run now."""
        self._has_failed = self._has_reported = False

    def note_compared(self, id_: str, owner: str) -> None:
        """Note that the program still declares a task's resource: if the task is deleted, it is to be replaced."""
        with self._changed:
            self._compared[id_] = owner
            self._tasks[owner] = id_

    def note_announced(self, owner: str) -> None:
        """Note that the engine will create an agent for an owner; for ``--replace`` and a taint it compares nothing."""
        with self._changed:
            self._announced.add(owner)

    @contextmanager
    def deleting(self, id_: str, owner_in_state: str, cname: str) -> Iterator[None]:
        """Delete a task in the block. If it is deleted to be replaced, its room is between the two steps afterwards.

        Args:
            id_: the task.
            owner_in_state: the owner in its state; after a rename, another one than that of its replacement.
            cname: its room.

        Raises:
            NotReplaced: the run has failed, so the task must stay.
        """
        with self._changed:
            owner = self._compared.pop(id_, owner_in_state if owner_in_state in self._announced else None)
            if owner is not None and self._has_failed and self._ends_at_error:
                summary = (
                    "The agent was not replaced, and keeps running: another resource of this run has failed, so its "
                    "replacement would not be started."
                )
                advice = "fix the first error of this run, then run `pulumi up` again"
                raise NotReplaced(summary, Facts(room=cname, task=id_), advice)
            if owner is not None:
                self._between[owner] = cname
                self._steps += 1
        if owner is None:
            yield
            return
        is_deleted = False
        try:
            yield
            is_deleted = True
        finally:
            self._end_step(None if is_deleted else owner)

    @contextmanager
    def creating(self, owner: str) -> Iterator[None]:
        """Create the agent of an owner in the block. Its room is then no longer between two steps, even after an error:
        no further step of this run would start its agent.
        """
        with self._changed:
            # A replacement that starts first: its old agent is deleted afterwards, and its room is never silent.
            self._announced.discard(owner)
            if task := self._tasks.pop(owner, None):
                self._compared.pop(task, None)
            is_between = owner in self._between
            self._steps += is_between
        try:
            yield
        finally:
            if is_between:
                self._end_step(owner)

    @contextmanager
    def holding_errors(self) -> Iterator[None]:
        """Let an error leave the block only when no other room is between two steps."""
        try:
            yield
        except Exception:
            self.hold()
            raise

    def hold(self) -> None:
        """Note that the run has failed, and wait until no room is between two steps."""
        with self._changed:
            self._has_failed = True
            if self._ends_at_error is False or not self._between:
                return
            is_first, self._has_reported = not self._has_reported, True
            rooms = ", ".join(sorted(self._between.values()))
            if is_first:
                self._report(
                    f"a resource has failed; before the run ends, the agents of these rooms are started: {rooms}"
                )
            left = self._quiet_seconds
            while self._between and left > 0 and not self._has_ended():
                has_changed = self._changed.wait(_STEP_SECONDS)
                left = self._quiet_seconds if has_changed or self._steps else left - _STEP_SECONDS

    def _end_step(self, finished_owner: str | None) -> None:
        with self._changed:
            self._steps -= 1
            if finished_owner is not None:
                self._between.pop(finished_owner, None)
            self._changed.notify_all()
