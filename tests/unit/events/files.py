"""Event files as tests write them."""

import json
from pathlib import Path
from typing import Any

DEFAULT: dict[str, Any] = {"asr": {"asrVendor": 6}, "llm": {"llmVendor": 1}, "tts": {"ttsVendor": 6}}


def event(agent: Any = None, rooms: Any = None, **fields: Any) -> dict[str, Any]:
    """An event. Without `rooms`, it has one room without changes."""
    return {"agent": DEFAULT if agent is None else agent, "rooms": {"a": {}} if rooms is None else rooms, **fields}


def default(**blocks: Any) -> dict[str, Any]:
    """The default agent with additional fields in some blocks."""
    return {name: {**DEFAULT.get(name, {}), **blocks.get(name, {})} for name in {**DEFAULT, **blocks}}


def written(folder: Path, content: Any) -> Path:
    """A file with an event: text is written without changes, anything else as JSON, which is valid YAML."""
    file = folder / "event.yaml"
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    return file
