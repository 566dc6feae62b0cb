"""The base of models for faults, seeds and queries: no unknown keys and no conversion of values."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rtcai_pulumi.emulator.errors import InvalidInput

M = TypeVar("M", bound=BaseModel)

_MAX_VALUE_LENGTH: Final = 40
"""How many characters of a wrong value a message repeats."""


class StrictModel(BaseModel):
    """A JSON object with known keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def parse_strict(model: type[M], content: Any, *, by_name: bool = False) -> M:
    """Validate content as a model.

    Args:
        model: the model.
        content: the given content.
        by_name: whether its keys are Python names (``max_rps``), not JSON names (``maxRps``).

    Raises:
        InvalidInput: the content is not valid; the text names everything that is wrong.
    """
    if not isinstance(content, Mapping):
        message = "(root): must be an object"
        raise InvalidInput(message)
    try:
        return model.model_validate(content, by_name=by_name, by_alias=not by_name)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise InvalidInput("; ".join(_describe(model, problem, by_name=by_name) for problem in problems)) from None


def _describe(model: type[BaseModel], problem: Mapping[str, Any], *, by_name: bool) -> str:
    path = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        fields = model.model_fields.items()
        if len(problem["loc"]) > 1:
            return f"{path}: unknown field"
        known = ", ".join(name if by_name else field.alias or name for name, field in fields)
        return f"{path}: unknown field; the fields here are {known}"
    reason = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] in {"enum", "literal_error"}:
        reason += f", not {repr(problem['input'])[:_MAX_VALUE_LENGTH]}"
    return f"{path}: {reason}" if path else reason
