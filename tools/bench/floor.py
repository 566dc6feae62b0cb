"""The floor: rooms of a dynamic provider that does nothing, with the properties that a conversation of ours has.

The engine and the SDK have as much to carry as with ours. The state has a reference to the provider, as with ours,
because this module can be imported.
"""

import json
import os
from pathlib import Path
from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

CONVERSATION = json.loads(Path(os.environ["BENCH_CONVERSATION"]).read_text())
"""A conversation in a state: its `id`, `inputs` and `outputs`, and the `names` of all properties it registers."""


class FloorProvider(ResourceProvider):
    """Answers at once, and sends no request."""

    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Replace a room of which a property has changed, as our provider does."""
        changed = [name for name, value in _news.items() if name != "__provider" and value != _olds.get(name)]
        return DiffResult(changes=bool(changed), replaces=changed, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Return the outputs of a conversation."""
        return CreateResult(CONVERSATION["id"], {**CONVERSATION["outputs"], **props})


class BenchRoom(Resource, module="bench", name="Room"):
    """A room with all properties of a conversation."""

    def __init__(self, provider: ResourceProvider, name: str, inputs: dict[str, Any]) -> None:
        super().__init__(provider, name, {**dict.fromkeys(CONVERSATION["names"]), **inputs})


def declare_rooms(provider: ResourceProvider) -> None:
    """Declare BENCH_ROOMS rooms; the first one has the greeting BENCH_GREETING."""
    for number in range(int(os.environ["BENCH_ROOMS"])):
        inputs = {**CONVERSATION["inputs"], "cname": f"{os.environ['BENCH_STACK']}-{number}"}
        if number == 0:
            inputs["pipeline"] = {**inputs["pipeline"], "welcomeMessage": os.environ["BENCH_GREETING"]}
        BenchRoom(provider, f"room-{number}", inputs)
