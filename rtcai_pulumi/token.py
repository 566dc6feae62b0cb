"""Tokens for users who join a room."""

import asyncio
import os
import time

import pulumi
from pulumi import Input, Output
from pulumi.runtime.config import get_config

from rtcai_pulumi.config.output_text import REASON, is_output_text
from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.settings import missing_credentials, resolve
from rtcai_pulumi.service.signing import TTL_DEFAULT, room_token_of


class _InvalidToken(pulumi.RunError, ValueError):
    """The token would not be valid. For a `RunError` the engine prints only the message, without a traceback."""


def room_token(cname: Input[str], uid: Input[int], *, ttl: Input[int] = TTL_DEFAULT) -> Output[str]:
    """The basic token that lets one user join one room, as a secret output.

    It is made again in each run, and is valid from then on: an export of it differs in each `pulumi up`. It requires an
    AppSecret; in a preview without credentials its value is unknown.

    The credentials come from the environment of the process that runs the program, else from the stack's configuration.
    An inline program of the Automation API runs in the calling process; the ``env_vars`` of its workspace reach only
    the CLI and the plugin. So put its credentials into the stack's configuration (``rtcai:appKey``,
    ``rtcai:appSecret``): the program and the plugin both read it, if the environment does not set them.

    Args:
        cname: the room's name; empty for any room.
        uid: the user's number, 0 to 2^64 - 1.
        ttl: how long it is valid, in seconds, 1 to 86400; a day by default.

    Raises:
        RunError: the credentials are not set, or a setting is wrong.
        ValueError: `ttl` or `uid` is out of range, or the name is not valid for a room. It is raised once the values
            are known, and then fails the preview.
    """
    missing = missing_credentials(os.environ, get_config)
    if missing and pulumi.runtime.is_dry_run():
        return _unknown_secret()
    try:
        settings = resolve(os.environ, get_config)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None  # as for _InvalidToken

    def make_token(values: dict[str, object]) -> str:
        name = values["cname"]
        try:
            if not isinstance(name, str) or is_output_text(name):
                raise ValueError(f"cname: {REASON if isinstance(name, str) else 'must be a string'}")
            return room_token_of(
                settings, name, _whole_number("uid", values), _whole_number("ttl", values), time.time()
            )
        except ValueError as error:
            message = f"room_token has a problem: {error}"
            raise _InvalidToken(message) from None

    return Output.secret(Output.all(cname=cname, uid=uid, ttl=ttl).apply(make_token))


def _whole_number(name: str, values: dict[str, object]) -> int:
    """A whole number that may come from an output, and so be a float."""
    value = values[name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        message = f"{name}: must be a whole number"
        raise ValueError(message)
    return value


def _unknown_secret() -> Output[str]:
    async def value() -> str:
        return ""

    async def known() -> bool:
        return False

    async def secret() -> bool:
        return True

    gather = asyncio.ensure_future
    return Output(set(), gather(value()), gather(known()), gather(secret()))
