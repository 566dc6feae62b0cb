"""Ends a room with its resource, or to open it again, and finds who is in it and would be disconnected.

It is not documented whether an agent counts as a member. So every agent that journal or state has in the room counts as
a member, regardless of the number of members that the service returns.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.owner import is_same_stack, urn_of
from rtcai_pulumi.journal.record import NOBODY, KeepReason, Record, RoomRecord, StackState
from rtcai_pulumi.lifecycle.close import close_task
from rtcai_pulumi.lifecycle.recovery import close_leftover
from rtcai_pulumi.lifecycle.recovery_rules import is_closed, is_replaced_elsewhere
from rtcai_pulumi.service.errors import Facts, RoomInUse, RoomNotFound
from rtcai_pulumi.service.retry import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtcai_pulumi.lifecycle.context import Run
    from rtcai_pulumi.service.client import RoomInfo

_MAX_WAIT: Final = 2.0
"""How many seconds to wait for a close in the same run: without a dependency the engine does both at the same time."""
_POLL_INTERVAL: Final = 0.05


def end_with_resource(room: RoomInfo, cname: str, owner: str, run: Run, *, force: bool) -> bool:
    """End a room whose resource is deleted; agents that are deleted with it are stopped first.

    Args:
        room: the room.
        cname: its name.
        owner: the resource that owns it.
        run: the service, the journal and the state.
        force: whether to disconnect everyone who is in it. An agent that stays or is retained is never disconnected.

    Returns:
        Whether it was ended; if not, a warning says why.

    Raises:
        RtcAiError: an agent could not be stopped, or the room not ended.
    """
    label = f"room {cname} (cid {room.cid})"
    inside, in_state = _agents_in(room.cid, owner, run), _in_state(owner, run)
    for record in inside:
        # The engine does not call the provider for some agents: it drops them with the room (`deleted_with`).
        dropped = in_state.get(str(record.task)) == urn_of(owner)
        if _is_deleted_by_run(record, owner, in_state, run) or (dropped and not record.is_left_alone):
            _close(_ensure_record(record, run), run)
    agents = _find_agents_after_closes(room.cid, owner, run)
    remaining = [record for record in agents if _must_stay(record, in_state, run)]
    if remaining:
        task, why = remaining[0].task, _why_it_stays(remaining[0], in_state, run)
        run.report(
            f"warning: {label} was not ended and is removed from the state: task {task} must keep running ({why})."
        )
        return False
    if inside and not agents:
        room = _query_again(room, cname, run)
    if force or is_empty(room, agents):
        _end(room, agents, cname, run)
        return True
    run.report(
        f"warning: {label} was not ended, because someone may be in it ({_describe_members(room, agents)}). Pulumi no "
        f"longer manages it. It ends when the last member leaves; `rtcai end-room {quote(cname)}` ends it now and "
        "disconnects everyone. (A Room with force=True is ended when it is deleted, even if someone is in it.)"
    )
    return False


def reopen_room(
    room: RoomInfo, inputs: Mapping[str, Any], run: Run, open_room: Callable[[Mapping[str, Any], Run], int]
) -> int:
    """End a resource's own room and open it with another creator, if no one is in it or `force` is set.

    Raises:
        RoomInUse: someone is in it.
    """
    cname, owner = str(inputs["cname"]), str(inputs.get("owner") or "")
    agents = _agents_in(room.cid, owner, run)
    facts = Facts(room=cname, cid=room.cid)
    members = _describe_members(room, agents)
    summary = (
        f"The uid of room {cname} cannot be changed now: the room must be closed and opened again, but someone may be "
        f"in it ({members})."
    )
    if not is_empty(room, agents) and inputs.get("force") is not True:
        advice = "set the uid that it was opened with, wait until it is empty, or set force=True (disconnects everyone)"
        raise RoomInUse(summary, facts, advice)
    if staying := [str(each.task) for each in agents if each.is_left_alone or each.task in run.tasks_to_keep]:
        advice = (
            "in the program, pass cname=room.cname to the agent, so that Pulumi replaces both; or stop the agent with "
            f"`rtcai close {staying[0]}`"
        )
        raise RoomInUse(summary, facts, advice)
    _end(room, agents, cname, run)
    return open_room(inputs, run)


def is_empty(room: RoomInfo, agents: list[Record]) -> bool:
    """Whether it is certain that no one is in a room."""
    return room.members == 0 and not agents


def record_end(cid: int, cname: str, run: Run) -> None:
    """Write that a room is about to end, or has ended, because this run may be killed before the engine stores it."""
    settings = run.client.settings
    account = {"app_key": settings.app_key, "room_endpoint": settings.room_endpoint}
    run.journal.record_room(RoomRecord(**account, cid=cid, cname=cname, owner=NOBODY))


def _agents_in(cid: int, owner: str, run: Run) -> list[Record]:
    """The agents in a room that journal or state have; for those only in the state, records not written yet."""
    journal = run.journal
    records = journal.records_in_room(cid, app_key=run.client.settings.app_key)
    known = {record.task for record in records}
    state = run.state(owner) or StackState()
    unknown = [agent for agent in state.agents if agent.cid == cid and agent.task not in known]
    records += [
        Record.from_state(agent.task, agent.outputs, process=journal.process)
        for agent in unknown
        if not is_closed(journal.records_of_task(agent.task), agent.task)
    ]
    return records


def _in_state(owner: str, run: Run) -> dict[str, str | None]:
    """The tasks in the state, each with the URN of the resource with which the engine drops it."""
    return {agent.task: agent.deleted_with for agent in (run.state(owner) or StackState()).agents}


def _ensure_record(record: Record, run: Run) -> Record:
    """The record as the journal has it; it is written if it came from the state."""
    if not record.is_from_state:
        return record
    return run.journal.record(record.trace_id) or run.journal.add(record)


def _close(record: Record, run: Run) -> None:
    """Close an agent together with its room; if another machine has replaced it, a refused close is not an error."""
    if is_replaced_elsewhere(record, run.journal.records(record.owner)):
        close_leftover(record, run)
    else:
        close_task(record, run)


def _is_deleted_by_run(record: Record, owner: str, in_state: Mapping[str, str | None], run: Run) -> bool:
    """Whether this run deletes an agent, before or after the room, or no engine definitely had it."""
    of_stack = run.destroys_stack and not record.is_left_alone and is_same_stack(record.owner, owner)
    return of_stack and (record.task in in_state or not record.stored)


def _must_stay(record: Record, in_state: Mapping[str, str | None], run: Run) -> bool:
    """Whether an agent must keep running: its state names it after this run, too, or it is retained."""
    return record.is_left_alone or record.task in run.tasks_to_keep or record.task in in_state


def _why_it_stays(record: Record, in_state: Mapping[str, str | None], run: Run) -> str:
    if record.kept is KeepReason.RETAINED:
        return "its resource has retain_on_delete"
    if record.task in run.tasks_to_keep or record.task in in_state:
        return "the state still contains it"
    if record.kept is KeepReason.REFUSED:
        return "the service refuses to stop it"
    return "it may belong to another resource or stack"


def _find_agents_after_closes(cid: int, owner: str, run: Run) -> list[Record]:
    """The agents in a room, after a short wait for those that the same run may be stopping."""
    until = run.clock() + _MAX_WAIT
    while True:
        agents = _agents_in(cid, owner, run)
        if not any(_may_be_stopping(record, owner, run) for record in agents):
            return agents
        if run.clock() > until or run.sleep(_POLL_INTERVAL):
            return agents


def _may_be_stopping(record: Record, owner: str, run: Run) -> bool:
    return is_same_stack(record.owner, owner) and not record.is_left_alone and record.task not in run.tasks_to_keep


def _query_again(room: RoomInfo, cname: str, run: Run) -> RoomInfo:
    """The room as it is now; the old data if it has ended since."""
    try:
        return run.retrier.run(lambda: run.client.query_room(cname), HARMLESS)
    except RoomNotFound:
        return room


def _describe_members(room: RoomInfo, agents: list[Record]) -> str:
    members = "number of members unknown" if room.members is None else f"number of members: {room.members}"
    if not agents:
        return members
    known = ", ".join(f"{record.task} (stop it with `rtcai close {record.task}`)" for record in agents)
    return f"{members}; known agents: {known}"


def _end(room: RoomInfo, agents: list[Record], cname: str, run: Run) -> None:
    """Stop the known agents in a room, which records them as closed, and end the room."""
    run.ended_rooms.add(room.cid)
    for record in agents:
        _close(_ensure_record(record, run), run)
    record_end(room.cid, cname, run)
    try:
        run.retrier.run(lambda: run.client.end_room(room.cid, cname=cname), HARMLESS, run.make_wait_reporter(cname))
    except RoomNotFound:
        return
