"""The only module that knows the request format of a conversation.

The inputs are flat (``cname``, ``requestId``, the blocks, ``extra``); the service expects the blocks under ``data``.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import BLOCK_NAMES, TASK_TYPE, Data
from rtcai_pulumi.config.values import Location, is_not_null, map_nested

EXACT_LIMIT: Final = 2**53
"""From this number on, a float cannot represent every whole number."""


@cache
def nested_blocks(model: type[Block]) -> Mapping[str, type[Block]]:
    """The fields of a block that are blocks themselves, by their names in the request."""
    return {
        field.alias or name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block)
    }


def to_json(value: Any) -> Any:
    """A value as JSON: whole floats as integers (the engine makes every number a float), without nulls."""
    return map_nested(value, _to_json_number, keeps=is_not_null)


def _to_json_number(_: Location, value: Any) -> Any:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < EXACT_LIMIT
    return int(value) if is_whole else value


def _merge_extra(model: type[Block], block: Any) -> Any:
    """A block with its `extra` merged in, at any depth; a value that is not an object is left unchanged."""
    if not isinstance(block, dict):
        return block
    inner = nested_blocks(model)
    extra = block.get("extra")
    fields = {
        key: _merge_extra(inner[key], item) if key in inner else item for key, item in block.items() if key != "extra"
    }
    return {**(extra if isinstance(extra, dict) else {}), **fields}


def data_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The ``data`` of the create body: only the configured fields, with each `extra` merged into its place."""
    blocks = {name: inputs[name] for name in (*BLOCK_NAMES, "extra") if inputs.get(name) is not None}
    merged: dict[str, Any] = _merge_extra(Data, to_json(blocks))
    return merged


def create_body(cname: str, data: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """The body of ``task/create``: no defaults that were not set, no nulls, and no inputs only for the provider."""
    return {"cname": cname, "requestId": request_id, "taskType": TASK_TYPE, "data": data}


def close_body(cid: int, task_id: str) -> dict[str, Any]:
    """The body of ``task/close``."""
    return {"cid": cid, "taskType": TASK_TYPE, "taskId": task_id}


def flat_inputs(body: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs for a create body; the inverse of `create_body`."""
    top_level = {name: body[name] for name in ("cname", "requestId") if name in body}
    return {**top_level, **body["data"]}
