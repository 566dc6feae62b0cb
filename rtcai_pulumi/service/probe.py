"""Asks an endpoint for anything at all: whether it is reached, and what time it is there."""

import time
from dataclasses import dataclass

import httpx

from rtcai_pulumi.service.answers import moment
from rtcai_pulumi.service.errors import AnswerLost, ConnectionFailed, Facts
from rtcai_pulumi.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Seen:
    """What an unsigned request met."""

    status: int
    """Of HTTP; any answer is one."""
    skew: float | None
    """By how many seconds this machine's clock is ahead; None where the answer does not tell the time."""


def probe(settings: Settings) -> Seen:
    """One unsigned request to the task API's endpoint.

    Raises:
        ConnectionFailed: no connection was made.
        AnswerLost: a connection was made, and no answer came.
    """
    facts = Facts(endpoint=settings.endpoint)
    try:
        response = httpx.get(f"{settings.endpoint}/v1/api/task/close", timeout=settings.timeout)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol):
        advice = "check the network, a proxy, and RTCAI_ENDPOINT"
        raise ConnectionFailed("No connection was made.", facts, advice) from None
    except httpx.HTTPError:
        raise AnswerLost("A connection was made, and no answer came.", facts) from None
    there = moment(response.headers.get("Date"))
    return Seen(response.status_code, time.time() - there if there is not None else None)
