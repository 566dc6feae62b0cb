"""A configuration field by field, and what has changed between two; secrets are masked."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

MASK: Final = "••••••"
_SECRET: Final = re.compile(r"secret|token|passw|credential|authorization|checksum|api_?key", re.IGNORECASE)


class Changed(NamedTuple):
    """One field that differs; None where it is not stated."""

    field: str
    before: str | None
    after: str | None


def masked(value: Any) -> Any:
    """The same value with every secret masked, at any depth: what stands under a name that speaks of one."""
    if isinstance(value, Mapping):
        return {name: MASK if is_secret(str(name)) else masked(inner) for name, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list | tuple) else value


def is_secret(name: str) -> bool:
    """Whether a field or header of this name holds a secret."""
    return _SECRET.search(name) is not None


def flat(data: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Every field with its path, as in ``llm.temperature``, and its value in JSON; secrets are as they are."""
    fields: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            fields |= flat(value, f"{path}{name}.")
        else:
            fields[f"{path}{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return fields


def shown_fields(data: Mapping[str, Any]) -> dict[str, str]:
    """Every field with its path and its value, secrets masked."""
    return {name: _shown(name, value) for name, value in flat(data).items()}


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Changed]:
    """The fields that differ, in the order in which they stand. That a secret differs is told, the secret is not."""
    old, new = flat(before), flat(after)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return [Changed(name, _side(old, name), _side(new, name)) for name in names]


def _side(fields: Mapping[str, str], name: str) -> str | None:
    return _shown(name, fields[name]) if name in fields else None


def _shown(name: str, value: str) -> str:
    return MASK if is_secret(name) else value
