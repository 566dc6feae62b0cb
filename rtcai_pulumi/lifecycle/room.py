"""What each operation does for a `Room`: the RTC room itself, without the agents in it.

A room costs nothing. The service ends a room by itself when its last member leaves, or if no one joins within a day.
The journal knows the owner of a room. Before the journal is written, the room's creator number is a mark made from its
stack and name; by this mark `create` finds a room that an interrupted run has opened.

Two resources may hold one room for a while: a replacement takes the open room of the resource that it replaces, and a
renamed resource may adopt it. The engine deletes the old one last. So a room that stays after this run is never ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.conversation import former_owners
from rtcai_pulumi.config.end_time import ENDS_AT, ends_at_of, next_end_of, normalize_end_time
from rtcai_pulumi.config.problems import Problem, check_fields
from rtcai_pulumi.config.room import UID_MAX, RoomInputs
from rtcai_pulumi.journal.owner import is_same_stack, stack_part_of, urn_of
from rtcai_pulumi.journal.record import NOBODY, RoomRecord, StackState
from rtcai_pulumi.lifecycle.account import compare_accounts, require_account
from rtcai_pulumi.lifecycle.diff import find_named_changes
from rtcai_pulumi.lifecycle.end_time import (
    explain_refused_start,
    is_extended,
    may_replace,
    may_start,
    require_time_left,
    stays_in_state,
)
from rtcai_pulumi.lifecycle.read import Reading, query_existence
from rtcai_pulumi.lifecycle.room_end import end_with_resource, record_end, reopen_room
from rtcai_pulumi.service.errors import Facts, OtherAccount, RoomExists, RoomNotFound
from rtcai_pulumi.service.retry import HARMLESS

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.context import Run
    from rtcai_pulumi.service.client import RoomInfo

ADDED_OUTPUTS: Final = ("cid", "appKey", "roomEndpoint")
"""The outputs that a create adds to the inputs."""
_COMPARED: Final = ("cname", "uid", "adoptExisting", "force")


def check_room(inputs: Mapping[str, Any]) -> list[Problem]:
    """Every independent problem of the inputs, without a value in its text; unknowns are left alone."""
    return check_fields(inputs, RoomInputs)


def foresee_room(inputs: Mapping[str, Any], run: Run) -> list[Problem]:
    """Return why the create of a room must not even begin, known at preview: the agent of the room is over."""
    ends_at = ends_at_of(inputs)
    if may_start(ends_at, run.now()) or run.destroys_stack:
        return []
    return [Problem(ENDS_AT, explain_refused_start(ends_at, run.now(), what="a room is not opened"))]


def diff_room(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> tuple[bool, list[str]]:
    """Whether anything has changed, and which changes require another room: its name, and its creator.

    Another room is also required if an earlier run has started to end this one: it is not known whether the room is
    still open, and `create` asks the service. The room of an agent that is over is not replaced. A preview calls this
    too, so nothing is written.

    Raises:
        OtherAccount: another room is required, and the settings name another account than the room's.
    """
    cid, owner = int(resource_id), news.get("owner")
    if isinstance(owner, str):
        run.state_rooms.add((cid, owner))
    changed = [name for name in _COMPARED if olds.get(name) != news.get(name)]
    replaces = [name for name in changed if name == "cname" or (name == "uid" and news.get(name) is not None)]
    replaces += [name for name in find_named_changes(olds, news) if name not in replaces]
    room = _room_of(olds)
    known = run.records.room(cid, app_key=room.app_key, room_endpoint=room.room_endpoint)
    if not may_replace(next_end_of(olds, news), run.now()):
        changed, replaces = [], []
    elif not replaces and _is_gone(room, known, olds, news, run):
        replaces = ["cid"]
    if (settings := run.known_settings()) is not None:
        compare_accounts(room, settings, run, is_replaced=bool(replaces))
    if replaces:
        return True, replaces
    run.rooms_to_keep.add(cid)
    changed += [ENDS_AT] * (normalize_end_time(olds.get(ENDS_AT)) != normalize_end_time(news.get(ENDS_AT)))
    return bool(changed) or _needs_new_owner(known, owner, news, run), []


def _is_gone(
    room: RoomRecord, known: RoomRecord | None, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run
) -> bool:
    """Whether the room has ended, or is about to end. If its end was moved into the future, the service is asked: a
    refresh has kept a room that ended after its agent.
    """
    if known is not None and known.owner == NOBODY:
        return True
    if not is_extended(ends_at_of(olds), next_end_of(olds, news), run.now()) or run.known_settings() is None:
        return False
    try:
        return query_existence(room, run).gone
    except OtherAccount:
        return False


def create_room(inputs: Mapping[str, Any], run: Run) -> tuple[str, dict[str, Any]]:
    """Open the room, or take an open room that is this resource's own or may be adopted.

    Returns:
        The resource's id, which is the room's number, and the outputs.

    Raises:
        EndPassed: the agent of the room is over, so no one needs the room.
        RoomExists: this stack did not open the room, and it may not be adopted.
        RoomInUse: it has to be opened again with another creator, and someone is in it.
        RtcAiError: it cannot be opened, or it is not known whether it is open.
    """
    cname = str(inputs["cname"])
    require_time_left("The room", cname, ends_at_of(inputs), run.now())
    room = _query(cname, run)
    cid = _open_room(inputs, run) if room is None else _take_room(room, inputs, run)
    settings = run.client.settings
    added = (str(cid), settings.app_key, settings.room_endpoint)
    outputs = {**inputs, **dict(zip(ADDED_OUTPUTS, added, strict=True))}
    _record_owner(outputs, run)
    run.rooms_to_keep.add(cid)
    return str(cid), outputs


def update_room(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Store the inputs that only the provider reads, and write who owns the room now; no request is sent."""
    outputs = {**{name: olds.get(name) for name in ADDED_OUTPUTS}, **news}
    room = _room_of(outputs)
    known = run.journal.room(room.cid, app_key=room.app_key, room_endpoint=room.room_endpoint)
    if known is None or known.owner != NOBODY:  # a room that was ended because its agent is over stays ended
        _record_owner(outputs, run)
    run.rooms_to_keep.add(int(resource_id))
    if not may_replace(ends_at_of(news), run.now()):
        outputs |= {name: olds[name] for name in _COMPARED if name in olds}
    return outputs


