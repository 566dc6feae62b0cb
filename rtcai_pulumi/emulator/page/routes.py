"""The routes of the page: the page at the root; its parts, files and events below ``/-/page``."""

from collections.abc import Callable
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from rtcai_pulumi.emulator.http.origin_check import find_foreign_origin
from rtcai_pulumi.emulator.page.ends import EndTimes, ReadEnds
from rtcai_pulumi.emulator.page.feed import MAX_READERS, Feed
from rtcai_pulumi.emulator.page.render import PageRenderer
from rtcai_pulumi.emulator.state.service import EmulatedService

_FILES: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS: Final = {
    # No script, style, image or URL except the page's own, and no other page may frame it: even a name that a template
    # failed to escape could do no harm.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_Answer = Callable[[Request], Response]


def page_routes(service: EmulatedService, read_ends: ReadEnds | None) -> list[Route]:
    """Return the routes of the page."""
    ends = EndTimes(service, read_ends)
    renderer = PageRenderer(service, ends)
    feed = Feed(service, renderer, ends)

    def page(request: Request) -> Response:
        ends.refresh()
        return _html(renderer.page(_number(request.query_params.get("before", ""))))

    def agents(request: Request) -> Response:
        return _html(renderer.agents(request.path_params["id"]))

    def message(request: Request) -> Response:
        return _html(renderer.message(request.path_params["number"]))

    def requests(request: Request) -> Response:
        return _html(renderer.requests(_number(request.query_params.get("before", ""))))

    def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return _text("Not Found", 404)
        content = resources.files(__package__).joinpath("static", name).read_bytes()
        return Response(content, media_type=_FILES[name], headers=_HEADERS)

    def events(request: Request) -> Response:
        if feed.readers >= MAX_READERS:
            return _text(f"{feed.readers} pages are already connected; close one of them", 503)
        cursor = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return StreamingResponse(feed.events(cursor), media_type="text/event-stream", headers=_HEADERS)

    answers: dict[str, _Answer] = {
        "/": page,
        "/-/page/rooms/{id}": agents,
        "/-/page/requests/{number:int}": message,
        "/-/page/requests": requests,
        "/-/page/events": events,
        "/-/page/{name}": file,
    }
    return [Route(path, _guard(service, answer), methods=["GET"]) for path, answer in answers.items()]


def _guard(service: EmulatedService, answer: _Answer) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        if (reason := find_foreign_origin(request)) is not None:
            return _text(reason, 403)
        service.advance()
        return answer(request)

    return endpoint


def _html(content: str | None) -> Response:
    if content is None:
        return _text("Not Found", 404)
    return Response(content, media_type="text/html", headers=_HEADERS)


def _text(content: str, status: int) -> Response:
    return Response(content, status, media_type="text/plain", headers=_HEADERS)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None
