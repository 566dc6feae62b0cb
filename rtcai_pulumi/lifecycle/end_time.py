"""The rules about the end of an agent, `ends_at`: nothing that is over is started or replaced.

The rules are pure functions of two times. They do not ask whether an agent was stopped: so they also hold on a machine
whose journal does not know that. ``tests/model/`` removes each rule and finds a broken promise.

The messages about an end are here too, so that every verb and command words them alike.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.end_time import ENDS_AT, ends_at_of, parse_end_time
from rtcai_pulumi.journal.record import KeepReason, Record
from rtcai_pulumi.service.errors import EndBeforeStart, EndPassed, Facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.lifecycle.context import Run

_SOON: Final = timedelta(hours=1)
"""`pulumi up` names each agent that ends within this time."""
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def has_ended(ends_at: str, now: datetime) -> bool:
    """Whether an end has passed.

    Args:
        ends_at: the end, as the journal stores it; empty if there is none.
        now: the time.
    """
    end = parse_end_time(ends_at)
    return end is not None and end <= now


def may_start(ends_at: str, now: datetime) -> bool:
    """Whether a create may start an agent: never after its end, whatever made the engine call it.

    It may be a first create, a replacement by `--replace` or a taint, or the second half of a replacement whose run was
    killed.
    """
    return not has_ended(ends_at, now)


def may_replace(ends_at: str, now: datetime) -> bool:
    """Whether `diff` may ask for another agent: an agent that is over is not replaced, whether or not it still runs.

    A change of its configuration starts nothing. The state keeps the configuration of the agent that ran, so the change
    is found when the end is moved into the future.
    """
    return not has_ended(ends_at, now)


def stays_in_state(ends_at: str, now: datetime) -> bool:
    """Whether a refresh keeps an agent or a room that no longer exists: it is over, so this is not a drift.

    If it left the state, the next `up` would create it.
    """
    return has_ended(ends_at, now)


def is_extended(before: str, after: str, now: datetime) -> bool:
    """Whether an end that has passed was moved into the future, or removed: the agent may have been stopped."""
    return has_ended(before, now) and not has_ended(after, now)


def may_stop(record: Record, now: datetime, grace: timedelta = timedelta()) -> bool:
    """Whether `rtcai sweep --over` stops the agent of a record, unless a running process works on it.

    The end of a retained agent counts too: `retain_on_delete` is about the resource. What the service has refused to
    stop is not tried again, because another machine has replaced it.

    Args:
        record: its record; a create without a response has no task to stop.
        now: the time.
        grace: how long an agent may run after its end.
    """
    return record.is_unfinished and record.kept is not KeepReason.REFUSED and has_ended(record.ends_at, now - grace)


def describe_end(ends_at: str, now: datetime) -> str:
    """Return how far away an end is, as in ``ends in 2 h 10 min`` or ``over for 3 h``; empty if there is none."""
    end = parse_end_time(ends_at)
    if end is None:
        return ""
    seconds = (end - now).total_seconds()
    return f"ends in {describe_span(seconds)}" if seconds > 0 else f"over for {describe_span(-seconds)}"


def describe_span(seconds: float) -> str:
    """Return a time span in its two largest units, as in ``3 d 4 h``, ``2 h 10 min`` or ``45 s``."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    larger, smaller, names = (
        (_DAY, _HOUR, ("d", "h"))
        if whole >= _DAY
        else (_HOUR, _MINUTE, ("h", "min"))
        if whole >= _HOUR
        else (_MINUTE, 1, ("min", "s"))
    )
    first, rest = divmod(whole, larger)
    second = rest // smaller
    return f"{first} {names[0]} {second} {names[1]}" if second else f"{first} {names[0]}"


def require_time_left(kind: str, cname: str, ends_at: str, now: datetime) -> None:
    """Refuse to start what is over.

    Args:
        kind: what would be started: an agent or a room.
        cname: the room's name.
        ends_at: its end.
        now: the time.

    Raises:
        EndPassed: its end has passed.
    """
    if not may_start(ends_at, now):
        summary = f"{kind} was not started: its end, {ENDS_AT}, was {ends_at} ({describe_end(ends_at, now)})."
        raise EndPassed(summary, Facts(room=cname), HOW_TO_START)


