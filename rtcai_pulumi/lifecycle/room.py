"""What each verb does for a `Room`: the RTC room itself, beside the agents in it.

A room costs nothing, and the service ends it by itself when its last member leaves or nobody came within a day. The
journal knows whom a room belongs to; before it is told, the room carries the mark of its resource as its creator's
number, and `create` knows by that what an interrupted run has opened.

Two resources may hold one room for a while: a replacement takes the open room of the resource that it replaces, and a
renamed resource may adopt it. The engine deletes the old one last. So a room that stays after this run is never ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.problems import Problem, field_problems
from rtcai_pulumi.config.room import UID_MAX, RoomInputs
from rtcai_pulumi.lifecycle.diff import named_changes
from rtcai_pulumi.lifecycle.owner import is_same_stack, urn_of
from rtcai_pulumi.lifecycle.record import RoomRecord
from rtcai_pulumi.service.errors import Facts, OtherAccount, RoomExists, RoomInUse, RoomNotFound, RtcAiError
from rtcai_pulumi.service.retry import HARMLESS, QUERY

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.record import Record
    from rtcai_pulumi.lifecycle.run import Run
    from rtcai_pulumi.service.client import Room
    from rtcai_pulumi.service.settings import Settings

ADDED_OUTPUTS: Final = ("cid", "appKey", "roomEndpoint")
"""What a create adds to the inputs."""
NOBODY: Final = ""
"""The owner of a room whose end has begun: a state that still names it, because the run was killed, is out of date."""


@dataclass(frozen=True, slots=True)
class RoomReading:
    """What a refresh found."""

    gone: bool
    """Whether the room is surely gone, or is another one of the same name now."""
    warning: str | None = None
    """What made the answer doubtful; the state is kept then."""


def check_room(inputs: Mapping[str, Any]) -> list[Problem]:
    """Every independent problem of the inputs, without a value in its text; unknowns are left alone."""
    return field_problems(inputs, RoomInputs)


def diff_room(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> tuple[bool, list[str]]:
    """Whether anything has changed, and what of it asks for another room: its name, and who counts as its creator.

    So does that an earlier run has begun to end it: whether it is open nobody knows, and `create` asks.
    A preview calls this too, so nothing is written.
    """
    names = ("cname", "uid", "adoptExisting", "force")
    changed = [name for name in names if olds.get(name) != news.get(name)]
    replaces = [name for name in changed if name == "cname" or (name == "uid" and news.get(name) is not None)]
    replaces += [name for name in named_changes(olds, news) if name not in replaces]
    known = run.records.room(int(resource_id), app_key=str(olds["appKey"]), room_endpoint=str(olds["roomEndpoint"]))
    if not replaces and known is not None and known.owner == NOBODY:
        replaces = ["cid"]
    if replaces:
        return True, replaces
    run.rooms.add(int(resource_id))
    renamed = known is not None and isinstance(news.get("owner"), str) and known.owner != news["owner"]
    return bool(changed) or renamed, []


def create_room(inputs: Mapping[str, Any], run: Run) -> tuple[str, dict[str, Any]]:
    """Open the room, or take the open one that is this resource's own or may be adopted.

    Returns:
        The resource's id, which is the room's number, and the outputs.

    Raises:
        RoomExists: somebody else has opened it, and it is not to be adopted.
        RoomInUse: it is to be opened anew for another creator, and somebody is in it.
        RtcAiError: it cannot be opened, or nobody can tell whether it is open.
    """
    cname = str(inputs["cname"])
    found = _query(cname, run)
    cid = _open(inputs, run) if found is None else _taken(found, inputs, run)
    settings = run.client.settings
    account = {"app_key": settings.app_key, "room_endpoint": settings.room_endpoint}
    run.journal.hold_room(RoomRecord(**account, cid=cid, cname=cname, owner=str(inputs.get("owner") or "")))
    run.rooms.add(cid)
    added = (str(cid), settings.app_key, settings.room_endpoint)
    return str(cid), {**inputs, **dict(zip(ADDED_OUTPUTS, added, strict=True))}


def update_room(resource_id: str, olds: Mapping[str, Any], news: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Keep what only the provider reads, and write down whom the room belongs to now; nothing is sent."""
    added = {name: olds.get(name) for name in ADDED_OUTPUTS}
    account = {"app_key": str(added["appKey"]), "room_endpoint": str(added["roomEndpoint"])}
    owner = str(news.get("owner") or "")
    run.journal.hold_room(RoomRecord(**account, cid=int(resource_id), cname=str(news["cname"]), owner=owner))
    run.rooms.add(int(resource_id))
    return {**added, **news}


