"""Create and close a task: ``/v1/api/task/*`` and ``/ai/task/*`` (api.md sections 3 to 7)."""

from typing import Any, Final

from rtcai_pulumi.config.conversation import TASK_TYPE, Mode
from rtcai_pulumi.config.problems import Problem
from rtcai_pulumi.config.validation import check_body
from rtcai_pulumi.emulator.api.auth import verify_room
from rtcai_pulumi.emulator.api.rooms import Field, is_cid, is_text, require_fields
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.http.request import AuthScheme, Call
from rtcai_pulumi.emulator.http.response import (
    CONTENT,
    INVALID,
    ROOM_MISSING,
    TASK_MISSING,
    EmulatedAnswer,
    created_answer,
    success_answer,
)
from rtcai_pulumi.emulator.state.service import EmulatedService

_CLOSE_FIELDS: Final = (
    Field("cid", is_cid, "must be the room's number, a whole number"),
    Field("taskType", lambda value: type(value) is int and value == TASK_TYPE, f"must be the number {TASK_TYPE}"),
    Field("taskId", is_text, "must be a string that is not empty"),
)


async def create(service: EmulatedService, call: Call, request_id: str) -> EmulatedAnswer:
    """Start a task.

    Raises:
        Rejection: 400 or 601 if the body is not valid, 402 if the token is for another room, the room's code if the
            room is not open.
    """
    body = call.body()
    _require_valid_body(service, body)
    cname, app_key = body["cname"], call.app_key
    if call.flavour is AuthScheme.CLIENT:
        verify_room(call, cname)
    if service.settings.rooms == "required" and (app_key, cname) not in service.state.rooms:
        raise Rejection(service.settings.room_missing_code, ROOM_MISSING)
    now_ms, data = service.clock.now_ms(), body["data"]
    room = service.state.open_room(cname, 0, now_ms, app_key)
    runs_ms, due_ms = service.settings.times_of_task(now_ms)
    task = service.state.start_task(
        room,
        now_ms,
        mode=Mode.of(data).value,
        data=data,
        request_id=request_id,
        trace_id=call.display_header("X-custom-traceid"),
        runs_ms=runs_ms,
        due_ms=due_ms,
    )
    await service.keep()
    return created_answer(task)


async def close(service: EmulatedService, call: Call, request_id: str) -> EmulatedAnswer:
    """End a task.

    Raises:
        Rejection: 400 if the body is not valid, 402 if the token is for another room, the task's code if no such task
            runs in that room.
    """
    body: dict[str, Any] = call.body()
    require_fields(body, _CLOSE_FIELDS, allow_unknown=service.settings.allow_unknown_fields)
    task = service.state.find_running_task(body["cid"], body["taskId"])
    if task is None or task.app_key != call.app_key:
        raise Rejection(service.settings.task_missing_code, TASK_MISSING)
    if call.flavour is AuthScheme.CLIENT:
        verify_room(call, task.cname)
    await service.end_task(task, "close")
    return success_answer(request_id, errmsg="")


def _require_valid_body(service: EmulatedService, body: Any) -> None:
    """Refuse a create body that has problems, and name all of them: 400 if one is outside ``data``, 601 if all are
    inside.
    """
    allow_unknown = service.settings.allow_unknown_fields
    problems = [problem for problem in check_body(body) if not (allow_unknown and problem.unlisted)]
    if problems:
        inside = all(problem.path.startswith("data.") for problem in problems)
        raise Rejection(CONTENT if inside else INVALID, _list_problems(problems))


def _list_problems(problems: list[Problem]) -> str:
    return "; ".join(f"{problem.path}: {problem.reason}" for problem in problems)
