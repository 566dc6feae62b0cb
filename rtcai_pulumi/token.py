"""Tokens for the people who join a room."""

import asyncio
import os
import time

import pulumi
from pulumi import Input, Output
from pulumi.runtime.config import get_config

from rtcai_pulumi.config.output_text import REASON, is_of_an_output
from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.settings import missing_credentials, resolve
from rtcai_pulumi.service.signing import TTL_DEFAULT, room_token_of


def room_token(cname: Input[str], uid: Input[int], *, ttl: Input[int] = TTL_DEFAULT) -> Output[str]:
    """The basic token that lets one user join one room, as a secret output.

    It is made anew in each run, and is valid from then on: an export of it differs in each `pulumi up`. It takes an
    AppSecret; a preview without credentials does not know it.

    Args:
        cname: the room's name; empty for any room.
        uid: the user's number, 0 to 2^64 - 1.
        ttl: for how many seconds it is valid, 1 to 86400; a day by default.

    Raises:
        RunError: there are no credentials, or a setting is wrong.
        ValueError: `ttl` or `uid` is out of range.
    """
    missing = missing_credentials(os.environ, get_config)
    if missing and pulumi.runtime.is_dry_run():
        return _unknown_secret()
    try:
        settings = resolve(os.environ, get_config)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None  # of this error the engine shows no frames

    if is_of_an_output(cname):
        raise ValueError(f"cname: {REASON}")

    def made(values: dict[str, object]) -> str:
        return room_token_of(settings, str(values["cname"]), _whole(values["uid"]), _whole(values["ttl"]), time.time())

    return Output.secret(Output.all(cname=cname, uid=uid, ttl=ttl).apply(made))


def _whole(value: object) -> int:
    """A whole number that may have come as an output, and so as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        message = "uid and ttl are whole numbers"
        raise ValueError(message)
    return int(value)


def _unknown_secret() -> Output[str]:
    async def value() -> str:
        return ""

    async def known() -> bool:
        return False

    async def secret() -> bool:
        return True

    gather = asyncio.ensure_future
    return Output(set(), gather(value()), gather(known()), gather(secret()))
