"""The routes of the admin API. Requests are not signed, so only programs and pages of this machine may call them."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rtcai_pulumi.config.emulator import ChangeableSettings
from rtcai_pulumi.emulator.admin.admin import Admin
from rtcai_pulumi.emulator.clock import Clock, ClockOffset
from rtcai_pulumi.emulator.errors import InvalidInput, Rejection
from rtcai_pulumi.emulator.http.origin_check import find_foreign_origin
from rtcai_pulumi.emulator.http.request import MAX_BODY, parse_json
from rtcai_pulumi.emulator.http.response import json_response
from rtcai_pulumi.emulator.strict_model import StrictModel, parse_strict

Handler = Callable[[Admin, Request], Awaitable[Any]]
"""The handler of one path; returns the answer as JSON."""


class _HeldQuery(StrictModel):
    """The query of ``/held``."""

    count: Annotated[int, Field(ge=1, strict=False)] = 1
    timeout: Annotated[float, Field(gt=0, le=600, strict=False)] = 30.0


async def _faults(admin: Admin, _: Request) -> Any:
    return {"faults": await admin.faults()}


async def _add_fault(admin: Admin, request: Request) -> Any:
    return await admin.add_fault(await read_json(request))


async def _clear_faults(admin: Admin, _: Request) -> Any:
    await admin.clear_faults()
    return {"status": "cleared"}


async def _fault(admin: Admin, request: Request) -> Any:
    return await admin.fault(request.path_params["number"])


async def _remove_fault(admin: Admin, request: Request) -> Any:
    await admin.remove_fault(request.path_params["number"])
    return {"status": "removed"}


async def _release(admin: Admin, request: Request) -> Any:
    return await admin.release(request.path_params["number"])


async def _wait_until_held(admin: Admin, request: Request) -> Any:
    query = parse_strict(_HeldQuery, dict(request.query_params))
    return await admin.wait_until_held(request.path_params["number"], query.count, query.timeout)


async def _settings(admin: Admin, _: Request) -> Any:
    return await admin.settings()


async def _change_settings(admin: Admin, request: Request) -> Any:
    return await admin.change_settings(parse_strict(ChangeableSettings, await read_json(request)))


async def _clock(admin: Admin, _: Request) -> Any:
    return await admin.clock()


async def _set_clock(admin: Admin, request: Request) -> Any:
    return await admin.set_clock(parse_strict(ClockOffset, await read_json(request)))


async def read_json(request: Request, limit: int = MAX_BODY) -> Any:
    """Read the JSON body of a request, up to a number of bytes.

    Raises:
        InvalidInput: the body is too large or not a JSON object.
    """
    content, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        content += chunk if size <= limit else b""
    try:
        return parse_json(bytes(content), size, limit)
    except Rejection as rejection:
        raise InvalidInput(rejection.reason) from None


FAULT_AND_SETTING_PATHS: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/faults", _faults),
    ("POST", "/faults", _add_fault),
    ("DELETE", "/faults", _clear_faults),
    ("GET", "/faults/{number:int}", _fault),
    ("DELETE", "/faults/{number:int}", _remove_fault),
    ("POST", "/faults/{number:int}/release", _release),
    ("GET", "/faults/{number:int}/held", _wait_until_held),
    ("GET", "/settings", _settings),
    ("PATCH", "/settings", _change_settings),
    ("GET", "/clock", _clock),
    ("PUT", "/clock", _set_clock),
)
"""Method, path and handler of each operation that changes something."""


_MAX_SEED: Final = 64 * 1024 * 1024
"""Bytes."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _AccountQuery(StrictModel):
    """The query of a request that opens a room."""

    app_key: Annotated[str | None, Field(alias="appKey")] = None


class _EndRoomQuery(_AccountQuery):
    """The query of a request that ends a room."""

    end_tasks: Annotated[Literal["true", "false"] | None, Field(alias="endTasks")] = None


async def _health(admin: Admin, _: Request) -> Any:
    return await admin.health()


async def _tasks(admin: Admin, _: Request) -> Any:
    return {"tasks": await admin.tasks()}


async def _rooms(admin: Admin, _: Request) -> Any:
    return {"rooms": await admin.rooms()}


async def _requests(admin: Admin, _: Request) -> Any:
    return {"requests": await admin.requests()}


async def _stats(admin: Admin, _: Request) -> Any:
    return await admin.stats()


async def _reset(admin: Admin, _: Request) -> Any:
    await admin.reset()
    return {"status": "reset"}


async def _seed(admin: Admin, request: Request) -> Any:
    return await admin.seed(await read_json(request, _MAX_SEED))


async def _open_room(admin: Admin, request: Request) -> Any:
    query = parse_strict(_AccountQuery, dict(request.query_params))
    return {"cid": await admin.open_room(request.path_params["cname"], query.app_key)}


async def _end_room(admin: Admin, request: Request) -> Any:
    query = parse_strict(_EndRoomQuery, dict(request.query_params))
    end_tasks = None if query.end_tasks is None else query.end_tasks == "true"
    await admin.end_room(request.path_params["cname"], query.app_key, end_tasks=end_tasks)
    return {"status": "ended"}


async def _end_task(admin: Admin, request: Request) -> Any:
    await admin.end_task(_cid(request.path_params["cid"]), request.path_params["task_id"])
    return {"status": "ended"}


async def _not_found(_: Admin, request: Request) -> Any:
    message = f"no such path for {request.method}; docs/emulator.md lists the paths"
    raise LookupError(message)


_STATE_PATHS: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/health", _health),
    ("GET", "/tasks", _tasks),
    ("GET", "/rooms", _rooms),
    ("GET", "/requests", _requests),
    ("GET", "/stats", _stats),
    ("POST", "/reset", _reset),
    ("POST", "/seed", _seed),
    ("PUT", "/rooms/{cname:path}", _open_room),
    ("DELETE", "/rooms/{cname:path}", _end_room),
    ("DELETE", "/tasks/{cid}/{task_id}", _end_task),
)


def admin_routes(admin: Admin, clock: Clock) -> list[Route]:
    """Return the routes below ``/-``."""
    paths = [
        Route(path, _guard(handler, admin, clock), methods=[method])
        for method, path, handler in (*_STATE_PATHS, *FAULT_AND_SETTING_PATHS)
    ]
    # This fallback answers like the other routes, with the emulator's date. A route whose path matches but whose method
    # does not is only a partial match; the last route matches in full, so it gets such requests too.
    return [*paths, Route("/{path:path}", _guard(_not_found, admin, clock), methods=list(_METHODS))]


def _guard(handler: Handler, admin: Admin, clock: Clock) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if (reason := find_foreign_origin(request)) is not None:
            return json_response({"error": reason}, clock, 403)
        try:
            return json_response(await handler(admin, request), clock)
        except LookupError as error:
            return json_response({"error": str(error)}, clock, 404)
        except InvalidInput as error:
            return json_response({"error": str(error)}, clock, 400)
        except TimeoutError as error:
            return json_response({"error": str(error)}, clock, 408)

    return endpoint


def _cid(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        message = f"{text[:30]!r} is not a room's number"
        raise LookupError(message)
    return int(text)
