"""Answers as bytes."""

import json
from typing import Any

from starlette.responses import Response

from rtcai_pulumi.emulator.answers import JSON, Answer
from rtcai_pulumi.emulator.clock import Clock


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
