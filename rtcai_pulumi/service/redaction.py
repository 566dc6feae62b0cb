"""The one place where secrets are taken out of text: of what a library says, and of what the service echoes."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

MASK: Final = "[secret]"
_LONGEST_TEXT: Final = 300
_SHORTEST_SECRET: Final = 4
_LONGEST_PIECE: Final = 12


def redact(text: str, secrets: Iterable[str]) -> str:
    """A text without the given secrets, and not longer than a message can bear.

    A secret is found as it is and as JSON writes it, once and twice; of a longer one every piece of twelve characters,
    because a service may quote a part. Strings of less than four characters are left: they would tear the text apart
    and can hardly be secrets.
    """
    hidden = [False] * len(text)
    for piece in {piece for secret in secrets for form in _written(secret) for piece in _pieces(form)}:
        at = text.find(piece)
        while at >= 0:
            hidden[at : at + len(piece)] = [True] * len(piece)
            at = text.find(piece, at + 1)
    shown = "".join(
        character if not hide else MASK if not at or not hidden[at - 1] else ""
        for at, (character, hide) in enumerate(zip(text, hidden, strict=True))
    )
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]} …"


def _written(secret: str) -> Iterator[str]:
    """The ways in which a secret may stand in a text."""
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
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
