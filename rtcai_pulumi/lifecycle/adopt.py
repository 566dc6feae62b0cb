"""`adopt`: take a task into care that somebody else has started, in place of starting one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtcai_pulumi.lifecycle.record import Kept, Record, State
from rtcai_pulumi.lifecycle.task import intent, kept_of
from rtcai_pulumi.service.errors import Facts, RoomNotFound
from rtcai_pulumi.service.retry import HARMLESS

if TYPE_CHECKING:
    from rtcai_pulumi.lifecycle.run import Run


def adopted(inputs: Mapping[str, Any], owner: str, run: Run, new_id: Callable[[], str]) -> Record | None:
    """Take a task into care that someone else started; None where none is named, or it was in care before.

    Raises:
        RtcAiError: its room is gone, or has another number: there is nothing to adopt.
    """
    named = inputs.get("adopt")
    if not named or named in run.adopted:  # a replacement of the agent that was adopted once
        return None
    known = run.journal.records_of_task(str(named))
    retained = next((record for record in known if record.unfinished and record.kept is Kept.RETAINED), None)
    if known and (retained is None or named in run.staying):
        if any(record.unfinished and record.owner != owner for record in known):
            run.tell(
                f"warning: room {inputs['cname']}: adopt is ignored, because the journal knows task {named} as another "
                f"resource's. Where no program declares that any more, it talks on: `rtcai close {named}` stops it, "
                f"`rtcai release {named}` lets it be adopted"
            )
        return None
    cid, _, task_id = str(named).partition("/")
    cname = str(inputs["cname"])
    facts = Facts(room=cname, cid=cid, task=task_id)
    advice = "name a task that runs, or leave adopt out to start an agent"
    try:
        room = run.retrier.run(lambda: run.client.query_room(cname), HARMLESS, run.telling_why(cname))
    except RoomNotFound:
        summary = "There is nothing to adopt: the room does not exist."
        raise RoomNotFound(summary, facts, advice) from None
    if room.cid != int(cid):
        summary = f"There is nothing to adopt: the room has the number {room.cid} now."
        raise RoomNotFound(summary, facts, advice)
    if retained is not None:
        return run.journal.adopt(retained, owner=owner, kept=kept_of(inputs))
    # In one write: an intent would be asked for by the next run, which would start another agent beside this one.
    asked = intent(inputs, owner, run, new_id)
    taken = replace(asked, state=State.OPEN, cid=int(cid), task_id=task_id, handed=True)
    return run.journal.add(taken)
