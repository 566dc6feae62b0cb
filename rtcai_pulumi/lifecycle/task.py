"""The record of a task: of one that is about to be asked for, and of one that only the engine's state knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcai_pulumi.config.canonical import digest
from rtcai_pulumi.config.conversation import options_of
from rtcai_pulumi.lifecycle.record import FROM_STATE, Kept, Record, State
from rtcai_pulumi.service.settings import room_endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtcai_pulumi.lifecycle.run import Run


def record_of(resource_id: str, outputs: Mapping[str, Any], *, process: int) -> Record:
    """The journal's record of a task that only the state knows: of an older release, or of another machine.

    Args:
        resource_id: ``{cid}/{taskId}``.
        outputs: what the state holds.
        process: the process that answers for the record.
    """
    cid, _, task_id = resource_id.partition("/")
    return Record(
        trace_id=f"{FROM_STATE}{cid}-{task_id}",
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
        stored=True,
        kept=kept_of(outputs),
    )


def intent(inputs: Mapping[str, Any], owner: str, run: Run, new_id: Callable[[], str]) -> Record:
    """The record of a create that is about to be sent, under the account of this run's settings.

    Args:
        inputs: what is asked for.
        owner: for whom.
        run: the service and the journal.
        new_id: makes a trace id, and a request id where none is stated.
    """
    settings = run.client.settings
    return Record(
        trace_id=new_id().replace("-", ""),
        owner=owner,
        app_key=settings.app_key,
        endpoint=settings.endpoint,
        room_endpoint=settings.room_endpoint,
        cname=str(inputs["cname"]),
        request_id=str(inputs.get("requestId") or new_id()),
        digest=digest(inputs),
        process=run.journal.process,
        kept=kept_of(inputs),
    )


def kept_of(inputs: Mapping[str, Any]) -> Kept:
    """Whether a task is to be left alone where its resource is no longer declared."""
    return Kept.RETAINED if options_of(inputs).get("retainOnDelete") is True else Kept.NO
