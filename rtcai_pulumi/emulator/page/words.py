"""Times and faults in words."""

from collections.abc import Mapping
from typing import Any, Final

_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """A length of time in its two largest units, as in ``3 min 12 s``; below ten seconds with a fraction."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = int(seconds)
    place = next(place for place, (_, size) in enumerate(_UNITS) if whole >= size)
    parts: list[str] = []
    for unit, size in _UNITS[place : place + 2]:
        count, whole = divmod(whole, size)
        parts += [f"{count} {unit}"] if count or not parts else []
    return " ".join(parts)


def fault_text(shown: Mapping[str, Any]) -> str:
    """What a fault does, as it is shown in JSON."""
    kind = shown["kind"]
    if kind == "latency":
        waits = [f"{shown[name]:g} s {name} the work" for name in ("before", "after") if shown.get(name)]
        return f"takes {' and '.join(waits)}"
    if kind == "hold":
        return f"holds the request when it has {shown.get('at', 'arrived')}"
    done = kind == "answer-after" or shown.get("work", False)
    texts = {
        "hang": "never answers",
        "half": "answers by half",
        "reset": "resets the connection",
        "garbage": f"answers garbage ({shown.get('form', 'html')})",
    }
    return f"{texts.get(kind) or _answer_text(shown)}; the work is {'done first' if done else 'not done'}"


def _answer_text(shown: Mapping[str, Any]) -> str:
    parts = [f"HTTP {shown.get('status', 200)}"]
    parts += [f"code {shown['code']}"] if "code" in shown else ["no JSON"]
    parts += [f"“{shown['errmsg']}”"] if "errmsg" in shown else []
    return f"answers {', '.join(parts)}"


def turns_text(shown: Mapping[str, Any]) -> str:
    """For which requests a fault still is, and what it has done."""
    left, applied, skip = shown["left"], shown["applied"], shown.get("skip", 0)
    parts = ["until it is removed" if left is None else "used up" if left == 0 else f"for {left} more"]
    parts += [f"after {skip} that pass"] if skip else []
    parts += [f"applied {applied}×"]
    parts += [f"{shown['held']} held now"] if shown.get("held") else []
    return ", ".join(parts)
