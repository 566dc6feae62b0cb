"""The task that a resource stands for, as the engine's state holds it."""

from collections.abc import Mapping
from typing import Any

from rtcai_pulumi.config.canonical import digest
from rtcai_pulumi.lifecycle.record import Record, State
from rtcai_pulumi.service.settings import room_endpoint_of


def record_of(resource_id: str, outputs: Mapping[str, Any], *, process: int) -> Record:
    """The journal's record of a task that only the state knows: of an older release, or of another machine.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: what the state holds.
        process: the process that answers for the record.
    """
    cid, _, task_id = resource_id.partition("/")
    return Record(
        trace_id=f"state-{cid}-{task_id}",
        owner=str(outputs.get("owner") or ""),
        app_key=str(outputs["appKey"]),
        endpoint=str(outputs["endpoint"]),
        room_endpoint=str(outputs.get("roomEndpoint") or room_endpoint_of(str(outputs["endpoint"]))),
        cname=str(outputs["cname"]),
        request_id=str(outputs.get("requestId") or ""),
        digest=digest(outputs),
        process=process,
        state=State.OPEN,
        cid=int(cid),
        task_id=task_id,
        handed=True,
    )
