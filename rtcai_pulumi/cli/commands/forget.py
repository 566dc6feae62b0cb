"""``rtcai forget`` and ``rtcai release``."""

import os
from typing import Annotated

import typer

from rtcai_pulumi.cli.options import JournalFile, TaskId, Yes, parse_task
from rtcai_pulumi.cli.output import NOT_CONFIRMED, CommandError, NotInJournal, confirm, exit_on_error, say, tell
from rtcai_pulumi.cli.session import open_existing, records_of, require_path_of
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import RecordState

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
    with exit_on_error("forget"), open_existing(require_path_of(os.environ, journal)) as opened:
        record = opened.record(trace) if opened else None
        if opened is None or record is None:
            raise NotInJournal(f"The journal knows no create with the trace id {trace}.\n  to do: `rtcai ls` has them")
        if record.state is not RecordState.ASKED:
            raise CommandError(
                f"This create was answered: it started task {record.task}.\n"
                "  to do: `rtcai close` stops it, `rtcai release` takes it out of the journal's care"
            )
        if opened.is_running(record.process):
            raise CommandError(
                "A run that still lives waits for its answer.\n  to do: wait for it, or interrupt it first"
            )
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
    parse_task(task)
    with exit_on_error("release"), open_existing(require_path_of(os.environ, journal)) as opened:
        found = records_of(opened, task)
        if opened is None or any(opened.is_running(record.process) for record in found if record.is_unfinished):
            raise CommandError(
                "A run that still lives works on this agent.\n  to do: wait for it, or interrupt it first"
            )
        record = found[-1]
        tell(f"Task {task} in room {record.cname} (started for {urn_of(record.owner) or 'nobody'}) will be forgotten.")
        if not confirm("Release it?", yes=yes, undone="It was not released"):
            raise typer.Exit(NOT_CONFIRMED)
        for each in found:
            opened.drop(each)
    say(f"Task {task} in room {record.cname} is released: it runs on, and the journal knows it no more.")
