"""An API request, read and parsed once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from rtcai_pulumi.emulator.api.rate_limit import Verb
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.http.response import INVALID, generate_request_id
from rtcai_pulumi.emulator.state.model import ServiceState

MAX_BODY: Final = 1024 * 1024
"""Bytes. The service documents no limit; a conversation needs a few thousand."""
_MAX_DEPTH: Final = 50
"""Levels of nesting. The create body has five; beyond a few hundred, Python's own parser reaches its recursion limit.
"""


class AuthScheme(StrEnum):
    """How a request proves its sender (API page, "请求头参数")."""

    SERVER = "server"
    """Signed with the AppSecret: AppKey, Nonce, CurTime, CheckSum."""
    CLIENT = "client"
    """With an RTC token: AppKey, Token, Cname, Uid."""


@dataclass(frozen=True, slots=True)
class Call:
    """One API request."""

    flavour: AuthScheme
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    path_params: Mapping[str, str]
    headers: Mapping[str, tuple[bytes, ...]]
    """Values as sent, by lower-case name; more than one value if a header was sent twice."""
    size: int
    """Bytes of the body."""
    content: Any
    """The body parsed as JSON; None if it is missing or could not be parsed."""
    body_error: Rejection | None
    """Why the body could not be read."""

    def header(self, name: str) -> str | None:
        """Return the value of a header as UTF-8; None if it is missing.

        Raises:
            Rejection: the header was sent twice, or is not valid UTF-8.
        """
        values = self.headers.get(name.lower(), ())
        if len(values) > 1:
            raise Rejection(INVALID, f"header {name}: sent more than once")
        try:
            return values[0].decode() if values else None
        except UnicodeDecodeError:
            raise Rejection(INVALID, f"header {name}: must be UTF-8") from None

    def display_header(self, name: str) -> str | None:
        """Return the value of a header for display, even if it is not valid UTF-8."""
        values = self.headers.get(name.lower(), ())
        return b", ".join(values).decode("utf-8", "backslashreplace") if values else None

    @property
    def app_key(self) -> str:
        """The AppKey of the sender. It is verified only after authentication; before, it is what the request claims."""
        return self.display_header("AppKey") or ""

    def body(self) -> Any:
        """Return the JSON body.

        Raises:
            Rejection: the body is missing, too large, or not valid JSON.
        """
        media, _, parameters = (self.header("Content-Type") or "").partition(";")
        charset = parameters.strip().lower().removeprefix("charset=").strip('"')
        if media.strip().lower() != "application/json" or charset not in {"", "utf-8"}:
            raise Rejection(INVALID, "header Content-Type: must be application/json;charset=UTF-8")
        if self.body_error:
            raise self.body_error
        return self.content

    def require_no_body(self) -> None:
        """Refuse a body: the room API documents none for GET and DELETE.

        Raises:
            Rejection: there is a body.
        """
        if self.size:
            raise Rejection(INVALID, f"a {self.method} must not have a body")

    def request_id(self) -> str:
        """Return the id for the answer: the request's own, else a new one."""
        request_id = self.content.get("requestId") if isinstance(self.content, dict) else None
        return request_id if isinstance(request_id, str) and request_id else generate_request_id()


async def read_call(request: Request, flavour: AuthScheme) -> Call:
    """Read a request to its end.

    Raises:
        starlette.requests.ClientDisconnect: the client disconnected before the end.
    """
    content_bytes, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        # A body that is too large is read to its end and discarded: a client that is still writing would not see the
        # answer.
        content_bytes += chunk if size <= MAX_BODY else b""
    content, body_error = None, None
    try:
        content = parse_json(bytes(content_bytes), size)
    except Rejection as rejection:
        body_error = rejection
    headers: dict[str, tuple[bytes, ...]] = {}
    for name, value in request.scope["headers"]:
        headers[name.decode("latin-1")] = (*headers.get(name.decode("latin-1"), ()), value)
    query = tuple(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    path = request.scope["path"]
    return Call(flavour, request.method, path, query, request.path_params, headers, size, content, body_error)


def parse_json(raw: bytes, size: int, limit: int = MAX_BODY) -> Any:
    """Parse a body as JSON.

    Args:
        raw: the bytes that were read.
        size: how many bytes were sent.
        limit: how many bytes are allowed.

    Raises:
        Rejection: the body is too large, not valid JSON, or JSON that only some parsers accept.
    """
    if size > limit:
        raise Rejection(INVALID, f"the body is larger than {limit} bytes")
    try:
        content = json.loads(raw.decode(), object_pairs_hook=_parse_object, parse_constant=_refuse_constant)
        # Infinity written as 1e999 and half of a surrogate pair can be parsed but not written again.
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Rejection(INVALID, "the body must be valid JSON in UTF-8") from None
    if _deeper_than(content, _MAX_DEPTH):
        raise Rejection(INVALID, f"the body is nested deeper than {_MAX_DEPTH} levels")
    return content


def _parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise Rejection(INVALID, "an object in the body has the same field twice")
    return content


def _refuse_constant(name: str) -> None:
    raise Rejection(INVALID, f"the body contains {name}, which is not valid JSON")


def _deeper_than(content: Any, depth: int) -> bool:
    level = [content]
    for _ in range(depth):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    return any(isinstance(value, dict | list) for value in level)


def find_requested_room(verb: Verb, call: Call, state: ServiceState) -> str | None:
    """Return the name of the room that a request is about; None if it names no known room."""
    body: dict[str, Any] = call.content if isinstance(call.content, dict) else {}
    match verb:
        case "create":
            return _as_text(body.get("cname"))
        case "room-create":
            return _as_text(body.get("channelName"))
        case "close":
            return _find_name(body.get("cid"), state)
        case _:
            number = call.path_params.get("cid", "")
            is_number = number.isascii() and number.isdecimal() and len(number) <= 20
            return _find_name(int(number), state) if is_number else _as_text(dict(call.query).get("cname"))


def _find_name(cid: object, state: ServiceState) -> str | None:
    return state.find_room_name(cid) if isinstance(cid, int) else None


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
