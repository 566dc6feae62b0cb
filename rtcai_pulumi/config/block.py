"""The base class of all blocks: how a program writes a block, and where fields go that the API page does not list."""

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rtcai_pulumi.config.setting import Setting

if TYPE_CHECKING:
    _BlockMeta = type
else:

    class _BlockMeta(type(BaseModel)):
        """Lets a program write a block without validation.

        A program passes outputs whose values are not known yet. `check` validates the block once the engine has
        resolved them, and reports the problems of all blocks together. Only a misspelt keyword fails immediately, where
        it was written. ``model_validate`` does not use this method, so the same class serves both.
        """

        def __call__(cls, *positional: object, **fields: object) -> "Block":
            if positional:
                message = f"{cls.__name__}() accepts only keyword arguments: {', '.join(cls.model_fields)}"
                raise TypeError(message)
            for keyword in fields:
                if keyword not in cls.model_fields:
                    raise TypeError(describe_misspelt_keyword(cls.__name__, keyword, cls.model_fields))
            return cls.model_construct(_fields_set=set(fields), **fields)


def find_nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, ignoring case and underscores; None if no name is similar."""
    plain = {candidate.replace("_", "").casefold(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.replace("_", "").casefold(), plain, n=1)
    return plain[matches[0]] if matches else None


def describe_misspelt_keyword(owner: str, keyword: str, known: Iterable[str]) -> str:
    """The message of the TypeError for a keyword that does not exist."""
    names = list(known)
    near = find_nearest(keyword, names)
    hint = f"did you mean {near!r}?" if near else f"it accepts {', '.join(names)}"
    return f"{owner}() got an unexpected keyword argument {keyword!r}; {hint}"


class Block(BaseModel, metaclass=_BlockMeta):
    """One object of the create body.

    In a program, the fields have the snake_case form of the API page's names, and every value may be a Pulumi
    ``Output``. A field that is left out or None is not sent. `check` validates the values at preview. As a plain dict,
    a block has the camelCase names of the API page.

    Raises:
        TypeError: a keyword is misspelt; the message names the nearest field.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        defer_build=True,
    )

    extra: Setting[Mapping[str, Any]] = Field(default=None)
    """Fields that the API page does not list yet, by their names in the request; sent together with the other fields. A
    field that this block already has is rejected here."""

    @classmethod
    @cache
    def wire_names(cls) -> Mapping[str, str]:
        """The field names in the request, each with its name in Python; without `extra`, which is never sent itself."""
        names = {field.alias or name: name for name, field in cls.model_fields.items() if name != "extra"}
        return MappingProxyType(names)
