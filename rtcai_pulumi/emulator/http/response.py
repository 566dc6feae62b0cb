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
"""The page's words for its codes."""

_HTTP_STATUS: Final = {INTERNAL: 500, TOO_FAST: 429}
"""HTTP statuses other than 200. Which status goes with which code is not documented. Here a refusal comes with HTTP
200, so that a client that looks at the status alone does not pass for a good one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer before it is put into bytes."""

    status: int
    """HTTP status."""
    content: dict[str, Any] | str
    """JSON object, or plain text where no service stands behind the path."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers, and others than the usual ones."""

    @property
    def code(self) -> int | None:
        """``code`` of the JSON body; None for plain text."""
        return self.content["code"] if isinstance(self.content, dict) else None


NO_SUCH_PATH: Final = Answer(404, "Not Found")
"""No JSON: so a wrong endpoint looks, and a missing room does not."""


def success(request_id: str, **fields: Any) -> Answer:
    """A good answer with the fields of its operation."""
    return Answer(200, {"code": OK, "requestId": request_id, **fields})


def created(task: Task) -> Answer:
    """The answer of the create that started a task; the same however often it is given."""
    return success(task.request_id, cid=task.cid, result={"taskId": task.task_id})


def failure(refused: Refused, request_id: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal in the documented form."""
    text = _TEXTS.get(refused.code)
    errmsg = f"{text}: {refused.reason}" if text else refused.reason
    status = _HTTP_STATUS.get(refused.code, 200)
    return Answer(status, {"code": refused.code, "errmsg": errmsg, "requestId": request_id}, headers or {})


def too_fast(seconds: float, request_id: str, *, retry_after: bool) -> Answer:
    """The refusal of a request above the rate limit; on demand with the whole seconds until one would be taken."""
    headers = {"Retry-After": str(ceil(seconds))} if retry_after else {}
    return failure(Refused(TOO_FAST, "too many requests in one second"), request_id, headers)


def stated(status: int, code: int, errmsg: str | None, request_id: str, headers: Mapping[str, str]) -> Answer:
    """An answer in the documented form whose parts a fault has stated."""
    text = ("" if code == OK else _TEXTS.get(code, "fault of the emulator")) if errmsg is None else errmsg
    return Answer(status, {"code": code, "errmsg": text, "requestId": request_id}, headers)


def new_request_id() -> str:
    """An id for a request that brought none."""
    return str(uuid4())


def json_response(content: Any, clock: Clock, status: int = 200) -> Response:
    """A JSON answer with the date of the emulator's clock: a client tells a wrong clock by it."""
    return response(Answer(status, content), clock)


def response(answer: Answer, clock: Clock) -> Response:
    """The answer of an API operation."""
    text = isinstance(answer.content, str)
    raw = answer.content if text else json.dumps(answer.content, ensure_ascii=False, allow_nan=False).encode()
    usual = {"content-type": "text/plain; charset=utf-8" if text else JSON, "date": clock.http_date()}
    # By their lower-case names, so that one that is stated takes the place of the usual one.
    stated = {name.lower(): value for name, value in answer.headers.items()}
    return Response(raw, answer.status, {**usual, **stated})
