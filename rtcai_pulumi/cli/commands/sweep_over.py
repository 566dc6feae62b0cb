"""``rtcai sweep --over``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import typer

from rtcai_pulumi.cli.output import exit_on_error, print_json, print_line, print_message
from rtcai_pulumi.cli.session import open_for_writing, open_service, require_settings
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.maintenance.over import (
    OverItem,
    OverOutcome,
    OverPlan,
    RoomItem,
    RoomOutcome,
    Selection,
    end_rooms,
    over_to_json,
    plan_over,
    stop_agents,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtcai_pulumi.journal.journal import Journal

STOPPED_SOME: Final = 4
"""Exit code: agents were stopped, or rooms ended, and nothing failed."""
_FAILED: Final = 1
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_GRACE: Final = 365 * _SECONDS["d"]
_HEADINGS: Final = {
    OverOutcome.TO_STOP: "To stop, over",
    OverOutcome.STOPPED: "Stopped",
    OverOutcome.FAILED: "Not stopped",
    OverOutcome.IN_USE: "Skipped, in use by a running process",
    OverOutcome.LOST: "Not stopped: the request to start the agent got no response, so its task is unknown",
}
_ROOM_HEADINGS: Final = {
    RoomOutcome.TO_END: "Rooms to end if no one is in them",
    RoomOutcome.ENDED: "Rooms ended",
    RoomOutcome.LEFT_OPEN: "Rooms left open",
    RoomOutcome.FAILED: "Rooms not ended",
}
_JOURNAL_ADVICE: Final = (
    "use the journal of the machine and the user that run `pulumi up`: set RTCAI_JOURNAL, or name it with --journal. "
    "The first `pulumi up` creates it"
)
_LOST_ADVICE: Final = (
    "run `pulumi up`, which finds the agent, stops it and reports that its end has passed. If no program declares the "
    "agent any more, check the room. If an agent is in it, end the room with `rtcai end-room`, which disconnects "
    "everyone. Then remove the record: `rtcai forget` with the trace id"
)


def parse_duration(text: str) -> timedelta:
    """Return a duration such as ``90s``, ``5m`` or ``1h30m``.

    Raises:
        BadParameter: the text has another form.
    """
    parts = re.findall(r"(\d{1,8})([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is not a duration: give a number and s, m, h or d, as in 90s, 5m or 1h30m")
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST_GRACE:
        raise typer.BadParameter(f"{text!r} is more than 365 days")
    return timedelta(seconds=seconds)


def sweep_over(selection: Selection, journal: str | None, grace: timedelta, *, dry_run: bool, as_json: bool) -> int:
    """Stop the agents whose time is over; returns the exit code of the command.

    The credentials are read even if there is nothing to do, so a scheduled command without them is noticed before the
    first agent is over. For the same reason, a journal that does not exist is an error: another user, another machine
    or a missing RTCAI_JOURNAL would leave the agents running.
    """
    now = datetime.now(UTC)
    with exit_on_error("sweep"):
        if not dry_run:
            require_settings()
        with open_for_writing(journal, advice=_JOURNAL_ADVICE) as opened:
            plan = plan_over(opened, selection, now, grace)
            if not plan.is_stack_known:
                print_message(f"The journal has no agent of a stack called {selection.stack}.")
            _print_plan(plan, now, is_dry_run=dry_run, to_stderr=as_json)
            items, rooms = plan.items, plan.rooms
            if not dry_run and (items or rooms):
                items, rooms = _carry_out(plan, opened, now, to_stderr=as_json)
    if as_json:
        print_json({**over_to_json(items, rooms, now, grace), "stackKnown": plan.is_stack_known})
    return _exit_code(items, rooms)


def _carry_out(
    plan: OverPlan, journal: Journal, now: datetime, *, to_stderr: bool
) -> tuple[list[OverItem], list[RoomItem]]:
    """Carry out the plan. Each outcome is printed immediately, so an interrupted run has reported what it did."""
    results: dict[str, OverItem] = {}
    rooms: list[RoomItem] = []
    with open_service(journal) as run:
        try:
            for item in stop_agents(plan.items, run, print_message):
                results[item.record.trace_id] = item
                _print_agents([item], now, to_stderr=to_stderr)
            for room in end_rooms(plan.rooms, run, print_message):
                rooms.append(room)
                _print_rooms([room], to_stderr=to_stderr)
        except KeyboardInterrupt:
            raise CommandError("Interrupted; not every agent was processed.", advice="run the command again") from None
    return [results.get(item.record.trace_id, item) for item in plan.items], rooms


def _print_plan(plan: OverPlan, now: datetime, *, is_dry_run: bool, to_stderr: bool) -> None:
    """Print what stays as it is; in a dry run, also what would be done."""
    agents = [item for item in plan.items if is_dry_run or item.outcome is not OverOutcome.TO_STOP]
    _print_agents(agents, now, to_stderr=to_stderr)
    if is_dry_run:
        _print_rooms(plan.rooms, to_stderr=to_stderr)
    if plan.is_stack_known and not plan.items and not plan.rooms:
        print_message("No agent is over.")


def _print_agents(items: Iterable[OverItem], now: datetime, *, to_stderr: bool) -> None:
    by_outcome: dict[OverOutcome, list[OverItem]] = {}
    for item in items:
        by_outcome.setdefault(item.outcome, []).append(item)
    for outcome, group in by_outcome.items():
        print_line(f"{_HEADINGS[outcome]}:", err=to_stderr)
        for item in group:
            print_line(f"  {item.describe(now)}", err=to_stderr)
            for line in (item.error or "").splitlines():
                print_line(f"    {line}", err=to_stderr)
        if outcome is OverOutcome.LOST:
            print_line(f"  to do: {_LOST_ADVICE}", err=to_stderr)


def _print_rooms(rooms: Iterable[RoomItem], *, to_stderr: bool) -> None:
    by_outcome: dict[RoomOutcome, list[RoomItem]] = {}
    for room in rooms:
        by_outcome.setdefault(room.outcome, []).append(room)
    for outcome, group in by_outcome.items():
        print_line(f"{_ROOM_HEADINGS[outcome]}:", err=to_stderr)
        for room in group:
            for number, line in enumerate(str(room).splitlines()):
                print_line(f"{'  ' if number == 0 else '    '}{line}", err=to_stderr)


def _exit_code(items: Iterable[OverItem], rooms: Iterable[RoomItem]) -> int:
    outcomes: set[str] = {item.outcome for item in items} | {room.outcome for room in rooms}
    if outcomes & {OverOutcome.FAILED, OverOutcome.LOST, RoomOutcome.FAILED}:
        return _FAILED
    done = {OverOutcome.TO_STOP, OverOutcome.STOPPED, RoomOutcome.TO_END, RoomOutcome.ENDED}
    return STOPPED_SOME if outcomes & done else 0
