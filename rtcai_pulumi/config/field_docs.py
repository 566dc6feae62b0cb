"""The texts under the fields of blocks, for the schema of event files and the reference pages.

Pydantic can read them when it makes a class (``use_attribute_docstrings``), but then every program and every plugin
reads the source of all blocks when it starts.
"""

import ast
import inspect
import itertools
import textwrap
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from rtcai_pulumi.config.block import Block


def field_docs(model: type[Block]) -> dict[str, str]:
    """The text under each field of a block and of the blocks that it inherits from, by the field's name in Python."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Block):
            docs |= _own_docs(base)
    return docs


class DescribedSchema(GenerateJsonSchema):
    """JSON Schema whose properties have the texts under the fields as their descriptions."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """The schema of one model."""
        result = super().model_schema(schema)
        model = schema["cls"]
        docs = field_docs(model) if issubclass(model, Block) else {}
        for name, field in model.model_fields.items():
            described = result.get("properties", {}).get(field.alias or name)
            if described is not None and name in docs:
                described["description"] = docs[name]
        return result


def _own_docs(model: type[Block]) -> dict[str, str]:
    (class_,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    pairs = itertools.pairwise(class_.body if isinstance(class_, ast.ClassDef) else [])
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
