"""`delete`: stop the agent. An agent that no longer exists counts as success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.lifecycle.close import close_task
from rtcai_pulumi.lifecycle.recovery import recover
from rtcai_pulumi.lifecycle.recovery_rules import is_closed, steps_after_delete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.journal.journal import Journal
    from rtcai_pulumi.lifecycle.context import Run


def delete(resource_id: str, outputs: Mapping[str, Any], run: Run) -> None:
    """Close the task, then recover the records of its owner that earlier runs left and never returned to an engine.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: the outputs in the state.
        run: the service and the journal.

    Raises:
        OtherAccount: the settings name another AppKey or endpoint than the task was started with.
        RtcAiError: an agent may still be in the room; the state must be kept.
    """
    if resource_id in run.newly_adopted:
        return  # the engine replaces the resource that has adopted it before, and the new one has the same agent
    agent, journal = DesiredAgent(outputs), run.journal
    records = journal.records_of_task(resource_id)
    if not is_closed(records, resource_id):
        known = next(iter(records), None)
        close_task(known or journal.add(Record.from_state(resource_id, outputs, process=journal.process)), run)
    # The engine keeps the outputs of an unchanged resource: after a rename only the journal has the new owner.
    owners = {record.owner for record in records if record.owner}
    for owner in sorted(owners):
        _recover_leftovers(journal.records(owner), agent, run)
    if agent.owner and agent.owner not in owners:
        _recover_leftovers(_records_of_ended_runs(journal, agent.owner), agent, run)


def _recover_leftovers(records: list[Record], agent: DesiredAgent, run: Run) -> None:
    recover(steps_after_delete(records, process=run.journal.process, unrecovered=run.unrecovered), agent, run)


def _records_of_ended_runs(journal: Journal, owner: str) -> list[Record]:
    """The records of a former name of this resource. The name may be used again: records of a running process stay."""
    return [record for record in journal.records(owner) if record.handed or not journal.is_running(record.process)]
