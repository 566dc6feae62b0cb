"""Open, query and delete a room, by number (``/v2``) and by name (``/v3``) (api.md section 10)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from rtcai_pulumi.config.conversation import CNAME_MAX_BYTES
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.http.request import Call
from rtcai_pulumi.emulator.http.response import INVALID, ROOM_MISSING, EmulatedAnswer, success_answer
from rtcai_pulumi.emulator.state.model import EmulatedRoom, EmulatedTask
from rtcai_pulumi.emulator.state.service import EmulatedService


class Field(NamedTuple):
    """One required field."""

    name: str
    is_valid: Callable[[Any], bool]
    reason: str
    """What to report if the value is not valid; contains no value of a request."""


def require_fields(body: Any, fields: Sequence[Field], *, allow_unknown: bool) -> None:
    """Check that a body is an object with exactly these fields, all of them valid.

    Raises:
        Rejection: 400; the text names every invalid field.
    """
    if not isinstance(body, dict):
        raise Rejection(INVALID, "(root): must be an object")
    problems = [f"{field.name}: required" for field in fields if field.name not in body]
    problems += [
        f"{field.name}: {field.reason}"
        for field in fields
        if field.name in body and not field.is_valid(body[field.name])
    ]
    if not allow_unknown:
        problems += [f"{name}: unknown field" for name in body if name not in {field.name for field in fields}]
    if problems:
        raise Rejection(INVALID, "; ".join(problems))


def is_cid(value: Any) -> bool:
    """Whether this can be a room's number: a 64-bit integer, not a float that has lost digits."""
    return type(value) is int and 1 <= value < 2**63


def is_uid(value: Any) -> bool:
    """Whether this can be a user's number: an unsigned 64-bit integer."""
    return type(value) is int and 0 <= value < 2**64


def is_text(value: Any) -> bool:
    """Whether this is a string that is not empty."""
    return isinstance(value, str) and value != ""


def is_room_name(value: Any) -> bool:
    """Whether this can be a room's name: 1 to 64 bytes of UTF-8."""
    return isinstance(value, str) and 1 <= len(value.encode()) <= CNAME_MAX_BYTES


_CREATE_FIELDS: Final = (
    Field("channelName", is_room_name, "must be a string of 1 to 64 bytes of UTF-8"),
    Field("mode", lambda value: type(value) is int and value == 2, "must be the number 2"),
    Field("uid", is_uid, "must be a whole number of 64 bits, 0 or more"),
)
_INITIAL: Final = 1
_IN_PROGRESS: Final = 2
_AGENT_ROLE: Final = 0
"""``userRole`` of an agent."""


async def create(service: EmulatedService, call: Call, request_id: str) -> EmulatedAnswer:
    """Open a room; a room that is open already keeps its number.

    Raises:
        Rejection: 400 if the body is not valid.
    """
    body = call.body()
    require_fields(body, _CREATE_FIELDS, allow_unknown=service.settings.allow_unknown_fields)
    room = await service.open_room(body["channelName"], call.app_key, body["uid"])
    return success_answer(request_id, cid=room.cid)


async def query(service: EmulatedService, call: Call, request_id: str) -> EmulatedAnswer:
    """Return what is known about an open room.

    Raises:
        Rejection: 400 if the query is not valid, the room's code if no such room is open.
    """
    room, _ = _parse_query(service, call)
    total = len(_list_agents(service, room))
    return success_answer(
        request_id,
        cid=room.cid,
        cname=room.cname,
        uid=room.uid,
        total=total,
        stats=_IN_PROGRESS if total else _INITIAL,
        createtime=room.opened_ms,
        destroytime=0,
    )


async def members(service: EmulatedService, call: Call, request_id: str) -> EmulatedAnswer:
    """Return the members of an open room: its agents.

    Raises:
        Rejection: 400 if the query is not valid, the room's code if no such room is open.
    """
    room, filters = _parse_query(service, call, "uid", "userRole")
    all_members = [_member_to_json(task) for task in _list_agents(service, room)]
    expected = {name: _parse_number(name, value) for name, value in filters.items()}
    matches = [member for member in all_members if expected.items() <= member.items()]
    return success_answer(request_id, errmsg="", cid=room.cid, cname=room.cname, total=len(matches), members=matches)


async def delete(service: EmulatedService, call: Call, request_id: str) -> EmulatedAnswer:
    """End a room, and every task in it unless the settings let tasks outlive their rooms.

    Raises:
        Rejection: 400 if the query is not valid, the room's code if no such room is open.
    """
    room, _ = _parse_query(service, call)
    await service.end_room(room)
    return success_answer(request_id, errmsg="")


def _list_agents(service: EmulatedService, room: EmulatedRoom) -> list[EmulatedTask]:
    return service.state.list_members(room.cid, service.clock.now_ms())


def _member_to_json(task: EmulatedTask) -> dict[str, Any]:
    return {"uid": task.agent_uid, "starttime": max(task.started_ms, task.runs_ms), "userRole": _AGENT_ROLE}


def _parse_query(service: EmulatedService, call: Call, *filters: str) -> tuple[EmulatedRoom, dict[str, str]]:
    """Return the requested room, by number from the path or by name from the query, and the filters of its members."""
    call.require_no_body()
    parameters = {**dict(call.query), **call.path_params}
    by_number = "cid" in call.path_params
    names = filters if by_number else (*filters, "cname")
    unknown = [] if service.settings.allow_unknown_fields else [name for name, _ in call.query if name not in names]
    if unknown or len(dict(call.query)) < len(call.query):
        raise Rejection(
            INVALID, "; ".join(f"{name}: unknown field" for name in unknown) or "query: the same field is set twice"
        )
    if by_number:
        room = service.state.find_room(_parse_number("cid", parameters["cid"]))
    elif is_room_name(parameters.get("cname")):
        room = service.state.rooms.get((call.app_key, parameters["cname"]))
    else:
        raise Rejection(INVALID, "cname: must be 1 to 64 bytes of UTF-8")
    if room is None or room.app_key != call.app_key:
        raise Rejection(service.settings.room_missing_code, ROOM_MISSING)
    return room, {name: parameters[name] for name in filters if name in parameters}


def _parse_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise Rejection(INVALID, f"{name}: must be a whole number")
    return int(text)
