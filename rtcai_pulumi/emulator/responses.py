"""Answers as bytes."""

import json
from typing import Any

from starlette.responses import Response

from rtcai_pulumi.emulator.answers import Answer
from rtcai_pulumi.emulator.clock import Clock


def json_response(content: Any, clock: Clock, status: int = 200) -> Response:
    """A JSON answer with the date of the emulator's clock: a client tells a wrong clock by it."""
    raw = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    headers = {"Content-Type": "application/json;charset=UTF-8", "Date": clock.http_date()}
    return Response(raw, status, headers)


def response(answer: Answer, clock: Clock) -> Response:
    """The answer of an API operation."""
    if isinstance(answer.content, str):
        return Response(answer.content, answer.status, {"Date": clock.http_date()}, "text/plain")
    return json_response(answer.content, clock, answer.status)
