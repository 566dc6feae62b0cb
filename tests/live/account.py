"""The account for the live tests: the user's own, and only if the user asks for it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from rtcai_pulumi.service.settings import Settings, resolve

NEEDED = ("RTCAI_APP_KEY", "RTCAI_APP_SECRET", "RTCAI_LIVE_ROOM")


@dataclass(frozen=True, slots=True)
class Account:
    """A service that can be reached, and an open room in it."""

    settings: Settings
    room: str


def account_of(environ: Mapping[str, str]) -> Account | None:
    """The account that the environment names for tests; None if it names none or only a part of one."""
    if why_not_run(environ) is not None:
        return None
    return Account(resolve(environ, lambda _: None), environ["RTCAI_LIVE_ROOM"])


def why_not_run(environ: Mapping[str, str]) -> str | None:
    """The settings that are missing for the live tests; None if the tests run."""
    missing = [name for name in NEEDED if not environ.get(name)]
    if environ.get("RTCAI_LIVE_TESTS") != "1":
        missing.insert(0, "RTCAI_LIVE_TESTS=1")
    return f"set {', '.join(missing)}; they start an agent in that room and stop it" if missing else None


# Read now, because every test starts from an environment without them.
ACCOUNT = account_of(os.environ)
WHY_NOT_RUN = why_not_run(os.environ)
