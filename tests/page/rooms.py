"""Rooms and requests to show on the page, as a seed for an emulator."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.samples import load

DATA = load("samples/parameters.json")["data"]
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>\'"&{{7*7}}'
HOSTILE_NAME = HOSTILE[:28]
"""The part of it that fits into a room's name."""


def ago(seconds: float) -> str:
    """The time this many seconds before now."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def agent(cname: str, start: float, end: float | None = None, **more: Any) -> dict[str, Any]:
    """An agent that started this many seconds ago. It ended this many seconds ago, or still runs."""
    ended = {} if end is None else {"endedAt": ago(end)}
    return {"cname": cname, "data": DATA, "startedAt": ago(start), **ended, **more}


def changed(**blocks: Any) -> dict[str, Any]:
    """The configuration with other fields in its blocks."""
    return {**DATA, **{name: {**DATA[name], **block} for name, block in blocks.items()}}


def many(rooms: int, requests: int) -> dict[str, Any]:
    """This many rooms with one agent each, and this many requests."""
    return {
        "tasks": [agent(f"room-{number}", 3000 - number) for number in range(rooms)],
        "requests": [
            {"path": "/v1/api/task/create", "body": {"cname": f"room-{number % rooms}"}, "latencyMs": number % 50}
            for number in range(requests)
        ],
    }