def read_room(outputs: Mapping[str, Any], run: Run) -> RoomReading:
    """Ask whether the room is still the one that was opened.

    Raises:
        OtherAccount: the settings name another AppKey or room API than the room was opened under.
    """
    cname = str(outputs["cname"])
    try:
        _require_account(outputs, run.client.settings)
        room = run.retrier.run(lambda: run.client.query_room(cname), QUERY)
    except RoomNotFound:
        return RoomReading(gone=True)
    except OtherAccount:
        raise
    except RtcAiError as error:
        return RoomReading(False, f"Whether the room {cname} is still open is not known; kept. {error}")
    return RoomReading(gone=str(room.cid) != str(outputs["cid"]))


def delete_room(outputs: Mapping[str, Any], run: Run) -> None:
    """End the room where nobody is in it, or where that is forced; that it is gone already is as good.

    Whether an agent counts as a member is not documented, so every agent that is known in the room counts as somebody.

    Raises:
        OtherAccount: the settings name another AppKey or room API than the room was opened under.
        RtcAiError: the room may still be open; the state must be kept.
    """
    cname, cid = str(outputs["cname"]), int(outputs["cid"])
    _require_account(outputs, run.client.settings)
    if cid in run.rooms:
        run.tell(f"room {cname} (cid {cid}) stays open: the program still declares it")
        return
    account = {"app_key": str(outputs["appKey"]), "room_endpoint": str(outputs["roomEndpoint"])}
    found = _query(cname, run)
    if found is not None and found.cid == cid:
        agents = run.journal.records_in_room(cid, app_key=account["app_key"])
        if not _may_end(found, agents, outputs, run):
            run.journal.drop_room(cid, **account)
            return
        _end(found, agents, cname, run)
    else:
        _give_up(cid, cname, run)


def _open(inputs: Mapping[str, Any], run: Run) -> int:
    cname, uid = str(inputs["cname"]), _creator(inputs)
    return run.retrier.run(lambda: run.client.open_room(cname, uid), HARMLESS, run.telling_why(cname))


def _taken(found: Room, inputs: Mapping[str, Any], run: Run) -> int:
    """The number of an open room that becomes, or is, this resource's own."""
    cname, settings = str(inputs["cname"]), run.client.settings
    known = run.journal.room(found.cid, app_key=settings.app_key, room_endpoint=settings.room_endpoint)
    owner, holder = str(inputs.get("owner") or ""), known.owner if known else None
    if holder == owner or found.creator in {_creator(inputs), _mark(inputs)}:
        stated = inputs.get("uid")
        if stated is None or found.creator in {None, int(stated)}:
            return found.cid
        return _opened_anew(found, inputs, run)
    if inputs.get("adoptExisting") is True or (inputs.get("takeOver") is True and is_same_stack(holder or "", owner)):
        return found.cid
    if holder and is_same_stack(holder, owner):
        urn = urn_of(holder)
        summary = f"The room {cname} is open already: it belongs to another resource of this stack, {urn}."
        advice = (
            f"where that resource was renamed or moved, give this one the option aliases=[{urn!r}]; else take another "
            "name, or set adopt_existing=True, which keeps the room open"
        )
    else:
        summary = f"The room {cname} is open already, and this resource has not opened it."
        advice = (
            "take another name, or set adopt_existing=True to take the open room into the stack; where this resource "
            "was only renamed or moved, give it the option aliases"
        )
    raise RoomExists(summary, Facts(room=cname, cid=found.cid), advice)


