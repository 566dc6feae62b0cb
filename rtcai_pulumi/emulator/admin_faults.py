"""The admin path where it interferes: faults, settings, clock."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.requests import Request

from rtcai_pulumi.emulator.admin import Admin
from rtcai_pulumi.emulator.call import MAX_BODY, parsed
from rtcai_pulumi.emulator.clock import ClockOffset
from rtcai_pulumi.emulator.errors import NotUnderstood, Refused
from rtcai_pulumi.emulator.settings import SettingsChange
from rtcai_pulumi.emulator.statements import Statement, understood

Handler = Callable[[Admin, Request], Awaitable[Any]]
"""What stands behind one path: the answer, as JSON."""


class _UntilHeld(Statement):
    """The query of ``/held``."""

    count: Annotated[int, Field(ge=1, strict=False)] = 1
    timeout: Annotated[float, Field(gt=0, le=600, strict=False)] = 30.0


async def _faults(admin: Admin, _: Request) -> Any:
    return {"faults": await admin.faults()}


async def _add_fault(admin: Admin, request: Request) -> Any:
    return await admin.add_fault(await stated(request))


async def _clear_faults(admin: Admin, _: Request) -> Any:
    await admin.clear_faults()
    return {"status": "cleared"}


async def _fault(admin: Admin, request: Request) -> Any:
    return await admin.fault(request.path_params["number"])


async def _remove_fault(admin: Admin, request: Request) -> Any:
    await admin.remove_fault(request.path_params["number"])
    return {"status": "removed"}


async def _release(admin: Admin, request: Request) -> Any:
    return await admin.release(request.path_params["number"])


async def _until_held(admin: Admin, request: Request) -> Any:
    asked = understood(_UntilHeld, dict(request.query_params))
    return await admin.until_held(request.path_params["number"], asked.count, asked.timeout)


async def _settings(admin: Admin, _: Request) -> Any:
    return await admin.settings()


async def _change_settings(admin: Admin, request: Request) -> Any:
    return await admin.change_settings(understood(SettingsChange, await stated(request)))


async def _clock(admin: Admin, _: Request) -> Any:
    return await admin.clock()


async def _set_clock(admin: Admin, request: Request) -> Any:
    return await admin.set_clock(understood(ClockOffset, await stated(request)))


async def stated(request: Request, limit: int = MAX_BODY) -> Any:
    """The JSON body of a request, of so many bytes at most.

    Raises:
        NotUnderstood: it is none.
    """
    kept, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        kept += chunk if size <= limit else b""
    try:
        return parsed(bytes(kept), size, limit)
    except Refused as refused:
        raise NotUnderstood(refused.reason) from None


INTERFERING: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/faults", _faults),
    ("POST", "/faults", _add_fault),
    ("DELETE", "/faults", _clear_faults),
    ("GET", "/faults/{number:int}", _fault),
    ("DELETE", "/faults/{number:int}", _remove_fault),
    ("POST", "/faults/{number:int}/release", _release),
    ("GET", "/faults/{number:int}/held", _until_held),
    ("GET", "/settings", _settings),
    ("PATCH", "/settings", _change_settings),
    ("GET", "/clock", _clock),
    ("PUT", "/clock", _set_clock),
)
"""Method, path and what stands behind it."""
