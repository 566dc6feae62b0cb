"""What each verb does for a `Room`: the RTC room itself, beside the agents in it.

A room costs nothing, and the service ends it by itself when its last member leaves or nobody came within a day. So
there is no journal for it: the room carries the mark of its resource as its creator's number, and `create` knows by
that what an interrupted run has created.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.config.problems import Problem, field_problems
from rtcai_pulumi.config.room import UID_MAX, RoomInputs
from rtcai_pulumi.service.errors import Facts, OtherAccount, RoomExists, RoomNotFound, RtcAiError
from rtcai_pulumi.service.retry import HARMLESS, QUERY

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.run import Run
    from rtcai_pulumi.service.client import Room
    from rtcai_pulumi.service.settings import Settings

ADDED_OUTPUTS: Final = ("cid", "appKey", "roomEndpoint")
"""What a create adds to the inputs."""


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


def diff_room(olds: Mapping[str, Any], news: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether anything has changed, and what of it asks for another room: only the name does."""
    names = ("cname", "uid", "adoptExisting", "force")
    changed = [name for name in names if olds.get(name) != news.get(name)]
    return bool(changed), [name for name in changed if name == "cname"]


def create_room(inputs: Mapping[str, Any], run: Run) -> tuple[str, dict[str, Any]]:
    """Open the room, or take the open one that is this resource's own or may be adopted.

    Returns:
        The resource's id, which is the room's number, and the outputs.

    Raises:
        RoomExists: somebody else has opened it, and it is not to be adopted.
        RtcAiError: it cannot be opened, or nobody can tell whether it is open.
    """
    cname, uid = str(inputs["cname"]), _creator(inputs)
    found = _query(cname, run)
    if found is None:
        cid = run.retrier.run(lambda: run.client.open_room(cname, uid), HARMLESS, run.telling_why(cname))
    elif found.creator == uid or inputs.get("adoptExisting") is True:
        cid = found.cid
    else:
        summary = f"The room {cname} is open already, and this resource has not opened it."
        advice = "take another name, or set adopt_existing=True to take the open room into care"
        raise RoomExists(summary, Facts(room=cname, cid=found.cid), advice)
    settings = run.client.settings
    added = (str(cid), settings.app_key, settings.room_endpoint)
    return str(cid), {**inputs, **dict(zip(ADDED_OUTPUTS, added, strict=True))}


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

    Raises:
        OtherAccount: the settings name another AppKey or room API than the room was opened under.
        RtcAiError: the room may still be open; the state must be kept.
    """
    cname, cid = str(outputs["cname"]), int(outputs["cid"])
    _require_account(outputs, run.client.settings)
    found = _query(cname, run)
    if found is None or found.cid != cid:
        return
    if found.members != 0 and outputs.get("force") is not True:
        members = "nobody knows how many" if found.members is None else str(found.members)
        run.tell(
            f"warning: room {cname} (cid {cid}) is left open and dropped from the state: members: {members}. It ends "
            "when the last one leaves; force=True ends it with the resource"
        )
        return
    try:
        run.retrier.run(lambda: run.client.end_room(cid, cname=cname), HARMLESS, run.telling_why(cname))
    except RoomNotFound:
        return


def _query(cname: str, run: Run) -> Room | None:
    """The open room of that name; None where there is none."""
    try:
        return run.retrier.run(lambda: run.client.query_room(cname), HARMLESS)
    except RoomNotFound:
        return None


def _creator(inputs: Mapping[str, Any]) -> int:
    """The creator's number: the stated one, else one that only this resource has."""
    if stated := inputs.get("uid"):
        return int(stated)
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
