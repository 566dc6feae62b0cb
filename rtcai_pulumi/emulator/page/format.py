"""Formats times, faults and configurations for the page; secrets are masked."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Format a duration in its two largest units, as in ``3 min 12 s``; below ten seconds with a fraction."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = int(seconds)
    index = next(index for index, (_, size) in enumerate(_UNITS) if whole >= size)
    parts: list[str] = []
    for unit, size in _UNITS[index : index + 2]:
        count, whole = divmod(whole, size)
        parts += [f"{count} {unit}"] if count or not parts else []
    return " ".join(parts)


def describe_end(milliseconds: float) -> str:
    """Describe how far away an end is, as in ``ends in 2 h 10 min`` or ``over for 3 h``."""
    seconds = milliseconds / 1000
    return f"ends in {duration(seconds)}" if seconds > 0 else f"over for {duration(-seconds)}"


def describe_fault(fault: Mapping[str, Any]) -> str:
    """Describe what a fault does, from its JSON form."""
    kind = fault["kind"]
    if kind == "latency":
        waits = [f"{fault[name]:g} s {name}" for name in ("before", "after") if fault.get(name)]
        return f"waits {' and '.join(waits)} the request takes effect"
    if kind == "hold":
        return f"holds the request {'after' if fault.get('at') == 'worked' else 'before'} it takes effect"
    has_effect = kind == "answer-after" or fault.get("work", False)
    texts = {
        "hang": "sends no response until it is released or removed",
        "half": "sends half of the response",
        "reset": "resets the connection",
        "garbage": f"sends an invalid response ({fault.get('form', 'html')})",
    }
    no_effect = "has no effect until then" if kind == "hang" else "has no effect"
    effect = "takes effect first" if has_effect else no_effect
    return f"{texts.get(kind) or _describe_answer(fault)}; the request {effect}"


def _describe_answer(fault: Mapping[str, Any]) -> str:
    parts = [f"HTTP {fault.get('status', 200)}"]
    parts += [f"code {fault['code']}"] if "code" in fault else ["no JSON body"]
    parts += [f"“{fault['errmsg']}”"] if "errmsg" in fault else []
    return f"responds with {', '.join(parts)}"


def describe_turns(fault: Mapping[str, Any]) -> str:
    """Describe which requests a fault still applies to, and what it has done."""
    left, applied, skip = fault["left"], fault["applied"], fault.get("skip", 0)
    parts = ["until it is removed" if left is None else "used up" if left == 0 else f"{_count(left)} left"]
    parts += [f"skips the first {skip}"] if skip else []
    parts += ["not applied yet" if not applied else "applied once" if applied == 1 else f"applied {applied} times"]
    parts += [f"{_count(fault['held'])} held now"] if fault.get("held") else []
    return ", ".join(parts)


def _count(requests: int) -> str:
    return f"{requests} request{'s' * (requests != 1)}"


MASK: Final = "••••••"
_SECRET: Final = re.compile(r"secret|token|passw|credential|authorization|checksum|api_?key", re.IGNORECASE)


class FieldChange(NamedTuple):
    """One field that differs; None if it is not set."""

    field: str
    before: str | None
    after: str | None


def mask(value: Any) -> Any:
    """Return the value with every secret masked, at any depth; a secret is recognised by the name of its field."""
    if isinstance(value, Mapping):
        return {name: MASK if is_secret(str(name)) else mask(inner) for name, inner in value.items()}
    return [mask(inner) for inner in value] if isinstance(value, list | tuple) else value


def is_secret(name: str) -> bool:
    """Whether a field or header of this name holds a secret."""
    return _SECRET.search(name) is not None


def flatten(data: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return every field with its path, as in ``llm.temperature``, and its value in JSON; secrets are not masked."""
    fields: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            fields |= flatten(value, f"{path}{name}.")
        else:
            fields[f"{path}{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return fields


def list_fields(data: Mapping[str, Any]) -> dict[str, str]:
    """Return every field with its path and its value, secrets masked."""
    return {name: _mask_if_secret(name, value) for name, value in flatten(data).items()}


def compare_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """Return the fields that differ, in their order. A changed secret is listed, but its value is masked."""
    old, new = flatten(before), flatten(after)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return [FieldChange(name, _display_value(old, name), _display_value(new, name)) for name in names]


def _display_value(fields: Mapping[str, str], name: str) -> str | None:
    return _mask_if_secret(name, fields[name]) if name in fields else None


def _mask_if_secret(name: str, value: str) -> str:
    return MASK if is_secret(name) else value
