"""Codes, their texts, and answers in the documented form."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from rtcai_pulumi.emulator.errors import Refused

OK: Final = 200
INVALID: Final = 400
NOT_LOGGED_IN: Final = 402
INTERNAL: Final = 500
CONTENT: Final = 601

ROOM_MISSING: Final = "房间不存在"
TASK_MISSING: Final = "任务不存在"

_TEXTS: Final = {INVALID: "无效信令", NOT_LOGGED_IN: "用户未登录状态", CONTENT: "消息内容不合法"}
"""The page's words for its codes."""

_HTTP_STATUS: Final = {INTERNAL: 500}
"""HTTP statuses other than 200. Which status goes with which code is not documented. Here a refusal comes with HTTP
200, so that a client that looks at the status alone does not pass for a good one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer before it is put into bytes."""

    status: int
    """HTTP status."""
    content: dict[str, Any] | str
    """JSON object, or plain text where no service stands behind the path."""

    @property
    def code(self) -> int | None:
        """``code`` of the JSON body; None for plain text."""
        return self.content["code"] if isinstance(self.content, dict) else None


NO_SUCH_PATH: Final = Answer(404, "Not Found")
"""No JSON: so a wrong endpoint looks, and a missing room does not."""


def success(request_id: str, **fields: Any) -> Answer:
    """A good answer with the fields of its operation."""
    return Answer(200, {"code": OK, "requestId": request_id, **fields})


def failure(refused: Refused, request_id: str) -> Answer:
    """A refusal in the documented form."""
    text = _TEXTS.get(refused.code)
    errmsg = f"{text}: {refused.reason}" if text else refused.reason
    return Answer(
        _HTTP_STATUS.get(refused.code, 200), {"code": refused.code, "errmsg": errmsg, "requestId": request_id}
    )


def new_request_id() -> str:
    """An id for a request that brought none."""
    return str(uuid4())
