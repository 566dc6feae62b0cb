"""The only place that removes secrets from text: from messages of libraries, and from responses of the service."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rtcai_pulumi.config.values import walk

MASK: Final = "[secret]"
_LONGEST_TEXT: Final = 300
_SHORTEST_SECRET: Final = 4
_LONGEST_PIECE: Final = 12


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the given secrets, and short enough for a message.

    A secret is found as it is, and as JSON writes it, encoded once or twice. Of a longer secret every piece of twelve
    characters is found, because a service may quote only a part. Strings of less than four characters are left in: they
    are unlikely to be secrets, and removing them would make the text unreadable.
    """
    hidden = [False] * len(text)
    for piece in {piece for secret in secrets for form in _written_forms(secret) for piece in _pieces(form)}:
        at = text.find(piece)
        while at >= 0:
            hidden[at : at + len(piece)] = [True] * len(piece)
            at = text.find(piece, at + 1)
    redacted = "".join(
        character if not hide else MASK if not at or not hidden[at - 1] else ""
        for at, (character, hide) in enumerate(zip(text, hidden, strict=True))
    )
    return redacted if len(redacted) <= _LONGEST_TEXT else f"{redacted[:_LONGEST_TEXT]} …"


def _written_forms(secret: str) -> Iterator[str]:
    """The forms in which a secret may appear in a text."""
    yield secret
    for ascii_only in (True, False):
        form = secret
        for _ in range(2):
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            yield form


def _pieces(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORTEST_SECRET:
        for at in range(max(len(secret) - _LONGEST_PIECE, 0) + 1):
            yield secret[at : at + _LONGEST_PIECE]


def texts_in(value: Any) -> Iterator[str]:
    """Every string value in a body, at any depth: any of them may be a secret input."""
    return (item for _, item in walk(value) if isinstance(item, str))
