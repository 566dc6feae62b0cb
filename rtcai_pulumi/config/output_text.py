"""Texts that were made from an ``Output`` by mistake: by an f-string, ``+`` or ``str()``, none of which has its value.

The SDK then gives a text of its own, which an agent would take for its prompt.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

REASON: Final = (
    "has the words of an Output in the place of its value; build the text with pulumi.Output.format(…), "
    "pulumi.Output.concat(…) or .apply(…)"
)
_MARKS: Final = (" on an output", "<pulumi.output.")
"""Of what ``str()`` and ``repr()`` of an Output give, in small letters: a program may have changed the case."""


def is_of_an_output(value: Any) -> bool:
    """Whether a value is a text that was made from an Output."""
    return isinstance(value, str) and any(mark in value.lower() for mark in _MARKS)


def places_of_outputs(value: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where, at any depth, such a text stands; of a key it is where the object stands that has it."""
    if is_of_an_output(value):
        yield location
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if is_of_an_output(key):
                yield location
            else:
                yield from places_of_outputs(item, (*location, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from places_of_outputs(item, (*location, number))