HOW_TO_START: Final = (
    f"set {ENDS_AT} (Python: ends_at) to a later time, or remove it, to start this; or remove the resource from the "
    "program"
)


def require_end_after_start(olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """Refuse an end before the start of the agent that has it: it is a mistake in the time.

    Args:
        olds: the outputs in the state.
        news: the new inputs.

    Raises:
        EndBeforeStart: the end is before the start. An end that was stored before is not checked again.
    """
    started, ends_at = parse_end_time(olds.get("createdAt")), ends_at_of(news)
    end = parse_end_time(ends_at)
    if end is None or started is None or end >= started or ends_at == ends_at_of(olds):
        return
    summary = f"{ENDS_AT}: {ends_at} is before the start of the agent, {olds['createdAt']}."
    facts = Facts(room=str(olds.get("cname")))
    raise EndBeforeStart(summary, facts, f"set {ENDS_AT} to the time at which the agent is to end, or remove it")


def warn_of_lost_create(inputs: Mapping[str, Any], run: Run) -> None:
    """Warn that `pulumi up` will stop what an earlier run has started for a resource that is over, and then fail."""
    ends_at = ends_at_of(inputs)
    run.report(
        f"warning: room {inputs.get('cname')}: {ENDS_AT} is {ends_at} ({describe_end(ends_at, run.now())}), and an "
        "earlier request to start its agent got no response. `pulumi up` stops that agent, starts none, and fails; "
        f"afterwards {HOW_TO_START}"
    )


def explain_refused_start(ends_at: str, now: datetime, *, what: str = "an agent is not started") -> str:
    """Return why an agent, or a room, that is over is not started, and what to do."""
    return (
        f"is {ends_at} ({describe_end(ends_at, now)}), and {what} after its end; to start it, set a later time, or "
        "remove the end; otherwise remove the resource (in an event, the room) from the program"
    )


def explain_refused_replacement(ends_at: str, now: datetime) -> str:
    """Return why an agent that is over is not replaced by ``--replace`` or a taint, and what to do."""
    return (
        f"was {ends_at} ({describe_end(ends_at, now)}), and an agent that is over is not replaced; set a later time, "
        "or remove it, to start the agent again; otherwise omit --replace, and take a taint back with `pulumi state "
        "untaint`"
    )


def report_end(cname: str, ends_at: str, run: Run) -> None:
    """Report an agent that ends within the next hour."""
    end, now = parse_end_time(ends_at), run.now()
    if end is not None and now < end <= now + _SOON:
        run.report(f"room {cname}: its agent {describe_end(ends_at, now)} ({ENDS_AT} {ends_at})")


def report_over(cname: str, ends_at: str, changed: tuple[str, ...], records: list[Record], run: Run) -> None:
    """Report what an agent that is over does not do any more: start with a changed configuration.

    Args:
        cname: its room.
        ends_at: its end.
        changed: the properties whose change would replace an agent that is not over.
        records: its records.
        run: shows the messages.
    """
    when = describe_end(ends_at, run.now())
    if changed:
        run.report(
            f"room {cname}: its agent is {when}, so the change of {', '.join(changed)} starts nothing. It takes effect "
            f"if {ENDS_AT} is moved into the future"
        )
    if any(may_stop(replace(record, ends_at=ends_at), run.now()) for record in records):
        run.report(
            f"warning: room {cname}: its agent is {when} and may still be running; `rtcai sweep --over --all` stops it"
        )


def warn_of_another_journal(cname: str, before: str, after: str, run: Run) -> None:
    """Warn that a later end is not known where the agent was started, if that machine has a journal of its own.

    Args:
        cname: the room of an agent that this journal did not know.
        before: the end in the state.
        after: the new end.
        run: shows the message.
    """
    if before and before != after:
        run.report(
            f"warning: room {cname}: its agent was started with another journal, which still has the end {before}. A "
            "scheduled `rtcai sweep --over` with that journal goes by that end. Run `pulumi up` there too, or let all "
            "machines use one journal (RTCAI_JOURNAL=postgresql://...)"
        )
