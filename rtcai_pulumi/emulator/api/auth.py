"""Authenticates requests by CheckSum (api.md section 2) or by token (api.md section 9)."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.http.request import Call
from rtcai_pulumi.emulator.http.response import NOT_LOGGED_IN

VALID_SECONDS: Final = 300
"""Seconds by which CurTime may differ from the service's clock, in either direction."""
_CUR_TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


def compute_checksum(app_secret: str, nonce: str, cur_time: str) -> str:
    """Return the lower-case hex of SHA1(AppSecret + Nonce + CurTime)."""
    return hashlib.sha1(f"{app_secret}{nonce}{cur_time}".encode(), usedforsecurity=False).hexdigest()


class Nonces:
    """The nonces used within the period in which their CheckSum could be sent again."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], float] = {}

    def use(self, app_key: str, nonce: str, now: float) -> bool:
        """Record a nonce; return False if the AppKey has used it before."""
        # CurTime may be ahead by the whole window, so its CheckSum is valid for twice the window from now.
        while self._used and next(iter(self._used.values())) < now - 2 * VALID_SECONDS:
            del self._used[next(iter(self._used))]
        if (app_key, nonce) in self._used:
            return False
        self._used[app_key, nonce] = now
        return True

    def clear(self) -> None:
        """Drop all nonces."""
        self._used.clear()


def verify_checksum(call: Call, secrets: Mapping[str, str], clock: Clock, nonces: Nonces) -> None:
    """Check that a request was signed with the AppSecret, recently, and for the first time.

    Raises:
        Rejection: 402; the text names the header.
    """
    app_key, nonce, cur_time, checksum = (
        require_header(call, name) for name in ("AppKey", "Nonce", "CurTime", "CheckSum")
    )
    if not 1 <= len(nonce) <= 128:
        raise Rejection(NOT_LOGGED_IN, "header Nonce: must have 1 to 128 characters")
    if not _CUR_TIME.fullmatch(cur_time):
        raise Rejection(NOT_LOGGED_IN, "header CurTime: must be whole seconds since 1970, in decimal")
    secret = find_secret(app_key, secrets)
    if abs(clock.now() - int(cur_time)) > VALID_SECONDS:
        raise Rejection(
            NOT_LOGGED_IN, f"header CurTime: differs from the service's clock by more than {VALID_SECONDS} seconds"
        )
    if not hmac.compare_digest(compute_checksum(secret, nonce, cur_time).encode(), checksum.encode()):
        raise Rejection(NOT_LOGGED_IN, "header CheckSum: wrong; check the AppSecret")
    if not nonces.use(app_key, nonce, clock.now()):
        raise Rejection(NOT_LOGGED_IN, "header Nonce: already used; each attempt needs a new one")


def require_header(call: Call, name: str) -> str:
    """Return a header that authentication requires.

    Raises:
        Rejection: 402, the header is missing.
    """
    value = call.header(name)
    if value is None:
        raise Rejection(NOT_LOGGED_IN, f"header {name}: missing")
    return value


def find_secret(app_key: str, secrets: Mapping[str, str]) -> str:
    """Return the AppSecret of an AppKey.

    Raises:
        Rejection: 402, the AppKey is not known.
    """
    if app_key not in secrets:
        raise Rejection(NOT_LOGGED_IN, "header AppKey: unknown")
    return secrets[app_key]


MAX_TTL: Final = 86400
"""Seconds."""
_UID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


class BasicToken(NamedTuple):
    """The decoded content of a token."""

    signature: str
    cur_time_ms: int
    ttl: int


def compute_signature(app_key: str, app_secret: str, channel_name: str, uid: str, token: BasicToken) -> str:
    """Return the expected signature of a token: lower-case hex of SHA1(appKey + uid + curTimeMs + ttl + channelName +
    appSecret).
    """
    text = f"{app_key}{uid}{token.cur_time_ms}{token.ttl}{channel_name}{app_secret}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def verify_token(call: Call, secrets: Mapping[str, str], clock: Clock) -> None:
    """Check that the token was made for this AppKey, uid and room, and has not expired.

    A token without a room name is valid for any room, regardless of Cname.

    Raises:
        Rejection: 402; the text names the header.
    """
    app_key, token_text, cname, uid = (require_header(call, name) for name in ("AppKey", "Token", "Cname", "Uid"))
    if not _UID.fullmatch(uid):
        raise Rejection(NOT_LOGGED_IN, "header Uid: must be a whole number")
    secret = find_secret(app_key, secrets)
    token = _parse_token(token_text)
    signatures = [compute_signature(app_key, secret, room, uid, token) for room in {cname, ""}]
    if not any(hmac.compare_digest(signature.encode(), token.signature.encode()) for signature in signatures):
        raise Rejection(
            NOT_LOGGED_IN, "header Token: was made for another AppKey, Uid or Cname, or with another AppSecret"
        )
    if not 1 <= token.ttl <= MAX_TTL:
        raise Rejection(NOT_LOGGED_IN, f"header Token: its ttl must be 1 to {MAX_TTL} seconds")
    age_ms = clock.now_ms() - token.cur_time_ms
    if age_ms >= token.ttl * 1000:
        raise Rejection(NOT_LOGGED_IN, "header Token: expired")
    if age_ms < -VALID_SECONDS * 1000:
        raise Rejection(
            NOT_LOGGED_IN,
            f"header Token: its curTime is more than {VALID_SECONDS} seconds ahead of the service's clock",
        )


def verify_room(call: Call, cname: str) -> None:
    """Check that a request acts in the room of its token; an empty Cname means any room.

    Raises:
        Rejection: 402, the request acts in another room.
    """
    if call.header("Cname") not in {"", cname}:
        raise Rejection(NOT_LOGGED_IN, "header Cname: the request is about another room")


def _parse_token(token_text: str) -> BasicToken:
    try:
        content = json.loads(base64.b64decode(token_text, validate=True))
    except (ValueError, RecursionError):
        content = None
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    signature, cur_time, ttl = (fields.get(name) for name in ("signature", "curTime", "ttl"))
    if not (isinstance(signature, str) and signature.isascii() and type(cur_time) is int and type(ttl) is int):
        raise Rejection(NOT_LOGGED_IN, "header Token: not a basic token")
    return BasicToken(signature, cur_time, ttl)
