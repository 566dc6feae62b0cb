"""What a future create will find, known at preview: with ``--replace`` and a taint, the engine does not call `diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.conversation import former_owners
from rtcai_pulumi.config.end_time import ENDS_AT, ends_at_of
from rtcai_pulumi.config.problems import TWO_AGENTS, Problem
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import KeepReason, RecordState, keep_reason_of
from rtcai_pulumi.lifecycle.account import compare_accounts
from rtcai_pulumi.lifecycle.end_time import (
    explain_refused_replacement,
    explain_refused_start,
    may_start,
    warn_of_lost_create,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.context import Run


def foresee(inputs: Mapping[str, Any], run: Run) -> list[Problem]:
    """Find what a create will find. Nothing is written, and no request is sent.

    Args:
        inputs: the inputs of a resource for which the engine passes no old inputs.
        run: the journal, the state and the settings.

    Returns:
        Why the create must not even begin: the agent is over. If it is in the state, the engine may delete the old
        resource before it creates the new one, and would then have none. If it is not, the failure of its create in the
        middle of the update would cancel the steps of other resources, whose old agents were stopped already.
    """
    owner = inputs.get("owner")
    records = run.records.records(owner) if isinstance(owner, str) else []
    if not may_start(ends_at_of(inputs), run.now()) and not run.destroys_stack:
        if _is_in_state(inputs, run):
            return [Problem(ENDS_AT, explain_refused_replacement(ends_at_of(inputs), run.now()))]
        if not any(record.state is RecordState.ASKED for record in records):
            return [Problem(ENDS_AT, explain_refused_start(ends_at_of(inputs), run.now()))]
        # Only `create` can find the task of a lost create, and stop it. Then it refuses to start an agent.
        warn_of_lost_create(inputs, run)
    for record in records:
        if record.state is RecordState.OPEN and record.handed:
            if (settings := run.known_settings()) is not None:
                compare_accounts(record, settings, run, is_replaced=False)
            if record.kept is keep_reason_of(inputs) is KeepReason.RETAINED and record.cname == inputs.get("cname"):
                warn_of_two(str(record.task), record.cname, run)
    return []


def _is_in_state(inputs: Mapping[str, Any], run: Run) -> bool:
    """Whether the stack's state has the resource; False if the state cannot be read, because `create` asks again."""
    owner = inputs.get("owner")
    state = run.state(owner) if isinstance(owner, str) else None
    urns = {urn_of(each) for each in (owner, *former_owners(inputs)) if isinstance(each, str)}
    return state is not None and any(agent.urn in urns for agent in state.agents)


def warn_of_two(task: str, cname: str, run: Run) -> None:
    """Warn that a retained agent and its replacement will talk to each other."""
    run.report(
        f"warning: room {cname}: retain_on_delete keeps task {task} running next to its replacement. {TWO_AGENTS} "
        f"Remove the option, or stop the old agent afterwards with `rtcai close {task}`."
    )
