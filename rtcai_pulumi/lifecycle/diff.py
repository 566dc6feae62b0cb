"""`diff`: does a changed program, or the journal, ask for another agent? The service has no update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import canonical, same
from rtcai_pulumi.lifecycle.settling import beside_a_task, is_over

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.run import Run


@dataclass(frozen=True, slots=True)
class Difference:
    """What an engine has to do about the difference of old outputs and new inputs."""

    replaces: tuple[str, ...] = ()
    """The properties that ask for another agent; empty where the one that runs is right."""
    stop_first: bool = True
    """Whether the old agent is stopped before the new one starts."""
    settles: bool = False
    """Whether the right agent runs, and an update is to close what an earlier run left beside it."""


def diff(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> Difference:
    """Compare the canonical forms, and ask the journal.

    In one room the old agent stops first, because two would talk to each other; with ``replaceStrategy`` "start-first",
    and into another room, the new one starts first.

    Args:
        resource_id: the task that the engine knows, ``{cid}/{taskId}``.
        olds: the outputs that the state holds; they repeat the inputs under their names.
        news: the new inputs, perhaps with unknowns, which count as a change.
        run: the journal; no request is sent.
    """
    if isinstance(olds.get("adopt"), str):
        run.adopted.add(olds["adopt"])
    journal, owner = run.journal, news.get("owner")
    if isinstance(owner, str):
        # A resource, or its stack, was renamed: whoever takes its old name must not find this task as left by a run.
        journal.reown(resource_id, owner)
    old, new = canonical(olds), canonical(news)
    replaces = tuple(name for name in dict.fromkeys((*new, *old)) if not same(old.get(name), new.get(name)))
    stop_first = "cname" not in replaces and news.get("replaceStrategy") != "start-first"
    if not replaces and is_over(journal.records_of_task(resource_id), resource_id):
        replaces = ("taskId",)
    if replaces:
        if not stop_first:
            run.shown.add(resource_id)
        return Difference(replaces, stop_first)
    records = journal.records(owner) if isinstance(owner, str) else []
    beside = beside_a_task(records, process=journal.process, shown=run.shown, task=resource_id)
    return Difference(stop_first=stop_first, settles=bool(beside))
