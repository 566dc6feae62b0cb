"""Finds text made from an ``Output`` by mistake: an f-string, ``+`` or ``str()`` does not give the output's value.

The SDK returns a fixed text of its own instead, which an agent would use as its prompt.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rtcai_pulumi.config.values import Location, walk

REASON: Final = (
    "contains the text of an Output instead of its value; build the string with pulumi.Output.format(…), "
    "pulumi.Output.concat(…) or .apply(…)"
)
_MARKS: Final = ("calling __str__ on an output", "<pulumi.output.")
"""Parts of the result of ``str()`` and ``repr()`` of an Output that no prompt contains by chance. In lower case: a
program may have changed the case.
"""


def is_output_text(value: Any) -> bool:
    """Whether a value is a text that was made from an Output."""
    if not isinstance(value, str):
        return False
    text = value.lower()
    return any(mark in text for mark in _MARKS)


def find_output_texts(value: Any) -> Iterator[Location]:
    """The locations of such texts, at any depth; for a key, the location of the object that has the key."""
    for location, item in walk(value, enters=lambda key: not is_output_text(key)):
        if is_output_text(item) or (isinstance(item, Mapping) and any(map(is_output_text, item))):
            yield location
