"""``rtcai forget`` and ``rtcai release``."""

from typing import Annotated

import typer

from rtcai_pulumi.cli.options import JournalFile, TaskId, Yes, split_task
from rtcai_pulumi.cli.output import NOT_CONFIRMED, confirm, exit_on_error, say, tell
from rtcai_pulumi.cli.session import open_for_writing
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.maintenance.records import find_lost_create, find_task_records

_Trace = Annotated[str, typer.Argument(metavar="TRACE", help="The trace id of the lost create, as rtcai ls shows it.")]


def forget(trace: _Trace, *, journal: JournalFile = None, yes: Yes = False) -> None:
    """Forget a lost create, so that the next `pulumi up` starts its agent again.

    Use it for a create that was never answered, after checking who is in the room. Without it, the next `pulumi up`
    repeats the create under the same trace id; if the service then answers "seen before", the agent can never be
    started. Nothing is sent to the service. If the lost create did start an agent, that agent is no longer recorded
    anywhere, and two agents may be in the room.

    Exit codes: 0 forgotten; 1 the journal does not know the create, it was answered, or a running process works on it;
    2 the command was not confirmed, or wrong usage.
    """
    with exit_on_error("forget"), open_for_writing(journal) as opened:
        record = find_lost_create(trace, opened)
        tell(f"Room {record.cname}, request {record.request_id}: if it started an agent, no record of it will be left.")
        if not confirm("Forget it?", yes=yes, undone="It was not forgotten"):
            raise typer.Exit(NOT_CONFIRMED)
        opened.drop(record)
    say(f"The create {trace} in room {record.cname} is forgotten: the next up starts its agent afresh.")


def release(task: TaskId, *, journal: JournalFile = None, yes: Yes = False) -> None:
    """Stop managing an agent: it is kept on purpose and keeps running.

    Nothing is sent to the service. From now on no `pulumi up` and no rtcai sweep closes the agent because of the
    journal. If a stack's state still has it, `pulumi destroy` closes it (`pulumi state delete` removes it from the
    state). To manage it again, use the resource's input adopt.

    Exit codes: 0 released; 1 the journal does not know the task, or a running process works on it; 2 the command was
    not confirmed, or wrong usage.
    """
    split_task(task)
    with exit_on_error("release"), open_for_writing(journal) as opened:
        records = find_task_records(task, opened)
        record = records[-1]
        tell(f"Task {task} in room {record.cname} (started for {urn_of(record.owner) or 'nobody'}) will be forgotten.")
        if not confirm("Release it?", yes=yes, undone="It was not released"):
            raise typer.Exit(NOT_CONFIRMED)
        for each in records:
            opened.drop(each)
    say(f"Task {task} in room {record.cname} is released: it runs on, and the journal knows it no more.")
