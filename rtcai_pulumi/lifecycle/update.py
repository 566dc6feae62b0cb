"""`update`: the right agent runs; correct the journal, and close other agents that belong to the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import CONFIGURATION, DesiredAgent
from rtcai_pulumi.config.end_time import ends_at_of
from rtcai_pulumi.journal.record import Record, keep_reason_of
from rtcai_pulumi.lifecycle.create import ADDED_OUTPUTS
from rtcai_pulumi.lifecycle.end_time import may_replace, warn_of_another_journal
from rtcai_pulumi.lifecycle.recovery import recover
from rtcai_pulumi.lifecycle.recovery_rules import is_over, steps_next_to_task
from rtcai_pulumi.service.errors import Facts, TakenOver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.context import Run


def update(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Write the task that the engine has in its state, then recover the other unfinished records of its owner.

    Returns:
        The outputs: the new inputs, and the outputs that the create added. For an agent that is over, they have the
        configuration with which it ran.

    Raises:
        TakenOver: `rtcai sweep --over` is stopping the agent, or has stopped it, since `diff` was called.
        RtcAiError: another agent may still run next to the task.
    """
    agent, journal = DesiredAgent(news), run.journal
    owner = str(news["owner"])
    records = journal.records_of_task(resource_id)  # with the end that a sweep has seen
    if not records:  # another machine's run has started it
        journal.add(Record.from_state(resource_id, {**olds, "owner": owner}, process=journal.process))
        warn_of_another_journal(agent.cname, ends_at_of(olds), agent.ends_at, run)
    journal.claim(resource_id, owner=owner, kept=keep_reason_of(news), ends_at=agent.ends_at)
    continues = may_replace(agent.ends_at, run.now())
    if continues and (ends_at_of(olds) or any(record.ends_at for record in records)):
        _require_not_stopped(resource_id, agent, run)
    steps = steps_next_to_task(
        journal.records(owner), process=journal.process, unrecovered=run.unrecovered, task=resource_id
    )
    recover(steps, agent, run, task_to_keep=resource_id)
    outputs = {**news, **{name: olds[name] for name in (*ADDED_OUTPUTS, "roomEndpoint") if name in olds}}
    if continues:
        return outputs
    ran_with = {name: olds[name] for name in CONFIGURATION if name in olds}
    return {**{name: value for name, value in outputs.items() if name not in CONFIGURATION}, **ran_with}


def _require_not_stopped(resource_id: str, agent: DesiredAgent, run: Run) -> None:
    """Refuse to store a later end for an agent that is being stopped: the state would name an agent that is gone.

    The new end is in the journal before this check, and a sweep closes a task only if its end is unchanged. So either
    the sweep leaves the agent alone, or this check sees that the agent is being stopped.
    """
    if is_over(run.journal.records_of_task(resource_id), resource_id):
        message = "The agent was stopped while its end was being moved: its old end had passed."
        raise TakenOver(
            message, Facts(room=agent.cname, task=resource_id), "run `pulumi up` again; it starts a new agent"
        )
