"""Processes one API request, from its last byte to its response."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from rtcai_pulumi.emulator.admin.request_log import RequestEntry
from rtcai_pulumi.emulator.api.auth import verify_checksum, verify_token
from rtcai_pulumi.emulator.api.deduplication import Turn
from rtcai_pulumi.emulator.api.rate_limit import Verb, group_of
from rtcai_pulumi.emulator.errors import NoAnswer, Rejection
from rtcai_pulumi.emulator.faults.injection import Delivery, FaultInjector
from rtcai_pulumi.emulator.http.connection import Connection
from rtcai_pulumi.emulator.http.request import AuthScheme, Call, find_requested_room, read_call
from rtcai_pulumi.emulator.http.response import (
    INTERNAL,
    NO_SUCH_PATH,
    EmulatedAnswer,
    failure_answer,
    to_response,
    too_fast_answer,
)
from rtcai_pulumi.emulator.state.service import EmulatedService

Work = Callable[[EmulatedService, Call, str], Awaitable[EmulatedAnswer]]
"""The work of an operation for an authenticated request: takes a call and a request id, returns the answer."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API."""

    verb: Verb
    """The name that logs, faults and counts use."""
    work: Work
    flavour: AuthScheme = AuthScheme.SERVER


_log = logging.getLogger("rtcai_pulumi.emulator")


class Exchange:
    """Serves one operation; None stands for any path that the service does not have.

    The steps of each request, in this order: read it, record it, apply the rate limit, choose its faults, authenticate
    the sender, compare its trace id with earlier ones, do the work, record the answer and send it. Faults are applied
    before authentication and after the work.
    """

    def __init__(self, service: EmulatedService, operation: Operation | None) -> None:
        self._service = service
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        flavour = self._operation.flavour if self._operation else AuthScheme.SERVER
        try:
            call = await read_call(Request(scope, receive), flavour)
        except ClientDisconnect:
            _log.debug("a client went away before the end of its request")
            return
        entry = self._service.record.begin(call, self._service.clock.now(), time.perf_counter())
        connection = Connection(scope, receive, send)
        if self._operation is None:
            await self._deliver(Delivery(NO_SUCH_PATH), entry, connection)
            return
        with self._service.gauge.count(self._operation.verb):
            try:
                delivery = await self._process(self._operation, entry, connection)
            except NoAnswer as reason:
                _log.info("%s %a: no answer, %s", call.method, call.path, reason)
                entry.break_off(str(reason), time.perf_counter())
                await connection.hang_up()
            else:
                await self._deliver(delivery, entry, connection)

    async def _deliver(self, delivery: Delivery, entry: RequestEntry, connection: Connection) -> None:
        call, answer = entry.call, delivery.answer
        # Headers, query and body are left out: this log must never contain a CheckSum, a token or a prompt.
        if delivery.cut:
            _log.info("%s %a: no answer, cut: %s", call.method, call.path, delivery.cut)
            entry.break_off(f"cut: {delivery.cut}", time.perf_counter())
        else:
            _log.info("%s %a: HTTP %d, code %s", call.method, call.path, answer.status, answer.code)
            entry.finish(answer, time.perf_counter())
        await delivery.send(connection, to_response(answer, self._service.clock))

    async def _process(self, operation: Operation, entry: RequestEntry, connection: Connection) -> Delivery:
        service, call, request_id = self._service, entry.call, entry.call.request_id()
        settings = service.settings
        # The rate limit comes first, as in a gateway in front of the service: a request above it uses up neither a
        # nonce nor a fault. All unknown AppKeys share one count: keys that a client invents must not fill the memory.
        known = call.app_key if call.app_key in settings.secrets else ""
        if seconds := service.rate_limiter.admit(
            group_of(operation.verb), settings.max_rps, service.clock.now(), known
        ):
            service.gauge.count_throttled()
            return Delivery(too_fast_answer(seconds, request_id, retry_after=settings.retry_after))
        faults = service.faults.take(operation.verb, lambda: find_requested_room(operation.verb, call, service.state))
        entry.faults = faults.to_json()
        injector = FaultInjector(faults, service.waits, connection)
        turn = service.duplicates.register(call) if operation.verb == "create" else None
        try:
            await injector.pause("arrived")
            answer = await self._do_work(operation, call, request_id, turn, connection) if injector.does_work else None
        finally:
            if turn:
                service.duplicates.end(turn)
        await injector.pause("worked")
        return injector.choose_delivery(answer, request_id)

    async def _do_work(
        self, operation: Operation, call: Call, request_id: str, turn: Turn | None, connection: Connection
    ) -> EmulatedAnswer:
        service = self._service

        async def work() -> EmulatedAnswer:
            return await operation.work(service, call, request_id)

        try:
            self._verify(call)
            service.advance()
            if turn is None:
                return await work()
            return await service.duplicates.run_once(turn, service.state, service.settings.dedup, connection, work)
        except Rejection as rejection:
            return failure_answer(rejection, request_id)
        except NoAnswer:
            raise
        except Exception:  # any failure, for example a full disk, is answered in the documented form
            _log.exception("%s failed inside the emulator", operation.verb)
            return failure_answer(Rejection(INTERNAL, "the emulator failed; see its log"), request_id)

    def _verify(self, call: Call) -> None:
        service = self._service
        if call.flavour is AuthScheme.SERVER:
            verify_checksum(call, service.settings.secrets, service.clock, service.nonces)
        else:
            verify_token(call, service.settings.secrets, service.clock)
