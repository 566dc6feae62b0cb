"""JSON Schema of event files, generated from the models: editors use it to complete and check a file.

It uses draft 7, which every editor's YAML support reads. The loader checks what the schema cannot express: whether an
agent is complete after a room's changes are merged into the default agent.
"""

import copy
import json
from typing import Any, Final

from rtcai_pulumi.config.conversation import Data
from rtcai_pulumi.config.end_time import ENDS_AT
from rtcai_pulumi.config.field_docs import DescribedSchema
from rtcai_pulumi.config.wire import nested_blocks
from rtcai_pulumi.events.agent import PROMPT_FILES
from rtcai_pulumi.events.model import KEY_PATTERN, Event
from rtcai_pulumi.events.secrets import KINDS

_Schema = dict[str, Any]
_CHANGES: Final = "Changes"
_SECRET: Final = {"$ref": "#/$defs/Secret"}
_WHERE: Final = {
    "$config": "Key in the stack's config: `key` (namespace of the project) or `namespace:key`. Its value is read as a "
    "secret.",
    "$env": "Name of an environment variable. Its value is treated as a secret.",
}


def event_schema() -> _Schema:
    """Return the schema of an event file."""
    event = Event.model_json_schema(schema_generator=DescribedSchema)
    models: dict[str, _Schema] = event.pop("$defs")
    for schema in (event, models["EventRoom"]):
        del schema["properties"]["extra"]
    for schema in models.values():
        schema.pop("required", None)  # a part need not be a complete agent
    for name in _block_names():
        _allow_secrets(models[name])
    _add_prompt_files(models["Llm"])
    agent_models = {"AgentSettings", *_block_names()}
    changes = {name + _CHANGES: _make_changes_schema(models[name], agent_models) for name in agent_models}
    room = models["EventRoom"]["properties"]
    room["agent"]["$ref"] += _CHANGES
    room[ENDS_AT] = _add_null(room[ENDS_AT], agent_models)
    event["properties"]["rooms"] |= {
        "propertyNames": {"pattern": KEY_PATTERN},
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/EventRoom"}, {"type": "null"}]},
    }
    definitions = models | changes | {"Secret": _secret()}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **_tidy(event)}
    return {**schema, "$defs": {name: _tidy(definitions[name]) for name in sorted(definitions)}}


def event_schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n"


def _block_names() -> set[str]:
    """Return the names, in the schema, of the models inside an agent."""
    names: set[str] = set()
    models = list(nested_blocks(Data).values())
    while models:
        model = models.pop()
        names.add(model.__name__)
        models += nested_blocks(model).values()
    return names


def _secret() -> _Schema:
    def one(kind: str) -> _Schema:
        name = {"type": "string", "pattern": KINDS[kind], "description": _WHERE[kind]}  # type: ignore[index]  # a Kind
        return {"type": "object", "properties": {kind: name}, "required": [kind], "additionalProperties": False}

    return {
        "description": "A secret by reference: it is kept in the stack's config or in the environment.",
        "anyOf": [one(kind) for kind in KINDS],
    }


def _allow_secrets(schema: _Schema) -> None:
    """Allow a reference wherever a text is allowed."""
    for name, field in schema["properties"].items():
        schema["properties"][name] = _add_secret(field)


def _add_secret(schema: _Schema) -> _Schema:
    if schema.get("type") == "string":
        outside, inside = _split(schema)
        return {**outside, "anyOf": [inside, _SECRET]}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            schema[inner] = _add_secret(schema[inner])
    return schema


def _split(schema: _Schema) -> tuple[_Schema, _Schema]:
    """Split a schema into the description of a field and the rules for its value."""
    outside = {key: value for key, value in schema.items() if key in {"description", "default"}}
    return outside, {key: value for key, value in schema.items() if key not in outside}


def _add_prompt_files(schema: _Schema) -> None:
    for name, prompt in PROMPT_FILES.items():
        schema["properties"][name] = {
            "type": "string",
            "minLength": 1,
            "description": f"Path of a file with the text of {prompt}, relative to this file's folder and inside it.",
        }
    # One of the two fields may be null: that only removes the value of the default agent.
    not_null = {"not": {"type": "null"}}
    schema["allOf"] = [
        {"not": {"required": [name, other], "properties": {name: not_null, other: not_null}}}
        for name, other in PROMPT_FILES.items()
    ]


def _make_changes_schema(schema: _Schema, agent_models: set[str]) -> _Schema:
    """Return the schema of an object in a room's changes: null removes any of its fields."""
    changes = copy.deepcopy(schema)
    for name, field in changes["properties"].items():
        changes["properties"][name] = _add_null(field, agent_models)
    return changes


def _add_null(field: _Schema, agent_models: set[str]) -> _Schema:
    outside, inside = _split(field)
    if isinstance(inside.get("additionalProperties"), dict):
        inside["additionalProperties"] = _add_null(inside["additionalProperties"], agent_models)
    if "$ref" in inside and inside["$ref"].rpartition("/")[2] in agent_models:
        inside["$ref"] += _CHANGES
    options = inside["anyOf"] if set(inside) == {"anyOf"} else [inside]
    return {**outside, "anyOf": [*options, {"type": "null"}]}


def _tidy(schema: _Schema) -> _Schema:
    """Remove titles, which only repeat the names, and null as a default, which is not valid in a file."""
    tidy = {key: value for key, value in schema.items() if key != "title" and not (key == "default" and value is None)}
    for inner in ("items", "additionalProperties"):
        if isinstance(tidy.get(inner), dict):
            tidy[inner] = _tidy(tidy[inner])
    if "properties" in tidy:
        tidy["properties"] = {name: _tidy(field) for name, field in tidy["properties"].items()}
    if "anyOf" in tidy:
        tidy["anyOf"] = [_tidy(option) for option in tidy["anyOf"]]
    if "description" in tidy:
        tidy["description"] = " ".join(tidy["description"].split())
    return tidy
