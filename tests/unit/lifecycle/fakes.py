"""A service for lifecycle tests: the real client over a transport that answers from a script."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.settings import Settings

CREATED: dict[str, Any] = {"code": 200, "requestId": "r", "cid": 1144707127429101, "result": {"taskId": "2a78"}}
Reply = httpx.Response | type[httpx.TransportError]


class Service:
    """Answers each path from `replies` and keeps what it was asked."""

    def __init__(self, **replies: Reply) -> None:
        self.replies = replies
        self.bodies: list[Any] = []
        self.traces: list[str] = []
        self.asked: list[str] = []

    def client(self, app_key: str = "the-key", endpoint: str = "http://service.test") -> Client:
        settings = Settings(app_key, app_secret="the-secret", endpoint=endpoint, room_endpoint=endpoint)
        return Client(settings, transport=httpx.MockTransport(self._answer))

    def connect(self) -> Callable[[], Client]:
        return self.client

    def _answer(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.rpartition("/")[2]
        self.asked.append(call)
        self.bodies.append(json.loads(request.content) if request.content else None)
        self.traces.append(request.headers.get("X-custom-traceid", ""))
        reply = self.replies[call]
        if isinstance(reply, httpx.Response):
            return reply
        message = "broken"
        raise reply(message)


def reply(status: int = 200, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)
