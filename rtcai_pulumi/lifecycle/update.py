"""`update`: the right agent runs; close what an earlier run left beside it, and change nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.lifecycle.create import ADDED_OUTPUTS
from rtcai_pulumi.lifecycle.settle import settle
from rtcai_pulumi.lifecycle.settling import beside_a_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.run import Run


def update(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Settle whatever stands beside the task that the engine knows.

    Returns:
        The outputs: the new inputs, and what the create added.

    Raises:
        RtcAiError: something beside the task may still run.
    """
    journal = run.journal
    run.shown.add(resource_id)
    records = journal.records(str(news["owner"]))
    settle(beside_a_task(records, process=journal.process, shown=run.shown, task=resource_id), news, run)
    return {**news, **{name: olds[name] for name in (*ADDED_OUTPUTS, "roomEndpoint") if name in olds}}
