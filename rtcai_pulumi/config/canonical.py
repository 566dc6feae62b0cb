"""The agent that a conversation's inputs request, and its canonical form, which create, diff and journal compare.

Two configurations with the same canonical form start the same agent. So an agent is not restarted because of a
difference in spelling: the order of keys, 1 instead of 1.0, an empty block, the order of a set, a default that is set
or left out.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from pydantic_core import PydanticUndefined

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import BLOCK_NAMES, Data, Mode
from rtcai_pulumi.config.end_time import ends_at_of
from rtcai_pulumi.config.values import UNKNOWN, contains_unknown
from rtcai_pulumi.config.wire import create_body, data_of, nested_blocks, to_json

_UNORDERED: Final = frozenset({"ignoreBracketTextSet", "interruptWords"})
_OWN_PROMPT: Final = ("customPrompt", "customPromptKeyWord", "customPromptFormat")


CONFIGURATION: Final = ("cname", *BLOCK_NAMES, "extra")
"""The inputs that determine the canonical form: another value of one of them requires another agent."""


@dataclass(frozen=True)
class DesiredAgent:
    """The agent that flat inputs request. An operation makes it once; what follows from the inputs is computed once.

    The inputs may be invalid, or contain unknowns: for a preview, and for what an older release stored.
    """

    inputs: Mapping[str, Any]
    """Flat inputs, which are never changed; the outputs in a state repeat them."""

    @property
    def owner(self) -> str:
        """The resource that the agent is for; empty if it is not known."""
        return str(self.inputs.get("owner") or "")

    @property
    def cname(self) -> str:
        """The name of its room."""
        return str(self.inputs["cname"])

    @property
    def ends_at(self) -> str:
        """When it is to end, as the journal stores it; empty if it has no end, or if the end is not known yet."""
        return ends_at_of(self.inputs)

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The inputs that determine the canonical form, as they are; two agents with equal ones are the same."""
        return {name: self.inputs.get(name) for name in CONFIGURATION}

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The blocks, as `wire.data_of` returns them."""
        return data_of(self.inputs)

    @property
    def mode(self) -> Mode:
        """Where its settings come from."""
        return Mode.of(self.data)

    def body(self, request_id: str) -> dict[str, Any]:
        """The body of ``task/create``."""
        return create_body(self.cname, self.data, request_id)

    @cached_property
    def canonical(self) -> Mapping[str, Any]:
        """``cname``, the blocks, and ``extra`` with the blocks that have no name of their own yet."""
        blocks = {name: block for name, block in self.data.items() if name in Data.wire_names()}
        extra = {name: block for name, block in self.data.items() if name not in blocks}
        if self.mode is Mode.PARAMETERS:
            # In the other modes a field that is left out comes from the agent, so setting a default can change
            # something.
            blocks = _fill_defaults(Data, blocks)
        form = {"cname": self.inputs.get("cname"), **_sort_sets(Data, blocks), "extra": extra}
        return {name: value for name, value in form.items() if value is not None and value != {}}

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the canonical form, as hex; equal for two creates that request the same agent."""
        return hashlib.sha256(_text(self.canonical).encode()).hexdigest()


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same in the request. Unlike in Python, true is not 1. An unknown equals nothing."""
    return not contains_unknown([one, other]) and _text(one) == _text(other)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


@cache
def _defaults(model: type[Block]) -> Mapping[str, Any]:
    """The documented defaults of a block's own fields, by their names in the request."""
    inner = nested_blocks(model)
    return {
        wire_name: to_json(field.default)
        for name, field in model.model_fields.items()
        if (wire_name := field.alias or name) not in inner and field.default not in {None, PydanticUndefined}
    }


def _fill_defaults(model: type[Block], block: dict[str, Any]) -> dict[str, Any]:
    """A block with the documented defaults of the fields that it leaves out, at any depth."""
    filled = {**_defaults(model), **block}
    for name, inner in nested_blocks(model).items():
        nested = filled.get(name, {})
        filled[name] = _fill_defaults(inner, nested) if isinstance(nested, dict) else nested
    if "role" not in block and any(block.get(name) for name in _OWN_PROMPT):
        # It is not documented that no role with an own prompt means role 0: setting it may change something.
        filled.pop("role", None)
    return filled


def _sort_sets(model: type[Block], block: dict[str, Any]) -> dict[str, Any]:
    """A block with sorted sets and without empty blocks, at any depth."""
    inner = nested_blocks(model)
    form: dict[str, Any] = {}
    for name, value in block.items():
        if name in inner and isinstance(value, dict):
            form[name] = _sort_sets(inner[name], value)
        elif name in _UNORDERED and isinstance(value, list) and UNKNOWN not in value:
            form[name] = sorted(value, key=_text)
        else:
            form[name] = value
    return {name: value for name, value in form.items() if value != {}}
