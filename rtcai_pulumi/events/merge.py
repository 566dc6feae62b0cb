"""How a room's changes are laid over the default agent (JSON Merge Patch, RFC 7396)."""

from typing import Any


def merged(default: Any, changes: Any) -> Any:
    """The default with the changes: objects are merged at any depth, None takes away, everything else replaces.

    Neither argument is changed. What is no plain object is one value: a list, a secret reference, a Pulumi output.
    """
    if not isinstance(changes, dict):
        return changes
    result = dict(default) if isinstance(default, dict) else {}
    for key, change in changes.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), change)
    return result
