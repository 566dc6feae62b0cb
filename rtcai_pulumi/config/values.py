"""Values as a program writes them: blocks, outputs whose value is not known yet, and nulls.

`walk` and `map_nested` are the one way to read and to change a nested value. Both are recursive: a value that is nested
too deeply, or contains itself, raises RecursionError.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

from rtcai_pulumi.config.block import Block

Location = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""


class Unknown(Enum):
    """The type of `UNKNOWN`. It is an enum because type checkers can narrow an enum with one member."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""The types of most values. To ask for them first is faster than to ask an abstract class about each value."""


def walk(
    value: Any, location: Location = (), *, enters: Callable[[Any], bool] = lambda _: True
) -> Iterator[tuple[Location, Any]]:
    """A value, and everything inside its objects and lists, each with its location; an object before its contents.

    Args:
        value: the value; anything except an object and a list is one value, for example a Pulumi output.
        location: its location.
        enters: whether to continue below a key of an object.
    """
    yield location, value
    for key, item in _items_of(value):
        if enters(key):
            yield from walk(item, (*location, key), enters=enters)


def map_nested(
    value: Any,
    change: Callable[[Location, Any], Any],
    location: Location = (),
    *,
    keeps: Callable[[Any, Any], bool] = lambda _key, _item: True,
) -> Any:
    """A copy of a value in which every value that is not an object or a list is changed.

    Args:
        value: the value; a tuple becomes a list.
        change: returns what replaces the value at a location.
        location: the location of the whole value.
        keeps: whether an object keeps a key and its value, as they are before the change.
    """
    if type(value) in _PLAIN:
        return change(location, value)
    if isinstance(value, Mapping):
        return {
            key: map_nested(item, change, (*location, key), keeps=keeps)
            for key, item in value.items()
            if keeps(key, item)
        }
    if isinstance(value, list | tuple):
        return [map_nested(item, change, (*location, at), keeps=keeps) for at, item in enumerate(value)]
    return change(location, value)


def _items_of(value: Any) -> Iterable[tuple[Any, Any]]:
    if type(value) in _PLAIN:
        return ()
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()


def is_not_null(_key: Any, item: Any) -> bool:
    """Whether a value of an object is not null: in a program, None is the same as left out."""
    return item is not None


def contains_unknown(value: Any) -> bool:
    """Whether a value is an unknown, or contains one at any depth."""
    return any(item is UNKNOWN for _, item in walk(value))


def drop_nulls(value: Any) -> Any:
    """A value whose objects have no nulls, at any depth."""
    return map_nested(value, lambda _, item: item, keeps=is_not_null)


def as_data(value: Any) -> Any:
    """Blocks, mappings and lists as plain data; None is kept, because in a room of an event it removes a setting.

    This is a recursion of its own, because it also enters blocks and sets.
    """
    if isinstance(value, Block):
        names = {python: wire for wire, python in type(value).wire_names().items()} | {"extra": "extra"}
        return {names[field]: as_data(getattr(value, field)) for field in value.model_fields_set}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_data(item) for item in sort_set(value)]
    return value


def sort_set(values: Collection[Any]) -> list[Any]:
    """A list; a set is sorted, because otherwise the same program would produce another list in each run."""
    if isinstance(values, set | frozenset):
        return sorted(values, key=lambda value: (type(value).__name__, repr(value)))
    return list(values)
