"""Responses in the documented form: codes, texts and bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.state.model import EmulatedTask

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
200: a client that checks only the status must fail its tests.
"""


@dataclass(frozen=True, slots=True)
class EmulatedAnswer:
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


NO_SUCH_PATH: Final = EmulatedAnswer(404, "Not Found")
"""Not JSON: a wrong endpoint answers like this, and a missing room does not."""


def success_answer(request_id: str, **fields: Any) -> EmulatedAnswer:
    """Return a successful answer with the fields of its operation."""
    return EmulatedAnswer(200, {"code": OK, "requestId": request_id, **fields})


def created_answer(task: EmulatedTask) -> EmulatedAnswer:
    """Return the answer of the create that started a task; it is the same each time."""
    return success_answer(task.request_id, cid=task.cid, result={"taskId": task.task_id})


def failure_answer(rejection: Rejection, request_id: str, headers: Mapping[str, str] | None = None) -> EmulatedAnswer:
    """Return a refusal in the documented form."""
    text = _TEXTS.get(rejection.code)
    errmsg = f"{text}: {rejection.reason}" if text else rejection.reason
    status = _HTTP_STATUS.get(rejection.code, 200)
    return EmulatedAnswer(status, {"code": rejection.code, "errmsg": errmsg, "requestId": request_id}, headers or {})


def too_fast_answer(seconds: float, request_id: str, *, retry_after: bool) -> EmulatedAnswer:
    """Return the refusal of a request above the rate limit; with ``Retry-After`` in whole seconds if the settings ask
    for it.
    """
    headers = {"Retry-After": str(ceil(seconds))} if retry_after else {}
    return failure_answer(Rejection(TOO_FAST, "too many requests in one second"), request_id, headers)


def fault_answer(
    status: int, code: int, errmsg: str | None, request_id: str, headers: Mapping[str, str]
) -> EmulatedAnswer:
    """Return an answer in the documented form, with the values of a fault."""
    text = ("" if code == OK else _TEXTS.get(code, "fault of the emulator")) if errmsg is None else errmsg
    return EmulatedAnswer(status, {"code": code, "errmsg": text, "requestId": request_id}, headers)


def generate_request_id() -> str:
    """Return an id for a request that has none."""
    return str(uuid4())


def json_response(content: Any, clock: Clock, status: int = 200) -> Response:
    """Return a JSON answer with the date of the emulator's clock, by which a client detects that its own clock is
    wrong.
    """
    return to_response(EmulatedAnswer(status, content), clock)


def to_response(answer: EmulatedAnswer, clock: Clock) -> Response:
    """Return the HTTP response of an API operation."""
    text = isinstance(answer.content, str)
    raw = answer.content if text else json.dumps(answer.content, ensure_ascii=False, allow_nan=False).encode()
    defaults = {"content-type": "text/plain; charset=utf-8" if text else JSON, "date": clock.http_date()}
    # Names are compared in lower case: a given header replaces the default one.
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Response(raw, answer.status, {**defaults, **headers})
