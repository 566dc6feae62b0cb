"""`update`: the right agent runs; correct the journal, and close other agents that belong to the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.journal.record import Record, keep_reason_of
from rtcai_pulumi.lifecycle.create import ADDED_OUTPUTS
from rtcai_pulumi.lifecycle.recovery import recover
from rtcai_pulumi.lifecycle.recovery_rules import steps_next_to_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.context import Run


def update(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Write the task that the engine has in its state, then recover the other unfinished records of its owner.

    Returns:
        The outputs: the new inputs, and the outputs that the create added.

    Raises:
        RtcAiError: another agent may still run next to the task.
    """
    agent, journal = DesiredAgent(news), run.journal
    owner = str(news["owner"])
    if not journal.records_of_task(resource_id):  # another machine's run has started it
        journal.add(Record.from_state(resource_id, {**olds, "owner": owner}, process=journal.process))
    journal.claim(resource_id, owner=owner, kept=keep_reason_of(news))
    steps = steps_next_to_task(
        journal.records(owner), process=journal.process, unrecovered=run.unrecovered, task=resource_id
    )
    recover(steps, agent, run)
    return {**news, **{name: olds[name] for name in (*ADDED_OUTPUTS, "roomEndpoint") if name in olds}}
