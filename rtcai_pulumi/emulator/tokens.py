"""Who sends a request of the client flavour: AppKey, Token, Cname, Uid (api.md section 9, basic token)."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rtcai_pulumi.emulator.answers import NOT_LOGGED_IN
from rtcai_pulumi.emulator.call import Call
from rtcai_pulumi.emulator.checksum import VALID_SECONDS, login_header, secret_of
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import Refused

MAX_TTL: Final = 86400
"""Seconds."""
_UID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


class BasicToken(NamedTuple):
    """What is inside a token."""

    signature: str
    cur_time_ms: int
    ttl: int


def signature_of(app_key: str, app_secret: str, channel_name: str, uid: str, token: BasicToken) -> str:
    """What a token's signature should be: lower-case hex of SHA1(appKey + uid + curTimeMs + ttl + channelName +
    appSecret).
    """
    text = f"{app_key}{uid}{token.cur_time_ms}{token.ttl}{channel_name}{app_secret}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def verify_token(call: Call, secrets: Mapping[str, str], clock: Clock) -> None:
    """Make sure that the token was made for this AppKey, uid and room, and is still good.

    A token that was made without a room's name is good for any room, whatever Cname says.

    Raises:
        Refused: 402; the text names the header.
    """
    app_key, sent, cname, uid = (login_header(call, name) for name in ("AppKey", "Token", "Cname", "Uid"))
    if not _UID.fullmatch(uid):
        raise Refused(NOT_LOGGED_IN, "header Uid: must be a whole number")
    secret = secret_of(app_key, secrets)
    token = _opened(sent)
    good = [signature_of(app_key, secret, room, uid, token) for room in {cname, ""}]
    if not any(hmac.compare_digest(signature.encode(), token.signature.encode()) for signature in good):
        raise Refused(NOT_LOGGED_IN, "header Token: not made for this AppKey, Uid and Cname, or with another AppSecret")
    if not 1 <= token.ttl <= MAX_TTL:
        raise Refused(NOT_LOGGED_IN, f"header Token: its ttl must be 1 to {MAX_TTL} seconds")
    age_ms = clock.now_ms() - token.cur_time_ms
    if age_ms >= token.ttl * 1000:
        raise Refused(NOT_LOGGED_IN, "header Token: expired")
    if age_ms < -VALID_SECONDS * 1000:
        raise Refused(NOT_LOGGED_IN, f"header Token: made more than {VALID_SECONDS} seconds ahead of the clock")


def verify_room(call: Call, cname: str) -> None:
    """Make sure that a request acts in the room that its token is for; an empty Cname is any room.

    Raises:
        Refused: 402, it acts in another room.
    """
    if call.header("Cname") not in {"", cname}:
        raise Refused(NOT_LOGGED_IN, "header Cname: the request is about another room")


def _opened(sent: str) -> BasicToken:
    try:
        content = json.loads(base64.b64decode(sent, validate=True))
    except (ValueError, RecursionError):
        content = None
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    signature, cur_time, ttl = (fields.get(name) for name in ("signature", "curTime", "ttl"))
    if not (isinstance(signature, str) and signature.isascii() and type(cur_time) is int and type(ttl) is int):
        raise Refused(NOT_LOGGED_IN, "header Token: not a basic token")
    return BasicToken(signature, cur_time, ttl)
