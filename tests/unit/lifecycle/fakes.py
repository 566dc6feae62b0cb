"""A service for lifecycle tests: the real client over a transport with scripted answers, and a real journal."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.location import Location
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.retry import Retrier
from rtcai_pulumi.service.settings import Settings
from tests.samples import parameters

CREATED: dict[str, Any] = {"code": 200, "requestId": "r", "cid": 1144707127429101, "result": {"taskId": "2a78"}}
Failure = type[httpx.TransportError]
Reply = httpx.Response | Failure | Callable[[], httpx.Response]


def reply(status: int = 200, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


class Service:
    """Answers each call from `replies` and records the requests. A list is used from front to back."""

    def __init__(self, **replies: Reply | list[Reply]) -> None:
        self.replies = replies
        self.bodies: list[Any] = []
        self.traces: list[str] = []
        self.calls: list[str] = []

    def client(self, app_key: str = "the-key", room_endpoint: str = "http://service.test") -> Client:
        settings = Settings(
            app_key,
            app_secret="the-secret",
            endpoint="http://service.test",
            room_endpoint=room_endpoint,
            max_rps=1e6,
            timeout=10,
        )
        return Client(settings, transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.rpartition("/")[2]
        self.calls.append(call)
        self.bodies.append(json.loads(request.content) if request.content else None)
        self.traces.append(request.headers.get("X-custom-traceid", ""))
        answer = self.replies[call]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, type):
            message = "broken"
            raise answer(message)
        return answer()


class Runs:
    """Runs of the plugin, one after the other, on one journal. Waiting takes no time."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.reports: list[str] = []
        self.now = 0.0
        self._journals: list[Journal] = []

    def next(self, service: Service, *, engine_lives: Callable[[], bool] = lambda: True, **account: str) -> Run:
        """The run of another process. The earlier processes have ended, unless they are kept alive."""
        for journal in self._journals:
            journal.close()
        self._journals.clear()
        return self.concurrent(service, engine_lives=engine_lives, **account)

    def concurrent(self, service: Service, *, engine_lives: Callable[[], bool] = lambda: True, **account: str) -> Run:
        """The run of another process, at the same time as those that are still alive."""
        journal = Journal(self.location)
        self._journals.append(journal)
        client = service.client(**account)
        retrier = Retrier(clock=lambda: self.now, sleep=self._sleep, dice=lambda: 1.0)
        return Run(
            lambda: client,
            lambda: journal,
            engine_lives,
            self.reports.append,
            retrier,
            sleep=self._sleep,
            clock=lambda: self.now,
        )

    def end(self) -> None:
        """End all processes."""
        for journal in self._journals:
            journal.close()

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def add_open_task(run: Run, task: str, owner: str) -> Record:
    """A task that this run has started and returned to its engine, in addition to other tasks of the resource."""
    answered = replace(add_lost_create(run, owner), state=RecordState.OPEN, cid=7, task_id=task, handed=True)
    run.journal.forget(answered)
    return run.journal.add(answered)


def add_lost_create(run: Run, owner: str) -> Record:
    """A create that this run has sent without ever receiving an answer."""
    return run.journal.add(
        Record.for_create(
            DesiredAgent(parameters(owner=owner)), run.client.settings, run.journal.process, lambda: str(uuid4())
        )
    )
