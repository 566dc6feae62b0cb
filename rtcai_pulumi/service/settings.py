"""Credentials and settings: from the environment first, then from the stack's config.

They are never resource inputs. They are read at the first request, so a preview does not need them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from rtcai_pulumi.service.errors import SettingsError

TASK_ENDPOINT: Final = "https://rtc-ai.yunxinapi.com"
ROOM_ENDPOINT: Final = "https://rtc.yunxinapi.com"
DEFAULT_TIMEOUT: Final = 10.0
DEFAULT_MAX_RPS: Final = 50.0
DEFAULT_CONCURRENCY: Final = 32

HOW_TO_SET: Final = (
    "set RTCAI_APP_KEY and RTCAI_APP_SECRET in the environment, or run `pulumi config set rtcai:appKey …` and "
    "`pulumi config set --secret rtcai:appSecret …`"
)

Lookup = Callable[[str], Any]
"""Returns the value of a config key (``rtcai:appKey``), or None."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the connection to the service."""

    app_key: str
    """The app's key; not a secret."""
    app_secret: str | None = field(default=None, repr=False)
    """Signs requests of the server flavour; if it is set, it has priority over the token."""
    token: str | None = field(default=None, repr=False)
    """RTC token of the client flavour."""
    uid: str | None = None
    """The user that the token was made for."""
    endpoint: str = TASK_ENDPOINT
    """Base URL of the task API."""
    room_endpoint: str = ROOM_ENDPOINT
    """Base URL of the room API."""
    timeout: float = DEFAULT_TIMEOUT
    """Time limit of one attempt, in seconds."""
    max_rps: float = DEFAULT_MAX_RPS
    """The maximum number of requests per second of this process."""
    concurrency: int = DEFAULT_CONCURRENCY
    """The maximum number of operations at the same time."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        return tuple(secret for secret in (self.app_secret, self.token) if secret)


def missing_credentials(env: Mapping[str, str], config: Lookup) -> list[str]:
    """The names of the credentials that are not set anywhere; empty if none are missing."""
    found = _Source(env, config)
    if not found.text("appKey"):
        return ["RTCAI_APP_KEY", "RTCAI_APP_SECRET"] if not found.text("appSecret") else ["RTCAI_APP_KEY"]
    if found.text("appSecret") or (found.text("token") and found.text("uid")):
        return []
    return ["RTCAI_UID"] if found.text("token") else ["RTCAI_APP_SECRET"]


def resolve(env: Mapping[str, str], config: Lookup) -> Settings:
    """The settings in force.

    Raises:
        SettingsError: credentials are missing, or a setting is wrong; one message lists all of them.
    """
    found = _Source(env, config)
    missing = missing_credentials(env, config)
    keys = ("appKey", "appSecret", "token", "uid")
    wrong = [message for message in map(found.wrong_url, ("endpoint", "roomEndpoint")) if message]
    wrong += [message for message in map(found.wrong_text, keys) if message]
    timeout = found.number("timeout", DEFAULT_TIMEOUT)
    max_rps = found.number("maxRps", DEFAULT_MAX_RPS)
    concurrency = found.number("concurrency", DEFAULT_CONCURRENCY)
    if not timeout > 0:
        wrong.append(f"{_name_both('timeout')} must be a number of seconds above 0")
    if not max_rps > 0:
        wrong.append(f"{_name_both('maxRps')} must be a number of requests a second above 0")
    if not (concurrency >= 1 and concurrency == int(concurrency)):
        wrong.append(f"{_name_both('concurrency')} must be a whole number of operations, 1 or more")
    if missing:
        wrong.insert(0, f"no credentials: {' and '.join(missing)}")
    if wrong:
        advice = HOW_TO_SET if missing else "correct what is named above, and run again"
        raise SettingsError(f"RTC AI cannot be reached with these settings: {'; '.join(wrong)}.", advice=advice)
    endpoint, room_endpoint = found.endpoints()
    return Settings(
        app_key=found.text("appKey") or "",
        app_secret=found.text("appSecret"),
        token=found.text("token"),
        uid=found.text("uid"),
        endpoint=endpoint,
        room_endpoint=room_endpoint,
        timeout=timeout,
        max_rps=max_rps,
        concurrency=int(concurrency),
    )


def endpoints_of(env: Mapping[str, str], config: Lookup) -> tuple[str, str] | None:
    """The base URLs of the task API and the room API; None if one of them is wrong, which `resolve` reports."""
    found = _Source(env, config)
    return None if any(map(found.wrong_url, ("endpoint", "roomEndpoint"))) else found.endpoints()


def room_endpoint_of(endpoint: str) -> str:
    """The room API that belongs to a task API, if no room API is configured."""
    return ROOM_ENDPOINT if endpoint == TASK_ENDPOINT else endpoint


def concurrency_of(env: Mapping[str, str], config: Lookup) -> int:
    """The maximum number of concurrent operations; the default if the setting is wrong, which `resolve` reports."""
    stated = int(_Source(env, config).number("concurrency", DEFAULT_CONCURRENCY))
    return stated if stated >= 1 else DEFAULT_CONCURRENCY


def environment_name(key: str) -> str:
    """The environment variable of a config key: for ``appKey`` it is RTCAI_APP_KEY."""
    return "RTCAI_" + "".join(f"_{char}" if char.isupper() else char.upper() for char in key)


def _url_problem(url: str) -> str | None:
    """What is wrong with an endpoint's URL; None if it is valid."""
    if not url.isprintable() or " " in url:
        return "it has a blank, or a character that cannot be seen"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return "it does not begin with http:// or https://"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "it has a user, a query or a fragment"
    return None if parts.hostname and port != 0 else "it has no host, or the port 0"


def _name_both(key: str) -> str:
    return f"{environment_name(key)} (config rtcai:{key})"


class _Source:
    """The environment first, then the config; an empty value counts as not set."""

    def __init__(self, env: Mapping[str, str], config: Lookup) -> None:
        self._env = env
        self._config = config

    def text(self, key: str) -> str | None:
        stated = self._env.get(environment_name(key), "").strip()
        return stated or str(self._config(f"rtcai:{key}") or "").strip() or None

    def endpoints(self) -> tuple[str, str]:
        endpoint = (self.text("endpoint") or TASK_ENDPOINT).rstrip("/")
        return endpoint, (self.text("roomEndpoint") or room_endpoint_of(endpoint)).rstrip("/")

    def number(self, key: str, default: float) -> float:
        """A finite number; 0, which is not valid for any setting, if it is not a finite number."""
        try:
            value = float(self.text(key) or default)
        except ValueError:
            return 0
        return value if math.isfinite(value) else 0

    def wrong_url(self, key: str) -> str | None:
        reason = _url_problem(self.text(key) or TASK_ENDPOINT)
        return f"{_name_both(key)} must be a URL such as {TASK_ENDPOINT}: {reason}" if reason else None

    def wrong_text(self, key: str) -> str | None:
        """Report a value that is not valid in a header: tools that encode a token may break it into lines."""
        good = (self.text(key) or "").isprintable()
        return None if good else f"{_name_both(key)} holds a line break or another character that cannot be printed"
