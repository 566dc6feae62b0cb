"""The type of one field: a plain value, an ``Output`` of another resource, or nothing.

A field is declared once, as ``Setting[T]``, or as ``KnownSetting[T]`` if it must not be an output. Type checkers and
editors read it as everything that a Pulumi program may pass. At run time it is only ``T``, which pydantic validates
once the engine has resolved all outputs. Pulumi is imported for type checkers only, so the layers below the provider
can use these models without importing it.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

from pydantic import BeforeValidator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from pulumi import Output

T = TypeVar("T")

if TYPE_CHECKING:
    Setting = Union[T, "Output[T]", "Awaitable[T]", None]  # noqa: UP007  a generic alias cannot be written with |
    BlockSetting = Union[T, "Output[T]", "Mapping[str, Any]", "Output[Mapping[str, Any]]", None]  # noqa: UP007  as above
    KnownSetting = Union[T, None]  # noqa: UP007  as above
    KnownBlockSetting = Union[T, "Mapping[str, Any]", None]  # noqa: UP007  as above
else:

    class Setting:
        """``Setting[T]`` is ``T`` to pydantic."""

        def __class_getitem__(cls, item: object) -> object:
            """Return the type to validate."""
            return item

    BlockSetting = KnownSetting = KnownBlockSetting = Setting


def _to_whole_number(value: object) -> object:
    """Convert 7.0 to 7: the engine carries every number as a float, and JSON Schema counts 7.0 as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[int, BeforeValidator(_to_whole_number)]
