"""The admin path ``/-/``: unsigned, hence for this machine's own programs and pages only."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rtcai_pulumi.emulator.admin import Admin
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.responses import json_response

_OWN_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_Shown = Callable[[Request], Awaitable[Any]]


def admin_routes(admin: Admin, clock: Clock) -> list[Route]:
    """The routes below ``/-``."""

    async def health(_: Request) -> Any:
        return await admin.health()

    async def tasks(_: Request) -> Any:
        return {"tasks": await admin.tasks()}

    async def rooms(_: Request) -> Any:
        return {"rooms": await admin.rooms()}

    async def requests(_: Request) -> Any:
        return {"requests": await admin.requests()}

    async def reset(_: Request) -> Any:
        await admin.reset()
        return {"status": "reset"}

    async def open_room(request: Request) -> Any:
        return {"cid": await admin.open_room(request.path_params["cname"])}

    async def end_room(request: Request) -> Any:
        end_tasks = request.query_params.get("endTasks", "true") != "false"
        await admin.end_room(request.path_params["cname"], end_tasks=end_tasks)
        return {"status": "ended"}

    async def end_task(request: Request) -> Any:
        await admin.end_task(_cid(request.path_params["cid"]), request.path_params["task_id"])
        return {"status": "ended"}

    def route(method: str, path: str, shown: _Shown) -> Route:
        return Route(path, _guarded(shown, clock), methods=[method])

    return [
        route("GET", "/health", health),
        route("GET", "/tasks", tasks),
        route("GET", "/rooms", rooms),
        route("GET", "/requests", requests),
        route("POST", "/reset", reset),
        route("PUT", "/rooms/{cname:path}", open_room),
        route("DELETE", "/rooms/{cname:path}", end_room),
        route("DELETE", "/tasks/{cid}/{task_id}", end_task),
    ]


def _guarded(shown: _Shown, clock: Clock) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if (reason := _foreign(request)) is not None:
            return json_response({"error": reason}, clock, 403)
        try:
            return json_response(await shown(request), clock)
        except LookupError as error:
            return json_response({"error": str(error)}, clock, 404)

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
