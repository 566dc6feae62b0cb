"""`diff`: does a changed program, or the journal, ask for another agent? The service has no update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import canonical, same
from rtcai_pulumi.config.conversation import options_of, starts_first
from rtcai_pulumi.config.paths import values_at
from rtcai_pulumi.journal.record import Kept, Record, kept_of
from rtcai_pulumi.lifecycle.context import require_account
from rtcai_pulumi.lifecycle.foresee import warn_of_two
from rtcai_pulumi.lifecycle.recovery_rules import beside_a_task, is_over, is_stale
from rtcai_pulumi.service.errors import OtherAccount

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run


@dataclass(frozen=True, slots=True)
class Difference:
    """What an engine has to do about the difference of old outputs and new inputs."""

    replaces: tuple[str, ...] = ()
    """The properties that ask for another agent; empty where the one that runs is right."""
    stop_first: bool = True
    """Whether the old agent is stopped before the new one starts."""
    settles: bool = False
    """Whether the right agent runs, and an update is to bring the journal, or what is beside the agent, into line."""


def diff(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> Difference:
    """Compare the canonical forms, and look into the journal; a preview calls this too, so nothing is written.

    In one room the old agent stops first, because two would talk to each other; with ``replaceStrategy`` "start-first"
    or ``delete_before_replace=False``, and into another room, the new one starts first.

    Args:
        resource_id: the task that the engine knows, ``{cid}/{taskId}``.
        olds: the outputs that the state holds; they repeat the inputs under their names.
        news: the new inputs, perhaps with unknowns, which count as a change.
        run: the journal; no request is sent.

    Raises:
        OtherAccount: the agent is to be replaced, and the settings name another account than it was started under.
    """
    if isinstance(olds.get("adopt"), str):
        run.adopted.add(olds["adopt"])
    records, owner = run.records.records_of_task(resource_id), news.get("owner")
    replaces = tuple(_changed(olds, news))
    if not replaces and (is_over(records, resource_id) or int(resource_id.partition("/")[0]) in run.ended):
        replaces = ("taskId",)
    _compare_accounts(resource_id, olds, run, replaced=bool(replaces))
    stop_first = "cname" not in replaces and not starts_first(news)
    if replaces:
        if kept_of(news) is Kept.RETAINED and news.get("cname") == olds.get("cname"):
            warn_of_two(resource_id, str(olds.get("cname")), run)
        return Difference(replaces, stop_first)
    run.staying.add(resource_id)
    of_owner = run.records.records(owner) if isinstance(owner, str) else []
    beside = beside_a_task(of_owner, process=run.records.process, lost=run.lost, task=resource_id)
    stale = any(is_stale(record, owner=owner, kept=kept_of(news)) for record in records)
    stale = stale or (kept_of(news) is Kept.RETAINED and not records)  # nobody here would know that it is retained
    return Difference(stop_first=stop_first, settles=bool(beside) or stale)


def _changed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> Iterator[str]:
    """The properties of which another value is another agent; and what ``replace_on_changes`` names besides."""
    old, new = canonical(olds), canonical(news)
    found = [name for name in dict.fromkeys((*new, *old)) if not same(old.get(name), new.get(name))]
    yield from found
    yield from (name for name in named_changes(olds, news) if name not in found)


def named_changes(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The properties that Pulumi's option ``replace_on_changes`` names and that have changed.

    The engine cannot tell: a dynamic provider names what replaces, and nothing of what merely changes.
    """
    found: dict[str, None] = {}
    for path in options_of(news).get("replaceOnChanges") or ():
        # What the service or the provider adds is no input; it does not change by a program.
        before, after = values_at({name: olds[name] for name in olds if name in news}, path), values_at(news, path)
        found |= {name: None for name in (*after, *before) if not same(before.get(name), after.get(name))}
    return list(found)


def _compare_accounts(resource_id: str, olds: Mapping[str, Any], run: Run, *, replaced: bool) -> None:
    """Say at preview that the settings name another account than the agent's, before anything is touched.

    Raises:
        OtherAccount: the agent is to be replaced, which would fail in the middle.
    """
    settings = run.known_settings()
    if settings is None:
        return
    try:
        require_account(Record.from_state(resource_id, olds, process=0), settings)
    except OtherAccount as error:
        if replaced:
            raise
        run.tell(f"warning: {error}")
