"""JSON Schema (2020-12) of the create body, made from the models, to compare them with the service's schema."""

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from rtcai_pulumi.config.conversation import TASK_TYPE, Conversation, Data

_VENDORS: Final = {"asr": "asrVendor", "llm": "llmVendor", "tts": "ttsVendor"}
_OWN_PROMPT: Final[JsonSchemaValue] = {
    "anyOf": [
        {"required": ["customPrompt"], "properties": {"customPrompt": {"minLength": 1}}},
        {"required": ["customPromptKeyWord", "customPromptFormat"]},
    ]
}


class _WireSchema(GenerateJsonSchema):
    """Leaves out what the request does not have: null as a default, and `extra`, which is merged before sending."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        return {key: value for key, value in made.items() if not (key == "default" and value is None)}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.get("properties", {}).pop("extra", None)
        return made


def create_body_schema() -> dict[str, Any]:
    """The schema of a whole create body."""
    inputs = Conversation.model_json_schema(schema_generator=_WireSchema)["properties"]
    data = Data.model_json_schema(schema_generator=_WireSchema)
    definitions = data.pop("$defs")
    definitions["Pipeline"] |= _require_when(
        "interruptMode", 4, {"interruptWords": {"minItems": 1}}, ["interruptWords"]
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Create body of a real-time conversation",
        "type": "object",
        "properties": {
            "cname": inputs["cname"],
            "requestId": inputs["requestId"],
            "taskType": {"type": "integer", "const": TASK_TYPE},
            "data": data | _mode_schema(),
        },
        "required": ["cname", "taskType", "data"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _require_when(name: str, value: object, properties: JsonSchemaValue, required: list[str]) -> JsonSchemaValue:
    return {
        "if": {"required": [name], "properties": {name: {"const": value}}},
        "then": {"properties": properties, "required": required},
    }


def _mode_schema() -> JsonSchemaValue:
    """The three modes, with the same rules as in `rules`."""
    others = {name: False for name in Data.wire_names() if name != "agent"}
    required: JsonSchemaValue = {block: {"required": [vendor]} for block, vendor in _VENDORS.items()}
    required["llm"] |= {"if": {"required": ["role"], "properties": {"role": {"const": 0}}}, "then": _OWN_PROMPT}
    with_agent = {"type": "object", "required": ["enableAgent"], "properties": {"enableAgent": {"const": True}}}
    return {
        "if": {"required": ["agent"]},
        "then": {"properties": others},
        "else": {
            "if": {"required": ["llm"], "properties": {"llm": with_agent}},
            "then": {"properties": {"llm": {"required": ["agentParam"]}}},
            "else": {"required": list(_VENDORS), "properties": required},
        },
    }
