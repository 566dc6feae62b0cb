"""``rtcai release``."""

import os

import typer

from rtcai_pulumi.cli.asking import NOT_CONFIRMED, confirmed
from rtcai_pulumi.cli.errors import CannotDo, failing
from rtcai_pulumi.cli.journal_file import existing, existing_path_of, records_of
from rtcai_pulumi.cli.options import JournalFile, TaskId, Yes, parts_of
from rtcai_pulumi.cli.shown import say, tell
from rtcai_pulumi.lifecycle.owner import urn_of


def release(task: TaskId, *, journal: JournalFile = None, yes: Yes = False) -> None:
    """Take an agent out of the journal's care: it is kept on purpose, and goes on talking.

    Nothing is sent to the service. From now on no `pulumi up` and no rtcai sweep closes it on account of the journal;
    what a stack's state has is still closed by `pulumi destroy` (`pulumi state delete` takes it out of there). It can
    be taken into care again by the resource's input adopt.

    Exit codes: 0 released; 1 the journal does not know the task, or a living run works on it; 2 nobody confirmed it,
    or wrong usage.
    """
    parts_of(task)
    with failing("release"), existing(existing_path_of(os.environ, journal)) as opened:
        found = records_of(opened, task)
        if opened is None or any(opened.lives(record.process) for record in found if record.unfinished):
            raise CannotDo("A run that still lives works on this agent.\n  to do: wait for it, or interrupt it first")
        record = found[-1]
        tell(f"Task {task} in room {record.cname} (started for {urn_of(record.owner) or 'nobody'}) will be forgotten.")
        if not confirmed("Release it?", yes=yes, undone="It was not released"):
            raise typer.Exit(NOT_CONFIRMED)
        for each in found:
            opened.drop(each)
    say(f"Task {task} in room {record.cname} is released: it runs on, and the journal knows it no more.")
