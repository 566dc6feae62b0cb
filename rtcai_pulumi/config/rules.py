"""The rules that combine several fields. Each rule reads only the fields it needs, and skips unknown ones."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.conversation import BLOCK_NAMES, Conversation, Data, Mode, options_of
from rtcai_pulumi.config.problems import LONE_SURROGATE, NULL, Problem, path_of
from rtcai_pulumi.config.values import UNKNOWN, Location
from rtcai_pulumi.config.wire import EXACT_LIMIT, nested_blocks

_PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LOOKS_LIKE_KEYWORD: Final = re.compile(r"[\w-]{1,40}")
DEEPEST: Final = 30
"""The maximum depth of nested objects and lists: protobuf's C library reads at most a hundred nested messages, and each
object takes three."""
TOO_DEEP: Final = f"nested too deeply: at most {DEEPEST} levels are allowed"
_SHOWN_OF_A_DEEP_PATH: Final = 4
PULUMI_KEY: Final = "4dabf18193072939515e22adb298388d"
"""The engine marks objects that represent a secret, an asset or a resource by this key."""
_PULUMI_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_REQUIRED: Final = "required, because neither agent nor llm.enableAgent is set"
_VENDORS: Final = {"asr": "asrVendor", "llm": "llmVendor", "tts": "ttsVendor"}

ONLY_A_ROOM: Final = (
    "only a conversation may have this option, and only with a Room of rtcai_pulumi: otherwise the engine would remove "
    "the resource from the state without stopping it; use depends_on, which stops it before the other resource is "
    "deleted"
)
HOW_TO_ADOPT_AN_AGENT: Final = (
    "an agent cannot be imported, because the service cannot look up a task; use adopt='cid/taskId' to manage a "
    "running agent"
)
HOW_TO_ADOPT_A_ROOM: Final = "a room cannot be imported by an id; use adopt_existing=True to manage an open room"


def check_rules(inputs: Mapping[str, Any]) -> list[Problem]:
    """Every cross-field problem of flat inputs."""
    rules = (
        _check_mode,
        _check_prompts,
        _check_placeholders,
        _check_interrupt_words,
        _check_extras,
        find_unsendable,
        _check_options,
    )
    return [problem for rule in rules for problem in rule(inputs)]


def _get_block(owner: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A block whose fields can be checked; None if it is absent, unknown or not an object."""
    block = owner.get(name)
    return block if isinstance(block, dict) else None