def _record_owner(outputs: Mapping[str, Any], run: Run) -> None:
    """Write who owns a room. A room that was adopted from another stack stays that stack's, which will end it."""
    room = _room_of(outputs)
    known = run.journal.room(room.cid, app_key=room.app_key, room_endpoint=room.room_endpoint)
    if known is None or not _belongs_to_other_stack(known, room.owner, outputs):
        run.journal.record_room(room)


def _room_of(outputs: Mapping[str, Any]) -> RoomRecord:
    """The room that the state names, as the journal records it."""
    return RoomRecord(
        app_key=str(outputs["appKey"]),
        room_endpoint=str(outputs["roomEndpoint"]),
        cid=int(outputs["cid"]),
        cname=str(outputs["cname"]),
        owner=str(outputs.get("owner") or ""),
    )


def _belongs_to_other_stack(known: RoomRecord, owner: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a room was adopted from another stack."""
    return inputs.get("adoptExisting") is True and known.owner != NOBODY and not is_same_stack(known.owner, owner)


def _needs_new_owner(known: RoomRecord | None, owner: object, inputs: Mapping[str, Any], run: Run) -> bool:
    """Whether the journal must be updated because it names another owner than the state.

    It does not have to be if two resources of the stack hold the room: the room belongs to the one that took it.
    """
    if (
        known is None
        or not isinstance(owner, str)
        or known.owner in {owner, NOBODY}  # a room that was ended because its agent is over stays ended
        or _belongs_to_other_stack(known, owner, inputs)
    ):
        return False
    if known.owner in former_owners(inputs) or not is_same_stack(known.owner, owner):
        return True
    state = run.state(owner)
    return state is None or (known.cid, known.owner) not in state.rooms


def read_room(outputs: Mapping[str, Any], run: Run) -> Reading:
    """Find out whether the room is gone; nothing is written. The room of an agent that is over stays in the state.

    Raises:
        OtherAccount: the settings name another AppKey or room API than the room was opened with.
    """
    reading = query_existence(_room_of(outputs), run)
    if reading.gone and stays_in_state(ends_at_of(outputs), run.now()):
        return Reading(gone=False)
    return reading


def delete_room(outputs: Mapping[str, Any], run: Run) -> None:
    """End the room if no one is in it, or if `force` is set; a room that is already gone counts as success.

    Raises:
        OtherAccount: the settings name another AppKey or room API than the room was opened with.
        RtcAiError: the room may still be open; the state must be kept.
    """
    room = _room_of(outputs)
    cname, cid, owner = room.cname, room.cid, room.owner
    require_account(room, run.client.settings)
    label = f"room {cname} (cid {cid})"
    if cid in run.rooms_to_keep:
        run.report(f"{label} was not ended: the program still declares it")
        return
    known = run.journal.room(cid, app_key=room.app_key, room_endpoint=room.room_endpoint)
    if holder := _other_holder(cid, owner, known, outputs, run):
        run.report(f"{label} was not ended: {urn_of(holder)} still uses it")
        return
    open_room = _query(cname, run)
    if open_room is None or open_room.cid != cid:
        record_end(cid, cname, run)
    elif not end_with_resource(open_room, cname, owner, run, force=outputs.get("force") is True):
        run.journal.drop_room(cid, app_key=room.app_key, room_endpoint=room.room_endpoint)


def _other_holder(cid: int, owner: str, known: RoomRecord | None, outputs: Mapping[str, Any], run: Run) -> str | None:
    """Another owner that keeps the room: a resource in this stack's state, or the stack it was adopted from."""
    if known is not None and _belongs_to_other_stack(known, owner, outputs):
        return known.owner
    run.dropped_owners.add(owner)
    state = run.state(owner) or StackState()
    return next((other for number, other in state.rooms if number == cid and other not in run.dropped_owners), None)


def _open_room(inputs: Mapping[str, Any], run: Run) -> int:
    cname, uid = str(inputs["cname"]), _creator(inputs)
    return run.retrier.run(lambda: run.client.open_room(cname, uid), HARMLESS, run.make_wait_reporter(cname))


def _take_room(room: RoomInfo, inputs: Mapping[str, Any], run: Run) -> int:
    """The number of an open room that is, or becomes, this resource's own."""
    cname, settings, uid = str(inputs["cname"]), run.client.settings, inputs.get("uid")
    known = run.journal.room(room.cid, app_key=settings.app_key, room_endpoint=settings.room_endpoint)
    owner, owner_in_journal = str(inputs.get("owner") or ""), known.owner if known else NOBODY
    other_creator = uid is not None and room.creator not in {None, int(uid)}
    owners = [owner, *former_owners(inputs)]
    # If the journal names an owner, only that owner counts: the creator's number is not proof of ownership.
    is_own = (owner_in_journal != NOBODY and owner_in_journal in owners) or (room.cid, owner) in run.state_rooms
    if is_own or (owner_in_journal == NOBODY and room.creator in {_creator(inputs), *_creator_marks(owners, cname)}):
        return reopen_room(room, inputs, run, _open_room) if other_creator else room.cid
    facts = Facts(room=cname, cid=room.cid)
    if inputs.get("adoptExisting") is True and other_creator:
        summary = f"Room {cname} is already open with creator {room.creator}. An adopted room keeps its creator."
        raise RoomExists(summary, facts, f"remove uid, or set uid={room.creator}")
    same_stack = is_same_stack(owner_in_journal, owner)
    if inputs.get("adoptExisting") is True or (inputs.get("takeOver") is True and same_stack):
        return room.cid
    if same_stack:
        urn = urn_of(owner_in_journal)
        summary = f"Room {cname} is already open and belongs to another resource of this stack, {urn}."
        advice = (
            f"if that resource was renamed or moved, give this one the option aliases=[{urn!r}]; otherwise set "
            "another cname, or set adopt_existing=True to use the open room"
        )
    else:
        summary = f"Room {cname} is already open, and this resource did not open it."
        advice = (
            "set another cname, or set adopt_existing=True to use the open room; if this resource was only renamed or "
            "moved, give it the option aliases"
        )
        if inputs.get("takeOver") is True:
            advice = (
                "set another cname, remove createRooms (Python: create_rooms), or run "
                f"`rtcai end-room {quote(cname)}`, which disconnects everyone"
            )
    raise RoomExists(summary, facts, advice)


def _query(cname: str, run: Run) -> RoomInfo | None:
    """The open room with this name; None if there is none."""
    try:
        return run.retrier.run(lambda: run.client.query_room(cname), HARMLESS)
    except RoomNotFound:
        return None


def _creator(inputs: Mapping[str, Any]) -> int:
    """The creator's number: the configured one, or else the mark of this stack's room with that name."""
    return int(
        inputs.get("uid") or _number(f"room {inputs['cname']} of {stack_part_of(str(inputs.get('owner') or ''))}")
    )


def _creator_marks(owners: list[str], cname: str) -> set[int]:
    """The creator numbers that mark a room as opened by this stack, regardless of the journal.

    The mark is that of the stack, not of the resource: a renamed resource must find its room even with a new journal.
    Earlier releases used a mark of the resource.
    """
    return {_number(f"room {cname} of {stack_part_of(owner)}") for owner in owners} | {
        _number(f"room of {owner or cname}") for owner in owners
    }


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % UID_MAX + 1
