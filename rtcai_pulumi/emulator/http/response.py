"""Responses in the documented form: codes, texts and bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import Refused
from rtcai_pulumi.emulator.state.model import Task

OK: Final = 200
INVALID: Final = 400
NOT_LOGGED_IN: Final = 402
TOO_FAST: Final = 429
DUPLICATE: Final = 431
INTERNAL: Final = 500
CONTENT: Final = 601

ROOM_MISSING: Final = "房间不存在"
TASK_MISSING: Final = "任务不存在"
DUPLICATE_REQUEST: Final = "重复请求"

JSON: Final = "application/json;charset=UTF-8"

_TEXTS: Final = {INVALID: "无效信令", NOT_LOGGED_IN: "用户未登录状态", CONTENT: "消息内容不合法"}
"""The API page's text for each code."""

_HTTP_STATUS: Final = {INTERNAL: 500, TOO_FAST: 429}
"""HTTP statuses other than 200. It is not documented which status belongs to which code. The emulator refuses with HTTP
200, so that a client that checks only the status fails its tests.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer before it is encoded."""

    status: int
    """HTTP status."""
    content: dict[str, Any] | str
    """JSON object, or plain text if the path does not belong to the service."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Additional headers, which replace the default ones of the same name."""

    @property
    def code(self) -> int | None:
        """Return ``code`` of the JSON body; None for plain text."""
        return self.content["code"] if isinstance(self.content, dict) else None


NO_SUCH_PATH: Final = Answer(404, "Not Found")
"""Not JSON: a wrong endpoint answers like this, and a missing room does not."""


def success(request_id: str, **fields: Any) -> Answer:
    """Return a successful answer with the fields of its operation."""
    return Answer(200, {"code": OK, "requestId": request_id, **fields})


def created(task: Task) -> Answer:
    """Return the answer of the create that started a task; it is the same each time."""
    return success(task.request_id, cid=task.cid, result={"taskId": task.task_id})


def failure(refused: Refused, request_id: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a refusal in the documented form."""
    text = _TEXTS.get(refused.code)
    errmsg = f"{text}: {refused.reason}" if text else refused.reason
    status = _HTTP_STATUS.get(refused.code, 200)
    return Answer(status, {"code": refused.code, "errmsg": errmsg, "requestId": request_id}, headers or {})


def too_fast(seconds: float, request_id: str, *, retry_after: bool) -> Answer:
    """Return the refusal of a request above the rate limit; with ``Retry-After`` in whole seconds if the settings ask
    for it.
    """
    headers = {"Retry-After": str(ceil(seconds))} if retry_after else {}
    return failure(Refused(TOO_FAST, "too many requests in one second"), request_id, headers)


def stated(status: int, code: int, errmsg: str | None, request_id: str, headers: Mapping[str, str]) -> Answer:
    """Return an answer in the documented form, with the values of a fault."""
    text = ("" if code == OK else _TEXTS.get(code, "fault of the emulator")) if errmsg is None else errmsg
    return Answer(status, {"code": code, "errmsg": text, "requestId": request_id}, headers)


def new_request_id() -> str:
    """Return an id for a request that has none."""
    return str(uuid4())


def json_response(content: Any, clock: Clock, status: int = 200) -> Response:
    """Return a JSON answer with the date of the emulator's clock, by which a client detects that its own clock is
    wrong.
    """
    return response(Answer(status, content), clock)


def response(answer: Answer, clock: Clock) -> Response:
    """Return the HTTP response of an API operation."""
    text = isinstance(answer.content, str)
    raw = answer.content if text else json.dumps(answer.content, ensure_ascii=False, allow_nan=False).encode()
    usual = {"content-type": "text/plain; charset=utf-8" if text else JSON, "date": clock.http_date()}
    # Names are compared in lower case, so that a given header replaces the default one.
    stated = {name.lower(): value for name, value in answer.headers.items()}
    return Response(raw, answer.status, {**usual, **stated})
