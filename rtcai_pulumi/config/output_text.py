"""Finds text made from an ``Output`` by mistake: an f-string, ``+`` or ``str()`` does not give the output's value.

The SDK returns a fixed text of its own instead, which an agent would use as its prompt.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

REASON: Final = (
    "has the words of an Output in the place of its value; build the text with pulumi.Output.format(…), "
    "pulumi.Output.concat(…) or .apply(…)"
)
_MARKS: Final = (" on an output", "<pulumi.output.")
"""Parts of the result of ``str()`` and ``repr()`` of an Output, in lower case: a program may have changed the case."""


def is_output_text(value: Any) -> bool:
    """Whether a value is a text that was made from an Output."""
    return isinstance(value, str) and any(mark in value.lower() for mark in _MARKS)


def find_output_texts(value: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The locations of such texts, at any depth; for a key, the location of the object that has the key."""
    if is_output_text(value):
        yield location
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if is_output_text(key):
                yield location
            else:
                yield from find_output_texts(item, (*location, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from find_output_texts(item, (*location, number))
