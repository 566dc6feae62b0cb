"""The one place where secrets are taken out of text: of what a library says, and of what the service echoes."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

MASK: Final = "[secret]"
_LONGEST_TEXT: Final = 300
_SHORTEST_SECRET: Final = 4


def redact(text: str, secrets: Iterable[str]) -> str:
    """A text without the given secrets, and not longer than a message can bear.

    Strings of less than four characters are left: they would tear the text apart and can hardly be secrets.
    """
    # The longest first: one secret may be a part of another.
    known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)
    if known:
        text = re.sub("|".join(map(re.escape, known)), MASK, text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} …"


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
