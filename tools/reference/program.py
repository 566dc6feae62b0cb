"""The page of what a program uses: resources, blocks, roles, functions and errors, from their models and docstrings."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from pydantic.fields import FieldInfo

import rtcai_pulumi
from rtcai_pulumi import RealtimeConversation, Role, Room, RtcAiError, room_token
from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.blocks import Agent, AgentParam, Asr, Llm, Pipeline, RealTimeParam, Tts
from rtcai_pulumi.config.conversation import Conversation
from rtcai_pulumi.config.field_docs import field_docs
from rtcai_pulumi.config.problems import limits_of
from rtcai_pulumi.config.room import RoomInputs

_BLOCKS: Final = (Agent, Asr, Llm, RealTimeParam, AgentParam, Tts, Pipeline)
_WORDS: Final = {
    str: "string",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Any: "anything",
    type(None): "",
}
_HEAD: Final = """# Reference

Made from the models and docstrings by `make docs`. Names in a program are the snake_case ones; a block as a plain
dict, the state and the wire have the others, which are those of the service's API page.
"""


def program_page() -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *_resources(), *_blocks(), *_roles(), *_functions(), *_errors()])


def _resources() -> Iterator[str]:
    yield "## Resources\n"
    for resource, inputs in ((RealtimeConversation, Conversation), (Room, RoomInputs)):
        yield f"### `{resource.__name__}`\n\n{_text(resource)}\n\nArguments:\n"
        yield from _table(inputs, leave_out=("owner",) if resource is RealtimeConversation else ("owner", "extra"))
        yield "\nOutputs (every argument is one too, under its own name):\n\n| output | |\n|---|---|"
        for name, member in vars(resource).items():
            if isinstance(member, property) and name not in inputs.model_fields:
                yield f"| `{name}` | {_text(member)} |"
        yield ""


def _blocks() -> Iterator[str]:
    yield "## Blocks\n\nEach takes `extra`, too: fields that the API page does not list yet, by the wire's names.\n"
    for block in _BLOCKS:
        yield f"### `{block.__name__}`\n\n{_text(block)}\n"
        yield from _table(block, leave_out=("extra",))
        yield ""


def _roles() -> Iterator[str]:
    yield f"## Roles\n\n{_text(Role)}\n\n| `Role` | number |\n|---|---|"
    yield from (f"| `{role.name}` | {role.value} |" for role in Role)
    yield ""


def _functions() -> Iterator[str]:
    yield "## Functions\n"
    yield "### `room_token`\n"
    yield f"{inspect.getdoc(room_token)}\n".replace("Args:\n", "Arguments:\n\n").replace("Raises:\n", "Raises:\n\n")


def _errors() -> Iterator[str]:
    yield f"## Errors\n\n{_text(RtcAiError)}\n\n| error | |\n|---|---|"
    public = [getattr(rtcai_pulumi, name) for name in rtcai_pulumi.__all__]
    classes = [value for value in public if inspect.isclass(value)]
    for error in sorted((each for each in classes if issubclass(each, RtcAiError)), key=lambda each: each.__name__):
        if error is not RtcAiError:
            base = error.__base__.__name__ if error.__base__ else ""
            yield f"| `{error.__name__}`, a `{base}` | {_text(error)} |"


def _table(block: type[Block], *, leave_out: Sequence[str]) -> Iterator[str]:
    yield "| name | on the wire | type | |\n|---|---|---|---|"
    docs = field_docs(block)
    for name, field in block.model_fields.items():
        if name not in leave_out:
            wire = field.alias or name
            description = " ".join(docs.get(name, "").split()).replace("|", "\\|").replace("``", "`")
            yield f"| `{name}` | `{wire}` | {describe_type(field)} | {description} |"


def describe_type(field: FieldInfo) -> str:
    """Return the type of a field and its range in words."""
    words = _word(field.annotation)
    limits = limits_of(field)
    return f"{words}, {limits}" if limits else words


def _word(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if inspect.isclass(annotation):
        return f"`{annotation.__name__}`"
    if origin in {Mapping, dict}:
        return "object"
    if origin in {Sequence, list}:
        return f"list of: {_word(parts[0])}"
    words = [f"`{part!r}`" if isinstance(part, str | int) else _word(part) for part in parts]
    return " or ".join(dict.fromkeys(word for word in words if word))


def _text(documented: Any) -> str:
    """Return the docstring up to its first section, with each paragraph on one line."""
    text = re.split("\n\n(?:Args|Raises|Returns):", inspect.getdoc(documented) or "")[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")).replace("``", "`")
