"""The operations of the API by name, and which of them share a limit."""

from typing import Final, Literal, get_args

Verb = Literal["create", "close", "query", "members", "room-create", "room-delete"]
"""``create`` and ``close`` are those of a task; the rest is the room API."""
Verbs = Literal["create", "close", "query", "members", "room-create", "room-delete", "*"]
"""One of them, or any."""
Group = Literal["create", "close", "rooms"]
"""What a rate limit counts together: the service's sister APIs state one limit for each API."""

VERBS: Final[tuple[Verbs, ...]] = get_args(Verbs)
TASK_VERBS: Final[frozenset[Verb]] = frozenset({"create", "close"})


def group_of(verb: Verb) -> Group:
    """The group that an operation is counted in."""
    return verb if verb == "create" or verb == "close" else "rooms"  # noqa: PLR1714  mypy narrows only so
