"""What every block has in common: how it is stated in a program, and the place for fields that the page lacks."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rtcai_pulumi.config.setting import Setting

if TYPE_CHECKING:
    _StatedMeta = type
else:

    class _StatedMeta(type(BaseModel)):
        """Lets a program state a block without validating it.

        A program passes outputs, whose values no one knows yet; `check` validates once the engine has resolved them,
        and reports all problems of all blocks together. Only a misspelt keyword fails at once, where it was written.
        ``model_validate`` does not pass here, so that one class serves both.
        """

        def __call__(cls, *positional: object, **fields: object) -> "Block":
            if positional:
                message = f"{cls.__name__}() takes keywords only: {', '.join(cls.model_fields)}"
                raise TypeError(message)
            for keyword in fields:
                if keyword not in cls.model_fields:
                    raise TypeError(misspelt_keyword(cls.__name__, keyword, cls.model_fields))
            return cls.model_construct(_fields_set=set(fields), **fields)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, without regard to case and underscores; None where nothing is near."""
    plain = {candidate.replace("_", "").casefold(): candidate for candidate in names}
    found = difflib.get_close_matches(name.replace("_", "").casefold(), plain, n=1)
    return plain[found[0]] if found else None


def misspelt_keyword(owner: str, keyword: str, known: Iterable[str]) -> str:
    """The message of the TypeError for a keyword that does not exist."""
    names = list(known)
    near = nearest(keyword, names)
    hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(names)}"
    return f"{owner}() got an unexpected keyword argument {keyword!r}; {hint}"


class Block(BaseModel, metaclass=_StatedMeta):
    """One object of the create body.

    In a program, fields have the snake_case of the API page's names, and every value may be a Pulumi ``Output``; what
    is left out or None is not sent. A value is validated by `check`, at preview. As a plain dict, a block has the
    page's own camelCase names.

    Raises:
        TypeError: a misspelt keyword; the message names the nearest field.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        use_attribute_docstrings=True,
    )

    extra: Setting[Mapping[str, Any]] = Field(default=None)
    """Fields that the API page does not list yet, by the names of the wire; sent beside the others. A field that has
    a name of its own here is refused."""

    @classmethod
    def wire_names(cls) -> dict[str, str]:
        """The names of the wire, each with its name in Python; without `extra`, which is never sent."""
        return {field.alias or name: name for name, field in cls.model_fields.items() if name != "extra"}
