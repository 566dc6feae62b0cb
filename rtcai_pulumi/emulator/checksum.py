"""Who sends a request of the server flavour: AppKey, Nonce, CurTime, CheckSum (api.md section 2)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from rtcai_pulumi.emulator.answers import NOT_LOGGED_IN
from rtcai_pulumi.emulator.call import Call
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import Refused

VALID_SECONDS: Final = 300
"""How far CurTime may be from the service's clock, either way."""
_CUR_TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


def checksum_of(app_secret: str, nonce: str, cur_time: str) -> str:
    """Lower-case hex of SHA1(AppSecret + Nonce + CurTime)."""
    return hashlib.sha1(f"{app_secret}{nonce}{cur_time}".encode(), usedforsecurity=False).hexdigest()


class Nonces:
    """The nonces that were used within the time in which their CheckSum could be sent again."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], float] = {}

    def use(self, app_key: str, nonce: str, now: float) -> bool:
        """Note a nonce; False where the AppKey has used it before."""
        # A CurTime may be ahead by the whole window, so its CheckSum is good for twice the window from now.
        while self._used and next(iter(self._used.values())) < now - 2 * VALID_SECONDS:
            del self._used[next(iter(self._used))]
        if (app_key, nonce) in self._used:
            return False
        self._used[app_key, nonce] = now
        return True

    def clear(self) -> None:
        """Forget all of them."""
        self._used.clear()


def verify_checksum(call: Call, secrets: Mapping[str, str], clock: Clock, nonces: Nonces) -> None:
    """Make sure that a request was signed with the AppSecret, just now, and for the first time.

    Raises:
        Refused: 402; the text names the header.
    """
    app_key, nonce, cur_time, checksum = (
        login_header(call, name) for name in ("AppKey", "Nonce", "CurTime", "CheckSum")
    )
    if not 1 <= len(nonce) <= 128:
        raise Refused(NOT_LOGGED_IN, "header Nonce: must have 1 to 128 characters")
    if not _CUR_TIME.fullmatch(cur_time):
        raise Refused(NOT_LOGGED_IN, "header CurTime: must be whole seconds since 1970, in decimal")
    secret = secret_of(app_key, secrets)
    if abs(clock.now() - int(cur_time)) > VALID_SECONDS:
        raise Refused(NOT_LOGGED_IN, f"header CurTime: more than {VALID_SECONDS} seconds off the service's clock")
    if not hmac.compare_digest(checksum_of(secret, nonce, cur_time).encode(), checksum.encode()):
        raise Refused(NOT_LOGGED_IN, "header CheckSum: wrong; check the AppSecret")
    if not nonces.use(app_key, nonce, clock.now()):
        raise Refused(NOT_LOGGED_IN, "header Nonce: used before; each attempt needs a new one")


def login_header(call: Call, name: str) -> str:
    """A header without which nobody is logged in.

    Raises:
        Refused: 402, it is missing.
    """
    value = call.header(name)
    if value is None:
        raise Refused(NOT_LOGGED_IN, f"header {name}: missing")
    return value


def secret_of(app_key: str, secrets: Mapping[str, str]) -> str:
    """The AppSecret of an AppKey.

    Raises:
        Refused: 402, the AppKey is not known.
    """
    if app_key not in secrets:
        raise Refused(NOT_LOGGED_IN, "header AppKey: unknown")
    return secrets[app_key]
