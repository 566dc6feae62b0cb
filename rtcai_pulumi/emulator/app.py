"""Maps each path to its operation."""

from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Receive, Scope, Send

from rtcai_pulumi.emulator.admin.admin import Admin
from rtcai_pulumi.emulator.admin.routes import admin_routes
from rtcai_pulumi.emulator.api import rooms as room_api
from rtcai_pulumi.emulator.api import tasks as task_api
from rtcai_pulumi.emulator.http.request import AuthScheme
from rtcai_pulumi.emulator.page.ends import ReadEnds
from rtcai_pulumi.emulator.page.routes import page_routes
from rtcai_pulumi.emulator.pipeline import Exchange, Operation
from rtcai_pulumi.emulator.state.service import EmulatedService

_ROOM_QUERY: Final = Operation("query", room_api.query)
_ROOM_MEMBERS: Final = Operation("members", room_api.members)
_ROOM_DELETE: Final = Operation("room-delete", room_api.delete)

_OPERATIONS: Final = (
    ("POST", "/v1/api/task/create", Operation("create", task_api.create)),
    ("POST", "/v1/api/task/close", Operation("close", task_api.close)),
    ("POST", "/ai/task/create", Operation("create", task_api.create, AuthScheme.CLIENT)),
    ("POST", "/ai/task/close", Operation("close", task_api.close, AuthScheme.CLIENT)),
    ("POST", "/v2/api/room", Operation("room-create", room_api.create)),
    ("GET", "/v2/api/rooms/{cid}", _ROOM_QUERY),
    ("GET", "/v3/api/rooms", _ROOM_QUERY),
    ("GET", "/v2/api/rooms/{cid}/members", _ROOM_MEMBERS),
    ("GET", "/v2/api/rooms/{cid}/members/{uid}", _ROOM_MEMBERS),
    ("GET", "/v3/api/rooms/members", _ROOM_MEMBERS),
    ("DELETE", "/v2/api/rooms/{cid}", _ROOM_DELETE),
    ("DELETE", "/v3/api/rooms", _ROOM_DELETE),
)


class _AnyOtherRoute(BaseRoute):
    """Matches every path and method that no other route takes. A path pattern would miss paths that contain a line
    break.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match any request."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        await self._exchange(scope, receive, send)


def application(service: EmulatedService, read_ends: ReadEnds | None = None) -> Starlette:
    """Return the emulator as an ASGI application.

    Args:
        service: what it emulates.
        read_ends: reads when agents are to end, for the live page.
    """
    # These come before the admin path, which takes everything below its own.
    routes: list[BaseRoute] = [
        *page_routes(service, read_ends),
        Mount("/-", routes=admin_routes(Admin(service), service.clock)),
    ]
    routes += [Route(path, Exchange(service, operation), methods=[method]) for method, path, operation in _OPERATIONS]
    # Unknown paths are recorded like the others: they show a client with a wrong endpoint.
    routes.append(_AnyOtherRoute(Exchange(service, None)))
    return Starlette(routes=routes)
