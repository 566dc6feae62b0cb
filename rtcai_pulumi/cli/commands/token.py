"""``rtcai token``."""

import os
import time
from typing import Annotated

import typer

from rtcai_pulumi.cli.options import AsJson, RoomOfToken
from rtcai_pulumi.cli.output import exit_on_error, print_json
from rtcai_pulumi.service.settings import resolve
from rtcai_pulumi.service.signing import TTL_DEFAULT, TTL_MAX, room_token_of

_Uid = Annotated[int, typer.Argument(metavar="UID", min=0, max=2**64 - 1, help="The number of the user.")]
_Ttl = Annotated[int, typer.Option(min=1, max=TTL_MAX, help="Seconds until the token expires.")]


def token(cname: RoomOfToken, uid: _Uid, *, ttl: _Ttl = TTL_DEFAULT, as_json: AsJson = False) -> None:
    """Create a token for a user and a room.

    The token lets this user join this room. It is the basic token that the service's documentation describes. rtcai
    creates it locally from RTCAI_APP_KEY and RTCAI_APP_SECRET, without a request. Keep it secret until it has expired.

    --json prints an object with cname, uid (as a string), ttl and token.

    Exit codes:

    - 0: printed
    - 1: the AppSecret is not set, or a setting is wrong
    - 2: wrong usage
    """
    with exit_on_error("token"):
        value = room_token_of(resolve(os.environ, lambda _: None), cname, uid, ttl, time.time())
    if as_json:
        print_json({"cname": cname, "uid": str(uid), "ttl": ttl, "token": value})
    else:
        typer.echo(value)
