"""The admin path ``/-/``: unsigned, hence for this machine's own programs and pages only."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rtcai_pulumi.emulator.admin import Admin
from rtcai_pulumi.emulator.admin_faults import INTERFERING, Handler
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import NotUnderstood
from rtcai_pulumi.emulator.responses import json_response

_OWN_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


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


async def _open_room(admin: Admin, request: Request) -> Any:
    return {"cid": await admin.open_room(request.path_params["cname"])}


async def _end_room(admin: Admin, request: Request) -> Any:
    end_tasks = request.query_params.get("endTasks", "true") != "false"
    await admin.end_room(request.path_params["cname"], end_tasks=end_tasks)
    return {"status": "ended"}


async def _end_task(admin: Admin, request: Request) -> Any:
    await admin.end_task(_cid(request.path_params["cid"]), request.path_params["task_id"])
    return {"status": "ended"}


async def _elsewhere(_: Admin, request: Request) -> Any:
    message = f"no such path for {request.method}; docs/emulator.md lists them"
    raise LookupError(message)


_LOOKING: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/health", _health),
    ("GET", "/tasks", _tasks),
    ("GET", "/rooms", _rooms),
    ("GET", "/requests", _requests),
    ("GET", "/stats", _stats),
    ("POST", "/reset", _reset),
    ("PUT", "/rooms/{cname:path}", _open_room),
    ("DELETE", "/rooms/{cname:path}", _end_room),
    ("DELETE", "/tasks/{cid}/{task_id}", _end_task),
)


def admin_routes(admin: Admin, clock: Clock) -> list[Route]:
    """The routes below ``/-``."""
    paths = [
        Route(path, _guarded(handler, admin, clock), methods=[method])
        for method, path, handler in (*_LOOKING, *INTERFERING)
    ]
    # Answered like the others, with the emulator's date; a route matches a path with another method only in part, so
    # the last one, which matches in full, gets that too.
    return [*paths, Route("/{path:path}", _guarded(_elsewhere, admin, clock), methods=list(_METHODS))]


def _guarded(handler: Handler, admin: Admin, clock: Clock) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if (reason := _foreign(request)) is not None:
            return json_response({"error": reason}, clock, 403)
        try:
            return json_response(await handler(admin, request), clock)
        except LookupError as error:
            return json_response({"error": str(error)}, clock, 404)
        except NotUnderstood as error:
            return json_response({"error": str(error)}, clock, 400)
        except TimeoutError as error:
            return json_response({"error": str(error)}, clock, 408)

    return endpoint


def _foreign(request: Request) -> str | None:
    """Why a request does not come from this machine's own programs and pages.

    A page of another site can reach 127.0.0.1 through a browser: by a name of its own that leads here (then Host is
    foreign), or straight (then Origin is).
    """
    host = request.headers.get("host", "")
    if not _OWN_HOST.fullmatch(host):
        return "Host: only 127.0.0.1, localhost and [::1] may ask here"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Origin: another site may not ask here"
    return None


def _cid(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        message = f"{text[:30]!r} is no room's number"
        raise LookupError(message)
    return int(text)
