"""Warnings about a future create, shown at preview: with ``--replace`` and a taint, the engine does not call `diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.problems import TWO_AGENTS
from rtcai_pulumi.journal.record import KeepReason, RecordState, keep_reason_of
from rtcai_pulumi.lifecycle.account import compare_accounts
from rtcai_pulumi.lifecycle.end_time import warn_of_passed_end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.context import Run


def foresee(inputs: Mapping[str, Any], run: Run) -> None:
    """Warn of what a create will find. Nothing is written, and no request is sent.

    Args:
        inputs: the inputs of a resource for which the engine passes no old inputs.
        run: the journal, and the settings.
    """
    warn_of_passed_end(inputs, run)
    owner = inputs.get("owner")
    for record in run.records.records(owner) if isinstance(owner, str) else ():
        if record.state is RecordState.OPEN and record.handed:
            if (settings := run.known_settings()) is not None:
                compare_accounts(record, settings, run, is_replaced=False)
            if record.kept is keep_reason_of(inputs) is KeepReason.RETAINED and record.cname == inputs.get("cname"):
                warn_of_two(str(record.task), record.cname, run)


def warn_of_two(task: str, cname: str, run: Run) -> None:
    """Warn that a retained agent and its replacement will talk to each other."""
    run.report(
        f"warning: room {cname}: retain_on_delete keeps task {task} running next to its replacement. {TWO_AGENTS} "
        f"Remove the option, or stop the old agent afterwards with `rtcai close {task}`."
    )
