"""`update`: the right agent runs; bring the journal into line with the state, and close what is beside the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.lifecycle.create import ADDED_OUTPUTS
from rtcai_pulumi.lifecycle.settle import settle
from rtcai_pulumi.lifecycle.settling import beside_a_task
from rtcai_pulumi.lifecycle.task import kept_of, record_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.run import Run


def update(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Write down what the engine has shown of its task, then settle whatever stands beside it.

    Returns:
        The outputs: the new inputs, and what the create added.

    Raises:
        RtcAiError: something beside the task may still run.
    """
    journal, owner = run.journal, str(news["owner"])
    if not journal.records_of_task(resource_id):  # another machine's run has started it
        journal.add(record_of(resource_id, {**olds, "owner": owner}, process=journal.process))
    journal.claim(resource_id, owner=owner, kept=kept_of(news))
    left = beside_a_task(journal.records(owner), process=journal.process, lost=run.lost, task=resource_id)
    settle(left, news, run)
    return {**news, **{name: olds[name] for name in (*ADDED_OUTPUTS, "roomEndpoint") if name in olds}}
