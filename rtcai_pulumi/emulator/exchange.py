"""The path of one API request, from its first byte to its answer."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from rtcai_pulumi.emulator.answers import INTERNAL, NO_SUCH_PATH, Answer, failure
from rtcai_pulumi.emulator.call import Call, Flavour, received
from rtcai_pulumi.emulator.checksum import verify_checksum
from rtcai_pulumi.emulator.emulated import EmulatedService
from rtcai_pulumi.emulator.errors import Refused
from rtcai_pulumi.emulator.responses import response
from rtcai_pulumi.emulator.tokens import verify_token

_log = logging.getLogger("rtcai_pulumi.emulator")

Work = Callable[[EmulatedService, Call, str], Awaitable[Answer]]
"""What an operation does once the sender is known: the answer to a call, under a request id."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API."""

    verb: str
    """Its name for people: ``create``, ``close``, ``room-query`` …"""
    work: Work
    flavour: Flavour = Flavour.SERVER


class Exchange:
    """Serves one operation; None is any path that the service does not have.

    Everything that happens to a request happens here, in this order: it is read, recorded, its sender is verified, the
    work is done, the answer is recorded and sent. So here is where a fault would step in between.
    """

    def __init__(self, service: EmulatedService, operation: Operation | None) -> None:
        self._service = service
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        flavour = self._operation.flavour if self._operation else Flavour.SERVER
        try:
            call = await received(Request(scope, receive), flavour)
        except ClientDisconnect:
            _log.debug("a client went away before the end of its request")
            return
        entry = self._service.record.begin(call, self._service.clock.now(), time.perf_counter())
        answer = await self._answer(call)
        entry.finish(answer, time.perf_counter())
        # Neither headers nor query nor body: the log must never hold a CheckSum, a token or a prompt.
        _log.info("%s %a: HTTP %d, code %s", call.method, call.path, answer.status, answer.code)
        await response(answer, self._service.clock)(scope, receive, send)

    async def _answer(self, call: Call) -> Answer:
        if self._operation is None:
            return NO_SUCH_PATH
        request_id = call.request_id()
        try:
            self._verify(call)
            return await self._operation.work(self._service, call, request_id)
        except Refused as refused:
            return failure(refused, request_id)
        except Exception:  # the client is owed an answer in the documented form whatever breaks here, a full disk say
            _log.exception("%s failed inside the emulator", self._operation.verb)
            return failure(Refused(INTERNAL, "the emulator failed; see its log"), request_id)

    def _verify(self, call: Call) -> None:
        service = self._service
        if call.flavour is Flavour.SERVER:
            verify_checksum(call, service.settings.secrets, service.clock, service.nonces)
        else:
            verify_token(call, service.settings.secrets, service.clock)
