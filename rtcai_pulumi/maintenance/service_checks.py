"""Checks of `rtcai doctor` about the service: credentials, connection, clock, signature and room API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from rtcai_pulumi.maintenance.finding import (
    Finding,
    describe_error,
    format_count,
    report_failure,
    report_pass,
    report_skip,
)
from rtcai_pulumi.service.answers import parse_http_date
from rtcai_pulumi.service.errors import (
    ConnectionFailed,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RoomNotFound,
    RtcAiError,
    WrongEndpoint,
)
from rtcai_pulumi.service.network import load_trusted, route_to
from rtcai_pulumi.service.settings import endpoints_of, resolve
from rtcai_pulumi.service.signing import CHECK_SUM_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_NO_CREDENTIALS: Final = "the credentials are missing or not valid"
_NO_ENDPOINT: Final = "the endpoint is not valid; see the check of the credentials"


class ServiceChecks:
    """The checks of the service, and what they need: the settings and, if these are valid, a client."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._settings: Settings | None = None
        self._client: Client | None = None
        self._date: str | None = None
        self._is_reachable = False

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()

    def credentials(self) -> Finding:
        """Resolve the settings; an error is left to the caller."""
        settings = resolve(self._env, lambda _: None)
        self._settings = settings
        how = "AppSecret" if settings.app_secret else f"token of uid {settings.uid}"
        return report_pass("credentials", f"AppKey {settings.app_key}, {how}")

    def proxy(self) -> Finding:
        """Report which proxy requests go through; this needs no credentials."""
        if not self._endpoints():
            return report_skip("proxy", _NO_ENDPOINT)
        routes = {url: route_to(url, self._env) for url in self._endpoints()}
        descriptions = {f"{url}: {route.description}" for url, route in routes.items()}
        warnings = {warning for route in routes.values() for warning in route.invalid_entries}
        detail = "; ".join(sorted(descriptions))
        if warnings:
            return report_failure("proxy", f"{detail}; {'; '.join(sorted(warnings))}", "correct or remove the entry")
        return report_pass("proxy", detail)

    def certificates(self) -> Finding:
        """Load the certificates that are trusted, if any connection needs them."""
        if not self._endpoints():
            return report_skip("certificates", _NO_ENDPOINT)
        proxies = (route_to(url, self._env).proxy or "" for url in self._endpoints())
        if not any(url.startswith("https://") for url in (*self._endpoints(), *proxies)):
            return report_pass("certificates", "not needed: no endpoint uses https")
        return report_pass("certificates", load_trusted(self._env)[1])

    def endpoint(self) -> Finding:
        """Send any request: every HTTP response shows that the endpoint can be reached, and what its clock says."""
        if self._settings is None:
            return report_skip("endpoint", _NO_CREDENTIALS)
        from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import

        self._client = Client(self._settings, env=self._env)
        began = time.monotonic()
        self._date = self._client.probe().date
        self._is_reachable = True
        milliseconds = (time.monotonic() - began) * 1000
        return report_pass("endpoint", f"{self._settings.endpoint} responded in {milliseconds:.0f} ms")

    def clock(self) -> Finding:
        """Compare this machine's clock with the date of the service's response."""
        if not self._is_reachable:
            return report_skip("clock", "the endpoint cannot be reached" if self._settings else _NO_CREDENTIALS)
        server_time = parse_http_date(self._date)
        if server_time is None:
            return report_skip("clock", "the response has no Date header")
        skew = time.time() - server_time
        if abs(skew) > CHECK_SUM_SECONDS:
            direction = "ahead of" if skew > 0 else "behind"
            detail = f"this machine's clock is {abs(skew) / 60:.0f} minutes {direction} the service's"
            return report_failure(
                "clock", detail, "correct the clock of this machine: a signature is valid for five minutes"
            )
        return report_pass("clock", f"differs by {format_count(round(abs(skew)), 'second')} from the service's clock")

    def signature(self) -> Finding:
        """Check that the service accepts a signed request."""
        return _check_signature(self._client) if self._client else self._skip("signature")

    def room_api(self) -> Finding:
        """Check that the room API responds."""
        return _check_room_api(self._client) if self._client else self._skip("room API")

    def _skip(self, check: str) -> Finding:
        return report_skip(check, _NO_CREDENTIALS if self._settings is None else "the endpoint cannot be reached")

    def _endpoints(self) -> tuple[str, ...]:
        """Return the configured endpoints, even if the credentials are wrong; empty if an endpoint is not usable."""
        endpoints = endpoints_of(self._env, lambda _: None)
        return tuple(dict.fromkeys(endpoints)) if endpoints else ()


def _check_signature(client: Client) -> Finding:
    """Try to close a task that cannot exist: if the service refuses for another reason, it has accepted the
    signature.
    """
    check = "signature"
    if client.settings.app_secret is None:
        return report_skip(check, "a token is valid for its own room only", "set RTCAI_APP_SECRET to run this check")
    try:
        client.close_task(1, f"rtcai-doctor-{uuid4().hex}", cname="", trace_id=uuid4().hex)
    except (NotAuthenticated, WrongEndpoint) as error:
        return report_failure(check, describe_error(error), error.advice)
    except (ConnectionFailed, OutcomeUnknown, RateLimited) as error:
        return report_skip(check, describe_error(error), error.advice or None)
    except Refused as error:
        return report_pass(check, f"accepted (a close of a task that does not exist: {_describe_code(error)})")
    return report_pass(check, "accepted")


def _check_room_api(client: Client) -> Finding:
    """Query a room that cannot exist."""
    check = "room API"
    if client.settings.app_secret is None:
        return report_skip(
            check, "the room API needs an AppSecret", "without it a refresh cannot detect that a room has ended"
        )
    try:
        client.query_room(f"rtcai-doctor-{uuid4().hex}")
    except RoomNotFound:
        return report_pass(check, f"{client.settings.room_endpoint} responds")
    except RtcAiError as error:
        advice = error.advice or "check RTCAI_ROOM_ENDPOINT; without it a refresh cannot detect that a room has ended"
        return report_failure(check, describe_error(error), advice)
    return report_pass(check, f"{client.settings.room_endpoint} responds")


def _describe_code(error: RtcAiError) -> str:
    facts = error.facts
    return f"code {facts.code}" if facts.code is not None else f"HTTP status {facts.status}"
