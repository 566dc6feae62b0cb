"""``rtcai token``."""

import os
import time
from typing import Annotated

import typer

from rtcai_pulumi.cli.options import AsJson
from rtcai_pulumi.cli.output import exit_on_error, show_json
from rtcai_pulumi.config.conversation import room_name_problem
from rtcai_pulumi.service.settings import resolve
from rtcai_pulumi.service.signing import TTL_DEFAULT, TTL_MAX, room_token_of


def _require_typeable(cname: str) -> str:
    if problem := room_name_problem(cname):
        raise typer.BadParameter(problem)
    return cname


_Room = Annotated[
    str,
    typer.Argument(metavar="ROOM", help="The room's name; an empty name means any room.", callback=_require_typeable),
]
_Uid = Annotated[int, typer.Argument(metavar="UID", min=0, max=2**64 - 1, help="The user's number.")]
_Ttl = Annotated[int, typer.Option(min=1, max=TTL_MAX, help="Seconds until it expires.")]


def token(cname: _Room, uid: _Uid, *, ttl: _Ttl = TTL_DEFAULT, as_json: AsJson = False) -> None:
    """Create the token that lets one user join one room.

    This is the basic token that the service's documentation describes. It is created locally, without a request, from
    RTCAI_APP_KEY and RTCAI_APP_SECRET, and is a secret until it has expired.

    --json prints an object with cname, uid (as a string), ttl and token.

    Exit codes: 0 printed; 1 there is no AppSecret, or a setting is wrong; 2 wrong usage.
    """
    with exit_on_error("token"):
        made = room_token_of(resolve(os.environ, lambda _: None), cname, uid, ttl, time.time())
    if as_json:
        show_json({"cname": cname, "uid": str(uid), "ttl": ttl, "token": made})
    else:
        typer.echo(made)
