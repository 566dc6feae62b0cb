"""Signatures and tokens (API page, "请求结构"; the vendor's guides on tokens)."""

import base64
import hashlib
import json
from typing import Final

from rtcai_pulumi.config.conversation import room_name_problem
from rtcai_pulumi.service.errors import SettingsError
from rtcai_pulumi.service.settings import Settings, name_setting

CHECK_SUM_SECONDS: Final = 300
"""How long a CheckSum is valid after its CurTime, in seconds."""
TTL_MAX: Final = 86_400
"""The longest lifetime of a token, in seconds."""
TTL_DEFAULT: Final = TTL_MAX


def check_sum(app_secret: str, nonce: str, cur_time: str) -> str:
    """The CheckSum of the server flavour: lower-case hex of SHA1(AppSecret + Nonce + CurTime).

    Args:
        app_secret: the AppSecret of the app.
        nonce: random, 1 to 128 characters, new for each attempt.
        cur_time: UTC seconds since 1970, as a decimal string.
    """
    return _sha1(app_secret + nonce + cur_time)


def basic_token(app_key: str, app_secret: str, *, cname: str, uid: int, ttl: int, now_ms: int) -> str:
    """The RTC token that lets one user join one room.

    Args:
        app_key: the AppKey of the app.
        app_secret: its AppSecret.
        cname: the room; empty for any room.
        uid: the user's number, 64 bits.
        ttl: how long the token is valid, in seconds, 1 to 86400.
        now_ms: the time, in milliseconds since 1970.

    Raises:
        ValueError: `ttl` is out of range.
    """
    if not 1 <= ttl <= TTL_MAX:
        message = f"ttl must be 1 to 86400 seconds, not {ttl}"
        raise ValueError(message)
    signature = _sha1(f"{app_key}{uid}{now_ms}{ttl}{cname}{app_secret}")
    payload = json.dumps({"signature": signature, "curTime": now_ms, "ttl": ttl}, separators=(",", ":"))
    return base64.b64encode(payload.encode()).decode()


def room_token_of(settings: Settings, cname: str, uid: int, ttl: int, now: float) -> str:
    """The RTC token that lets one user join one room of the account in the settings.

    Args:
        settings: AppKey and AppSecret.
        cname: the room; empty for any room.
        uid: the user's number, 0 to 2^64 - 1.
        ttl: how long the token is valid, in seconds, 1 to 86400.
        now: the time, in seconds since 1970.

    Raises:
        SettingsError: the AppSecret is not set.
        ValueError: `ttl` or `uid` is out of range, or the name is not valid for a room.
    """
    if settings.app_secret is None:
        setting = name_setting("appSecret")
        summary = "A token cannot be made without an AppSecret."
        raise SettingsError(summary, advice=f"set {setting.variable}", settings=[setting])
    if not 0 <= uid < 2**64:
        message = f"uid must be 0 to 2^64 - 1, not {uid}"
        raise ValueError(message)
    if problem := room_name_problem(cname):
        message = f"cname: {problem}"
        raise ValueError(message)
    return basic_token(settings.app_key, settings.app_secret, cname=cname, uid=uid, ttl=ttl, now_ms=int(now * 1000))


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
