"""Credentials and settings: from the environment first, then from the stack's config.

They are never resource inputs. They are read at the first request, so a preview does not need them.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from rtcai_pulumi.service.errors import SettingName, SettingsError

TASK_ENDPOINT: Final = "https://rtc-ai.yunxinapi.com"
ROOM_ENDPOINT: Final = "https://rtc.yunxinapi.com"
DEFAULT_TIMEOUT: Final = 10.0
DEFAULT_MAX_RPS: Final = 50.0
DEFAULT_CONCURRENCY: Final = 32

_URLS: Final = ("endpoint", "roomEndpoint")
_CREDENTIALS: Final = ("appKey", "appSecret", "token", "uid")
_SECRETS: Final = frozenset({"appSecret", "token"})

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


def missing_credentials(env: Mapping[str, str], config: Lookup) -> list[SettingName]:
    """The credentials that are not set anywhere; empty if none are missing."""
    return _missing_credentials(_Source(env, config))


def _missing_credentials(source: "_Source") -> list[SettingName]:
    needs_uid = source.text("token") and not source.text("appSecret")
    needed = ("appKey", "uid") if needs_uid else ("appKey", "appSecret")
    return [name_setting(key) for key in needed if not source.text(key)]


def resolve(env: Mapping[str, str], config: Lookup) -> Settings:
    """The settings in force.

    Raises:
        SettingsError: credentials are missing, or a setting is wrong; one message lists all of them.
    """
    source = _Source(env, config)
    timeout = source.number("timeout", DEFAULT_TIMEOUT)
    max_rps = source.number("maxRps", DEFAULT_MAX_RPS)
    concurrency = source.number("concurrency", DEFAULT_CONCURRENCY)
    problems = {key: problem for key in _URLS if (problem := source.url_problem(key))}
    problems |= {key: problem for key in _CREDENTIALS if (problem := source.text_problem(key))}
    if not timeout > 0:
        problems["timeout"] = "must be a number of seconds above 0"
    if not max_rps > 0:
        problems["maxRps"] = "must be a number of requests per second above 0"
    if not (concurrency >= 1 and concurrency == int(concurrency)):
        problems["concurrency"] = "must be a whole number of operations, 1 or more"
    missing = _missing_credentials(source)
    if missing or problems:
        raise _settings_error(missing, problems)
    endpoint, room_endpoint = source.endpoints()
    return Settings(
        app_key=source.text("appKey") or "",
        app_secret=source.text("appSecret"),
        token=source.text("token"),
        uid=source.text("uid"),
        endpoint=endpoint,
        room_endpoint=room_endpoint,
        timeout=timeout,
        max_rps=max_rps,
        concurrency=int(concurrency),
    )


def endpoints_of(env: Mapping[str, str], config: Lookup) -> tuple[str, str] | None:
    """The base URLs of the task API and the room API; None if one of them is wrong, which `resolve` reports."""
    source = _Source(env, config)
    return None if any(map(source.url_problem, _URLS)) else source.endpoints()


def room_endpoint_of(endpoint: str) -> str:
    """The room API that belongs to a task API, if no room API is configured."""
    return ROOM_ENDPOINT if endpoint == TASK_ENDPOINT else endpoint


def concurrency_of(env: Mapping[str, str], config: Lookup) -> int:
    """The maximum number of concurrent operations; the default if the setting is wrong, which `resolve` reports."""
    concurrency = int(_Source(env, config).number("concurrency", DEFAULT_CONCURRENCY))
    return concurrency if concurrency >= 1 else DEFAULT_CONCURRENCY


def name_setting(key: str) -> SettingName:
    """The names of a setting: for ``appKey`` they are RTCAI_APP_KEY and ``rtcai:appKey``."""
    variable = "RTCAI_" + "".join(f"_{char}" if char.isupper() else char.upper() for char in key)
    return SettingName(variable, f"rtcai:{key}", is_secret=key in _SECRETS)


def how_to_set(missing: Iterable[SettingName]) -> str:
    """Advice for a Pulumi program without some credentials, in one line."""
    return f"{_set_in_environment(missing)}, or run {' and '.join(name.config_command for name in missing)}"


def _set_in_environment(missing: Iterable[SettingName]) -> str:
    return f"set {' and '.join(name.variable for name in missing)} in the environment"


def _settings_error(missing: list[SettingName], problems: Mapping[str, str]) -> SettingsError:
    summaries, advice = [], []
    if missing:
        summaries.append(f"RTC AI credentials are not set: {' and '.join(name.variable for name in missing)}.")
        advice.append(_set_in_environment(missing))
    if problems:
        texts = [f"{name_setting(key).variable} {problem}" for key, problem in problems.items()]
        summaries.append(f"RTC AI settings are not valid: {'; '.join(texts)}.")
        advice.append("correct these settings, and run again")
    names = dict.fromkeys([*missing, *map(name_setting, problems)])
    return SettingsError(" ".join(summaries), advice="; ".join(advice), settings=list(names))


def _url_problem(url: str) -> str | None:
    """What is wrong with an endpoint's URL; None if it is valid."""
    if not url.isprintable() or " " in url:
        return "it contains a space or an invisible character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return "it does not start with http:// or https://"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "it contains a user, a query or a fragment"
    return None if parts.hostname and port != 0 else "it has no host, or the port 0"


class _Source:
    """The environment first, then the config; an empty value counts as not set."""

    def __init__(self, env: Mapping[str, str], config: Lookup) -> None:
        self._env = env
        self._config = config

    def text(self, key: str) -> str | None:
        name = name_setting(key)
        return self._env.get(name.variable, "").strip() or str(self._config(name.config_key) or "").strip() or None

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

    def url_problem(self, key: str) -> str | None:
        """What is wrong with the URL of an endpoint; None if it is valid."""
        reason = _url_problem(self.text(key) or TASK_ENDPOINT)
        return f"must be a URL such as {TASK_ENDPOINT}: {reason}" if reason else None

    def text_problem(self, key: str) -> str | None:
        """Why a value is not valid in a header; None if it is. Tools that encode a token may break it into lines."""
        is_valid = (self.text(key) or "").isprintable()
        return None if is_valid else "contains a line break or another character that cannot be printed"
