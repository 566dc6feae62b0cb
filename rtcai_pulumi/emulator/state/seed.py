"""The initial content of an emulator: rooms, tasks and requests as JSON, in the form in which the admin API returns
them.

So the output of one emulator (``GET /-/rooms``, ``/-/tasks``, ``/-/requests``) can seed another. Everything is checked
before anything is added: a seed is added completely or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BeforeValidator, Field

from rtcai_pulumi.config.conversation import TASK_TYPE, Mode
from rtcai_pulumi.config.validation import check_body
from rtcai_pulumi.emulator.admin.request_log import LOGGED_HEADERS, RequestEntry
from rtcai_pulumi.emulator.api.rooms import is_room_name
from rtcai_pulumi.emulator.errors import InvalidInput
from rtcai_pulumi.emulator.http.request import AuthScheme, Call
from rtcai_pulumi.emulator.http.response import EmulatedAnswer
from rtcai_pulumi.emulator.state.model import EmulatedRoom, EmulatedTask, EndedBy, Stage, generate_number
from rtcai_pulumi.emulator.state.service import EmulatedService
from rtcai_pulumi.emulator.strict_model import StrictModel


def _parse_time(value: Any) -> Any:
    """Return the seconds since 1970 of a time in ISO 8601; a time without an offset is UTC."""
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_Time = Annotated[float, BeforeValidator(_parse_time)]
_Number = Annotated[int, Field(ge=1, lt=2**63)]
_Text = Annotated[str, Field(min_length=1)]


class SeedRoom(StrictModel):
    """An open room."""

    cname: _Text
    cid: _Number | None = None
    """Its number; generated if omitted."""
    app_key: _Text | None = Field(None, alias="appKey")
    """Its account; the first account if omitted."""
    opened_at: _Time | None = Field(None, alias="openedAt")
    """ISO 8601; now if omitted."""


class SeedTask(StrictModel):
    """A task, running or ended."""

    cname: _Text
    data: Mapping[str, Any]
    """``data`` of the create body."""
    cid: _Number | None = None
    """If omitted, the task is in the open room of this name, which is opened for a task that is running."""
    task_id: _Text | None = Field(None, alias="taskId")
    app_key: _Text | None = Field(None, alias="appKey")
    mode: str | None = None
    """Follows from ``data``; only checked for consistency with it."""
    state: Stage | None = None
    """Follows from ``endedAt`` and the settings; checked like ``mode``. ``ended`` without a time means ended now."""
    started_at: _Time | None = Field(None, alias="startedAt")
    ended_at: _Time | None = Field(None, alias="endedAt")
    ended_by: EndedBy | None = Field(None, alias="endedBy")
    request_id: str | None = Field(None, alias="requestId")
    trace_id: str | None = Field(None, alias="traceId")


class SeedRequest(StrictModel):
    """A past request, for the request log only; it is not executed."""

    path: _Text
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = "POST"
    query: Mapping[str, str] = Field(default_factory=dict)
    headers: Mapping[Literal[LOGGED_HEADERS], str] = Field(default_factory=dict)  # type: ignore[valid-type]  # computed
    body: Any = None
    status: int | None = 200
    code: int | None = 200
    started_at: _Time | None = Field(None, alias="startedAt")
    latency_ms: Annotated[float, Field(ge=0)] | None = Field(0.0, alias="latencyMs")
    end: str | None = "answered"
    faults: list[dict[str, Any]] = Field(default_factory=list)


class Seed(StrictModel):
    """Everything that is added in one step."""

    rooms: list[SeedRoom] = Field(default_factory=list)
    tasks: list[SeedTask] = Field(default_factory=list)
    requests: list[SeedRequest] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _CheckedSeed:
    """The checked content of a seed, before it is added."""

    rooms: dict[tuple[str, str], EmulatedRoom]
    tasks: dict[tuple[int, str], EmulatedTask]


def add_seed(service: EmulatedService, seed: Seed) -> dict[str, int]:
    """Add a seed to the existing content; return how many rooms, tasks and requests it has added.

    Raises:
        InvalidInput: the seed is not valid here, and nothing was added; the text names everything that is wrong.
    """
    problems: list[str] = []
    checked = _CheckedSeed({}, {})
    for number, room in enumerate(seed.rooms):
        problems += [f"rooms.{number}.{problem}" for problem in _check_room(service, room, checked)]
    for number, task in enumerate(seed.tasks):
        problems += [f"tasks.{number}.{problem}" for problem in _check_task(service, task, checked)]
    if problems:
        raise InvalidInput("; ".join(problems))
    for opened in checked.rooms.values():
        service.state.open_room(opened.cname, opened.uid, opened.opened_ms, opened.app_key, opened.cid)
    for task_to_add in checked.tasks.values():
        service.state.add_task(task_to_add)
    for request in seed.requests:
        service.record.add(_make_entry(request, service.clock.now()))
    return {"rooms": len(checked.rooms), "tasks": len(checked.tasks), "requests": len(seed.requests)}


def _check_room(service: EmulatedService, room: SeedRoom, checked: _CheckedSeed) -> list[str]:
    problems = _check_name_and_account(service, room.cname, room.app_key)
    key = (room.app_key or service.settings.app_key, room.cname)
    if known := checked.rooms.get(key) or service.state.rooms.get(key):
        other = room.cid not in {None, known.cid}
        return [*problems, *(["cid: the open room of this name has another number"] if other else [])]
    opened_ms = _to_ms(room.opened_at, service)
    checked.rooms[key] = EmulatedRoom(room.cid or generate_number(), room.cname, 0, opened_ms, key[0])
    return problems


def _check_task(service: EmulatedService, task: SeedTask, checked: _CheckedSeed) -> list[str]:
    ended = task.ended_at is not None or task.state == "ended"
    problems = [*_check_name_and_account(service, task.cname, task.app_key), *_check_data(service, task)]
    if task.ended_at is not None and task.state not in {None, "ended"}:
        problems.append("state: must be ended, because endedAt is set")
    if not ended and task.ended_by is not None:
        problems.append("endedBy: needs endedAt, or the state ended")
    started_ms = _to_ms(task.started_at, service)
    ended_ms = _to_ms(task.ended_at, service) if ended else None
    if ended_ms is not None and ended_ms < started_ms:
        problems.append("endedAt: must not be before startedAt")
    task_id = task.task_id or uuid4().hex
    cid = task.cid or _find_or_open_room(service, task, checked, started_ms, may_open=not ended and not problems)
    if (cid, task_id) in checked.tasks or (cid, task_id) in service.state.tasks:
        problems.append("taskId: this room already has a task with this id")
    if problems:
        return problems
    app_key = task.app_key or service.settings.app_key
    checked.tasks[cid, task_id] = EmulatedTask(
        cid, task_id, task.cname, generate_number(), Mode.of(task.data).value, started_ms, ended_ms,
        task.request_id or str(uuid4()), task.trace_id, task.data, app_key,
        *service.settings.times_of_task(started_ms), task.ended_by,
    )  # fmt: skip
    return []


def _find_or_open_room(
    service: EmulatedService, task: SeedTask, checked: _CheckedSeed, started_ms: int, *, may_open: bool
) -> int:
    key = (task.app_key or service.settings.app_key, task.cname)
    known = checked.rooms.get(key) or service.state.rooms.get(key)
    room = known or EmulatedRoom(generate_number(), task.cname, 0, started_ms, key[0])
    if known is None and may_open:
        checked.rooms[key] = room
    return room.cid


def _check_name_and_account(service: EmulatedService, cname: str, app_key: str | None) -> list[str]:
    problems = [] if is_room_name(cname) else ["cname: must be 1 to 64 bytes of UTF-8"]
    if app_key is not None and app_key not in service.settings.secrets:
        problems.append("appKey: unknown AppKey")
    return problems


def _check_data(service: EmulatedService, task: SeedTask) -> list[str]:
    data_problems = check_body({"cname": "seed", "taskType": TASK_TYPE, "data": task.data})
    allow_unknown = service.settings.allow_unknown_fields
    problems = [
        f"{problem.path}: {problem.reason}" for problem in data_problems if not (allow_unknown and problem.unlisted)
    ]
    if not problems and task.mode not in {None, Mode.of(task.data).value}:
        problems.append(f"mode: must be {Mode.of(task.data).value}, the mode of data")
    return problems


def _to_ms(seconds: float | None, service: EmulatedService) -> int:
    return service.clock.now_ms() if seconds is None else round(seconds * 1000)


def _make_entry(request: SeedRequest, now: float) -> RequestEntry:
    headers = {name.lower(): (value.encode(),) for name, value in request.headers.items()}
    call = Call(
        AuthScheme.SERVER,
        request.method,
        request.path,
        tuple(request.query.items()),
        {},
        headers,
        0,
        request.body,
        None,
    )
    answer = None
    if request.status is not None:
        answer = EmulatedAnswer(request.status, "" if request.code is None else {"code": request.code})
    latency = None if request.latency_ms is None else request.latency_ms / 1000
    started = now if request.started_at is None else request.started_at
    return RequestEntry(call, started, 0.0, answer=answer, latency=latency, faults=request.faults, end=request.end)
