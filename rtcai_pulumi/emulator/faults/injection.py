"""Applies a request's faults at each step of the pipeline."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from starlette.responses import Response

from rtcai_pulumi.emulator.faults.cancellation import Waits
from rtcai_pulumi.emulator.faults.model import WITHOUT_BODY, AnswerFault, At, Garbage, HalfAnswer, Reset
from rtcai_pulumi.emulator.faults.registry import AppliedFaults
from rtcai_pulumi.emulator.http.connection import Connection
from rtcai_pulumi.emulator.http.response import JSON, EmulatedAnswer, fault_answer, success_answer

_PAGE: Final = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>Welcome</h1></body></html>\n"
"""A page as a captive portal or a proxy might return it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a request ends."""

    answer: EmulatedAnswer
    cut: Literal["half", "reset"] | None = None
    """Which part of the answer the client gets, if not all of it."""

    async def send(self, connection: Connection, response: Response) -> None:
        """Send the client what it is to get; `to_response` is the answer in bytes."""
        match self.cut:
            case None:
                await connection.answer(response)
            case "half":
                await connection.half_answer(response)
            case "reset":
                await connection.reset()


class FaultInjector:
    """Applies the faults of one request."""

    def __init__(self, faults: AppliedFaults, waits: Waits, connection: Connection) -> None:
        self._faults = faults
        self._waits = waits
        self._connection = connection

    @property
    def does_work(self) -> bool:
        """Whether the service does the requested work."""
        return self._faults.outcome is None or self._faults.outcome.work

    async def pause(self, at: At) -> None:
        """Delay the request at a point, then hold it until it is released.

        Raises:
            NoAnswer: the client disconnected while the request was held, or the emulator was reset or stopped.
        """
        if seconds := self._faults.seconds(at):
            # The delay does not watch the client: a slow service does not notice a disconnect, and does its work.
            await self._waits.until(asyncio.sleep(seconds))
        if gate := self._faults.gate(at):
            await gate.hold(self._waits, self._connection)

    def choose_delivery(self, answer: EmulatedAnswer | None, request_id: str) -> Delivery:
        """Return how the request ends, after the work if it was done."""
        answer = answer or success_answer(request_id)
        match self._faults.outcome:
            case AnswerFault() as fault:
                return Delivery(_replace_answer(fault, request_id))
            case Garbage(form=form):
                return Delivery(_make_garbage(form))
            case HalfAnswer():
                return Delivery(answer, "half")
            case Reset():
                return Delivery(answer, "reset")
            case _:
                return Delivery(answer)


def _replace_answer(fault: AnswerFault, request_id: str) -> EmulatedAnswer:
    if fault.code is not None:
        return fault_answer(fault.status, fault.code, fault.errmsg, request_id, fault.headers)
    phrases = {status.value: status.phrase for status in HTTPStatus if status not in WITHOUT_BODY}
    return EmulatedAnswer(fault.status, phrases.get(fault.status, ""), fault.headers)


def _make_garbage(form: Literal["html", "broken", "empty"]) -> EmulatedAnswer:
    match form:
        case "html":
            return EmulatedAnswer(200, _PAGE, {"Content-Type": "text/html; charset=utf-8"})
        case "broken":
            return EmulatedAnswer(200, '{"code": 200, "requestId": "', {"Content-Type": JSON})
        case "empty":
            return EmulatedAnswer(200, "", {"Content-Type": JSON})