def _opened_anew(found: Room, inputs: Mapping[str, Any], run: Run) -> int:
    """End this resource's own room and open it for another creator; only where nobody is in it.

    Raises:
        RoomInUse: somebody is in it.
    """
    cname = str(inputs["cname"])
    agents = run.journal.records_in_room(found.cid, app_key=run.client.settings.app_key)
    if (found.members != 0 or agents) and inputs.get("force") is not True:
        summary = f"The room {cname} cannot get another creator (uid) while somebody is in it: {_who(found, agents)}."
        advice = "state the uid that it was opened with, wait until it is empty, or set force=True"
        raise RoomInUse(summary, Facts(room=cname, cid=found.cid), advice)
    _end(found, agents, cname, run)
    return _open(inputs, run)


def _may_end(found: Room, agents: list[Record], outputs: Mapping[str, Any], run: Run) -> bool:
    """Whether a room may be ended; where not, the user is told why it is left open."""
    label = f"room {outputs['cname']} (cid {found.cid})"
    staying = sorted(task for task in run.staying if task.startswith(f"{found.cid}/"))
    if staying:
        run.tell(
            f"warning: {label} is left open and dropped from the state: task {staying[0]} of this program is in it"
        )
        return False
    if (found.members == 0 and not agents) or outputs.get("force") is True:
        return True
    run.tell(
        f"warning: {label} is left open and dropped from the state: {_who(found, agents)}. It ends when the last one "
        "leaves; force=True ends it with the resource"
    )
    return False


def _who(found: Room, agents: list[Record]) -> str:
    members = "nobody knows how many" if found.members is None else str(found.members)
    known = f"; agents that the journal knows: {', '.join(str(record.task) for record in agents)}" if agents else ""
    return f"members: {members}{known}"


def _end(found: Room, agents: list[Record], cname: str, run: Run) -> None:
    """End a room; the agents that the journal knows in it are stopped first, so that it knows of their end."""
    for record in agents:
        run.close(record)
    _give_up(found.cid, cname, run)
    try:
        run.retrier.run(lambda: run.client.end_room(found.cid, cname=cname), HARMLESS, run.telling_why(cname))
    except RoomNotFound:
        return


def _give_up(cid: int, cname: str, run: Run) -> None:
    """Write that a room is about to end, or has ended: before the engine knows, this run may be killed."""
    settings = run.client.settings
    account = {"app_key": settings.app_key, "room_endpoint": settings.room_endpoint}
    run.journal.hold_room(RoomRecord(**account, cid=cid, cname=cname, owner=NOBODY))


def _query(cname: str, run: Run) -> Room | None:
    """The open room of that name; None where there is none."""
    try:
        return run.retrier.run(lambda: run.client.query_room(cname), HARMLESS)
    except RoomNotFound:
        return None


def _creator(inputs: Mapping[str, Any]) -> int:
    """The creator's number: the stated one, else the mark of this resource."""
    return int(inputs.get("uid") or _mark(inputs))


def _mark(inputs: Mapping[str, Any]) -> int:
    """A creator's number that only this resource has: by it a room is known that an interrupted run has opened."""
    mark = hashlib.sha256(f"room of {inputs.get('owner') or inputs['cname']}".encode()).digest()
    return int.from_bytes(mark[:8]) % UID_MAX + 1


def _require_account(outputs: Mapping[str, Any], settings: Settings) -> None:
    """Refuse to speak of a room to an account that does not know it: its "not there" would mean nothing."""
    pairs = (
        ("RTCAI_APP_KEY (config rtcai:appKey)", settings.app_key, outputs["appKey"]),
        ("RTCAI_ROOM_ENDPOINT (config rtcai:roomEndpoint)", settings.room_endpoint, outputs["roomEndpoint"]),
    )
    wrong = [
        f"{name} is {given}, and the room was opened under {stored}" for name, given, stored in pairs if given != stored
    ]
    if wrong:
        summary = f"The room {outputs['cname']} cannot be reached with these settings: {'; '.join(wrong)}."
        advice = "set the values that the room was opened under, and run again"
        raise OtherAccount(summary, Facts(cid=outputs["cid"]), advice)
