"""The samples, schemas and vectors of the service, as tests use them."""

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

SERVICE = Path(__file__).parent / "data" / "service"


@cache
def _loaded(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def load(name: str) -> Any:
    """A file of the service's folder, parsed again for each caller."""
    return copy.deepcopy(_loaded(SERVICE / name))


def names(folder: str) -> list[str]:
    """The names of the JSON files in a folder, without suffix."""
    return sorted(path.stem for path in (SERVICE / folder).glob("*.json"))


def invalid_paths() -> dict[str, str]:
    """For each wrong body, the path of its one mistake, from the root of the body."""
    table = (SERVICE / "samples" / "invalid" / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([\w-]+)\.json` \| `(.+?)` \|", table, re.MULTILINE))


def path_in_program(path: str) -> str:
    """The path of a mistake in a body, as `check` reports it for a program, which has no `data`."""
    return "(root)" if path == "data" else path.removeprefix("data.")


VALID = names("samples")
INVALID = names("samples/invalid")
PARAMETERS: dict[str, Any] = {
    "cname": "keynote",
    "asr": {"asrVendor": 6},
    "llm": {"llmVendor": 1},
    "tts": {"ttsVendor": 6},
}
"""The minimum that mode *parameters* needs, as flat inputs."""


def parameters(**changes: Any) -> dict[str, Any]:
    """Flat inputs of mode *parameters*, with blocks changed: ``llm={"role": 0}`` is merged into the block."""
    inputs = copy.deepcopy(PARAMETERS)
    for name, value in changes.items():
        merged = isinstance(value, dict) and isinstance(inputs.get(name), dict)
        inputs[name] = {**inputs[name], **value} if merged else value
    return inputs
