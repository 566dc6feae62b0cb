"""`create`: start the agent, and say what the state must hold to stop it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rtcai_pulumi.config.conversation import Mode
from rtcai_pulumi.config.wire import create_body
from rtcai_pulumi.service.errors import OutcomeUnknown

if TYPE_CHECKING:
    from rtcai_pulumi.service.client import Client


@dataclass(frozen=True, slots=True)
class Created:
    """A started agent, as the engine stores it."""

    id: str
    """``{cid}/{taskId}``."""
    outputs: dict[str, Any]
    """The inputs under their names, and what the service and this module add."""


def create(
    inputs: Mapping[str, Any],
    client: Client,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
) -> Created:
    """Start exactly one agent: one request, never repeated.

    Raises:
        OutcomeUnknown: nobody can tell whether an agent was started; the message names room, request id and trace id.
        RtcAiError: no agent was started.
    """
    request_id = str(inputs.get("requestId") or new_id())
    trace_id = new_id().replace("-", "")
    body = create_body(inputs, request_id)
    try:
        task = client.create_task(body, trace_id=trace_id)
    except OutcomeUnknown as error:
        raise type(error)(_lost(error.summary), error.facts, _LOST_ADVICE) from None
    outputs = {
        **inputs,
        "requestId": request_id,
        "cid": str(task.cid),
        "taskId": task.task_id,
        "traceId": trace_id,
        "createdAt": now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "appKey": client.settings.app_key,
        "endpoint": client.settings.endpoint,
        "mode": str(Mode.of(body["data"])),
    }
    return Created(f"{task.cid}/{task.task_id}", outputs)


def _lost(summary: str) -> str:
    return f"{summary} An agent may be in the room that no state knows of."


_LOST_ADVICE = (
    "look into the room before the next up: where an agent is there, end the room (this throws out everybody) or have "
    "the service's support end the task by these ids; where none is there, run up again"
)
