"""`diff`: does a changed program, or the journal, require another agent? The service has no update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import DesiredAgent, is_same
from rtcai_pulumi.config.conversation import options_of, starts_first
from rtcai_pulumi.config.end_time import ENDS_AT, ends_at_of, next_end_of, normalize_end_time
from rtcai_pulumi.config.paths import find_values
from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.record import KeepReason, Record, keep_reason_of
from rtcai_pulumi.lifecycle.account import compare_accounts, is_account_of
from rtcai_pulumi.lifecycle.end_time import (
    is_extended,
    may_replace,
    report_end,
    report_over,
    require_end_after_start,
)
from rtcai_pulumi.lifecycle.foresee import warn_of_two
from rtcai_pulumi.lifecycle.recovery_rules import is_over, is_stale, steps_next_to_task

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


@dataclass(frozen=True, slots=True)
class Difference:
    """What an engine has to do about the difference between old outputs and new inputs."""

    replaces: tuple[str, ...] = ()
    """The properties that require another agent; empty if the running agent is right."""
    stop_first: bool = True
    """Whether the old agent is stopped before the new one starts."""
    needs_recovery: bool = False
    """Whether the running agent is right, but an update must correct the journal or close other agents next to it."""


def diff(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> Difference:
    """Compare the canonical forms, and read the journal. A preview calls this too, so nothing is written.

    In the same room the old agent stops first, because two agents would talk to each other. The new agent starts first
    with ``replaceStrategy`` "start-first" or ``delete_before_replace=False``, and if the room is another one.

    An agent that is over is never replaced. If its end is moved into the future, it is replaced unless it still runs.

    Args:
        resource_id: the task that the engine knows, ``{cid}/{taskId}``.
        olds: the outputs in the state; they repeat the inputs under their names.
        news: the new inputs. They may contain unknowns, which count as a change.
        run: the journal. No request is sent, except a query of the room if an end that has passed was moved.

    Raises:
        EndBeforeStart: the new end is before the start of the agent.
        OtherAccount: the agent is to be replaced, and the settings name another account than it was started with.
    """
    require_end_after_start(olds, news)
    if isinstance(olds.get("adopt"), str):
        run.adopted_tasks.add(olds["adopt"])
    records, owner = run.records.records_of_task(resource_id), news.get("owner")
    ends_at = next_end_of(olds, news)
    replaces = changes = tuple(_find_changes(olds, news))
    if not may_replace(ends_at, run.now()):
        replaces = ()
    elif not replaces and _is_gone(resource_id, olds, news, records, run):
        replaces = ("taskId",)
    if (settings := run.known_settings()) is not None and not is_account_of(olds, settings):
        compare_accounts(Record.from_state(resource_id, olds, process=0), settings, run, is_replaced=bool(replaces))
    stop_first = "cname" not in replaces and not starts_first(news)
    if replaces:
        if keep_reason_of(news) is KeepReason.RETAINED and news.get("cname") == olds.get("cname"):
            warn_of_two(resource_id, str(olds.get("cname")), run)
        return Difference(replaces, stop_first)
    run.tasks_to_keep.add(resource_id)
    if may_replace(ends_at, run.now()):
        report_end(str(olds.get("cname")), ends_at, run)
    else:
        report_over(str(olds.get("cname")), ends_at, changes, records, run)
    of_owner = run.records.records(owner) if isinstance(owner, str) else []
    leftovers = steps_next_to_task(of_owner, process=run.records.process, unrecovered=run.unrecovered, task=resource_id)
    stale = any(is_stale(record, owner=owner, kept=keep_reason_of(news), ends_at=ends_at) for record in records)
    stale = stale or (
        keep_reason_of(news) is KeepReason.RETAINED and not records
    )  # else no record here says that it is retained
    stale = stale or normalize_end_time(olds.get(ENDS_AT)) != normalize_end_time(news.get(ENDS_AT))
    return Difference(stop_first=stop_first, needs_recovery=bool(leftovers) or stale)


def _is_gone(
    resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], records: list[Record], run: Run
) -> bool:
    """Whether the agent in the state definitely does not run any more, and has to be started again.

    If an end that has passed was moved into the future, the agent may have been stopped on another machine, and a
    refresh has kept it in the state although its room is gone.
    """
    if is_over(records, resource_id) or TaskReference.parse(resource_id).cid in run.ended_rooms:
        return True
    if not is_extended(ends_at_of(olds), next_end_of(olds, news), run.now()):
        return False
    if not records or resource_id in run.gone_tasks:
        return True
    return run.known_settings() is not None and run.is_room_gone(records[0])


def _find_changes(olds: Mapping[str, Any], news: Mapping[str, Any]) -> Iterator[str]:
    """The properties that require another agent if they change, and those that ``replace_on_changes`` names."""
    before, after = DesiredAgent(olds), DesiredAgent(news)
    changes: list[str] = []
    if not is_same(before.configuration, after.configuration):  # in most calls they are, and need no canonical form
        old, new = before.canonical, after.canonical
        changes = [name for name in dict.fromkeys((*new, *old)) if not is_same(old.get(name), new.get(name))]
    yield from changes
    yield from (name for name in find_named_changes(olds, news) if name not in changes)


def find_named_changes(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The properties that Pulumi's option ``replace_on_changes`` names and that have changed.

    The engine cannot find them: a dynamic provider returns which properties replace, but not which merely change.
    """
    changes: dict[str, None] = {}
    for path in options_of(news).get("replaceOnChanges") or ():
        # Outputs that the service or the provider adds are not inputs; a program does not change them.
        before, after = find_values({name: olds[name] for name in olds if name in news}, path), find_values(news, path)
        changes |= {name: None for name in (*after, *before) if not is_same(before.get(name), after.get(name))}
    return list(changes)