def _check_mode(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """API page, "请求体示例": three ways to call, each with its own required fields."""
    present = [name for name in BLOCK_NAMES if inputs.get(name) is not None]
    llm = _get_block(inputs, "llm")
    if "agent" in present:
        for name in present:
            if name != "agent":
                yield Problem(name, "no other block is allowed together with agent: all settings come from the agent")
        return
    enable_agent = llm.get("enableAgent") if llm else None
    if inputs.get("llm") is UNKNOWN or enable_agent is UNKNOWN or inputs.get("agent") is UNKNOWN:
        return
    if enable_agent is True:
        if "agentParam" not in (llm or {}):
            yield Problem("llm.agentParam", "required if enableAgent is true")
        return
    if not present:
        yield Problem(
            path_of(()), "no block is set: set agent; or asr, llm and tts; or llm with enableAgent and agentParam"
        )
        return
    for name, vendor in _VENDORS.items():
        block = _get_block(inputs, name)
        if name not in present:
            yield Problem(name, _REQUIRED)
        elif block is not None and vendor not in block:
            yield Problem(f"{name}.{vendor}", _REQUIRED)


def _check_prompts(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """API page, "LLM 角色": a preset, or your own prompt in one of two ways."""
    llm = _get_block(inputs, "llm")
    role = llm.get("role") if llm else None
    if llm is None or role is UNKNOWN or isinstance(role, bool) or not isinstance(role, int | float):
        return
    own = [name for name in ("customPrompt", "customPromptKeyWord", "customPromptFormat") if llm.get(name)]
    if 1 <= role <= 14 and own:
        yield Problem(
            "llm.role",
            f"roles 1 to 14 are presets, so the service probably ignores {own[0]}; set role 0, or remove {own[0]}",
        )
    if role != 0 or "agent" in inputs or Mode.of(inputs) is not Mode.PARAMETERS or llm.get("enableAgent") is UNKNOWN:
        return
    if llm.get("customPrompt"):
        return
    if llm.get("customPromptKeyWord") and not llm.get("customPromptFormat"):
        yield Problem("llm", "role 0 with customPromptKeyWord needs customPromptFormat, the template for the keywords")
    elif llm.get("customPromptFormat") and not llm.get("customPromptKeyWord"):
        yield Problem("llm", "role 0 with customPromptFormat needs customPromptKeyWord, the texts for the template")
    elif not llm.get("customPromptKeyWord"):
        yield Problem(
            "llm",
            "role 0 needs a customPrompt that is not empty, or both customPromptKeyWord and customPromptFormat",
        )


def _check_placeholders(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """A placeholder without a keyword would be spoken as it is written."""
    llm = _get_block(inputs, "llm") or {}
    template, keywords = llm.get("customPromptFormat"), llm.get("customPromptKeyWord")
    if not isinstance(template, str) or not isinstance(keywords, dict):
        return
    for number, placeholder in enumerate(dict.fromkeys(_PLACEHOLDER.findall(template)), start=1):
        if placeholder not in keywords:
            # The template is free text and may be a secret: only a part that looks like a keyword is shown.
            name = (
                f"{{{{{placeholder}}}}}"
                if _LOOKS_LIKE_KEYWORD.fullmatch(placeholder)
                else f"number {number} (the keyword must match exactly, including spaces)"
            )
            yield Problem(
                "llm.customPromptFormat", f"no keyword for the placeholder {name}; add it to customPromptKeyWord"
            )


def _check_interrupt_words(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    pipeline = _get_block(inputs, "pipeline") or {}
    mode = pipeline.get("interruptMode")
    if mode == 4 and not isinstance(mode, bool) and pipeline.get("interruptWords", []) == []:
        yield Problem("pipeline.interruptWords", "interruptMode 4 needs at least one word")


def _check_extras(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """A field that the model has must be set there and not in `extra`, so it is validated and compared."""
    top = {**Conversation.wire_names(), "taskType": "", "data": ""}
    yield from _check_extra(inputs.get("extra"), "extra", top)
    yield from _check_inner_extras(inputs, Data, "")


def _check_inner_extras(owner: Mapping[str, Any], model: type[Block], path: str) -> Iterator[Problem]:
    for name, inner in nested_blocks(model).items():
        if (block := _get_block(owner, name)) is not None:
            yield from _check_extra(block.get("extra"), f"{path}{name}.extra", inner.wire_names())
            yield from _check_inner_extras(block, inner, f"{path}{name}.")


def _check_extra(extra: Any, path: str, fields: Mapping[str, str]) -> Iterator[Problem]:
    if not isinstance(extra, dict):
        return
    for key in extra:
        if key in fields or key in fields.values():
            yield Problem(f"{path}.{key}", "is a known field: set it directly, not in extra")


def _check_options(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """Pulumi options that would not do here what Pulumi documents."""
    options, strategy = options_of(inputs), inputs.get("replaceStrategy")
    order = options.get("deleteBeforeReplace")
    if (strategy == "start-first" and order is True) or (strategy == "stop-first" and order is False):
        yield Problem(
            "replaceStrategy",
            f"{strategy!r} contradicts the option delete_before_replace={order}; set only one of them",
        )
    if options.get("deletedWith"):
        yield Problem("deleted_with", ONLY_A_ROOM)
    for problem in options.get("problems") or ():
        option, _, reason = str(problem).partition(": ")
        yield Problem(option, reason)
    if options.get("import"):
        yield Problem("import_", HOW_TO_ADOPT_AN_AGENT)


def find_unsendable(value: Any, location: Location = ()) -> Iterator[Problem]:
    """Values that the engine cannot carry or would change: it carries JSON, with every number as a 64-bit float.

    This is a recursion of its own, because it ends at a depth, and at the first problem of each branch.
    """
    if not isinstance(value, Mapping | list | tuple):
        if reason := _check_value(value):
            yield Problem(path_of(location), reason)
    elif len(location) >= DEEPEST:
        yield Problem(path_of(location[:_SHOWN_OF_A_DEEP_PATH]), TOO_DEEP)
    else:
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(value, Mapping) and (reason := _check_key(key)):
                yield Problem(path_of(location), reason)
            elif item is None and not isinstance(value, Mapping):  # in an object, null is the same as left out
                yield Problem(path_of((*location, key)), NULL)
            else:
                yield from find_unsendable(item, (*location, key))


def _check_key(key: Any) -> str | None:
    if not isinstance(key, str):
        return "has a key that is not a string; write the key in quotes"
    if _has_lone_surrogate(key):
        return f"has a key that {LONE_SURROGATE}"
    return "has a key that Pulumi reserves; it cannot be sent" if key == PULUMI_KEY else None


def _check_text(value: str) -> str | None:
    if _has_lone_surrogate(value):
        return LONE_SURROGATE
    is_pulumis = value == _PULUMI_UNKNOWN
    return "is the text that Pulumi uses for an unknown value; it cannot be sent" if is_pulumis else None


def _check_value(value: Any) -> str | None:
    if value is None or value is UNKNOWN:
        return None
    if isinstance(value, str):
        return _check_text(value)
    if not isinstance(value, int | float):
        return "must be a string, a number, true or false, a list or an object; nothing else can be sent"
    if isinstance(value, float) and math.isnan(value):  # isnan fails for a very large int
        return "must be a finite number"
    too_large = abs(value) >= EXACT_LIMIT
    return "too large: the engine keeps numbers exact below 2^53 only; write it as a string" if too_large else None


def _has_lone_surrogate(text: str) -> bool:
    """Whether a text has a surrogate without its other half; UTF-8 cannot encode that."""
    return _LONE_SURROGATE.search(text) is not None


_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""UTF-8 can encode no surrogate, alone or in a pair."""
