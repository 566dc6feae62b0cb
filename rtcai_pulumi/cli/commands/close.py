"""``rtcai close``."""

from typing import Annotated

import typer

from rtcai_pulumi.cli.options import AsJson, JournalFile, TaskId, Yes, require_room_name, split_task
from rtcai_pulumi.cli.output import NOT_CONFIRMED, confirm, exit_on_error, say, show_json, tell
from rtcai_pulumi.cli.session import open_for_writing, open_service
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.maintenance.close import NamedTask, close_named_task, find_task

_Room = Annotated[
    str | None,
    typer.Option(
        "--cname",
        metavar="ROOM",
        help="The task's room; needed only if the journal does not know the task.",
        callback=require_room_name,
    ),
]


def close(
    task: TaskId,
    *,
    cname: _Room = None,
    journal: JournalFile = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Stop one agent now.

    If the journal knows the task, it is closed under the account that started it. If the journal does not know it (the
    agent was started by other means), give its room with --cname; the task is then recorded as closed. Before that,
    rtcai asks the room API whether the room is the task's: if the room is gone, or has another number, nothing is
    closed. Without an AppSecret this check is skipped.

    rtcai does not close an agent that a running `pulumi up` works on. If the stack's program still declares the agent,
    its next `pulumi up` starts a new one.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET).

    --json prints an object with cname, cid, taskId and outcome (closed, was closed, not confirmed).

    Exit codes: 0 the task is closed, also if it was closed before; 1 it could not be closed; 2 the command was not
    confirmed, or wrong usage.
    """
    cid, task_id = split_task(task)
    with (
        exit_on_error("close"),
        open_for_writing(journal, may_create=cname is not None) as opened,
        open_service(opened) as run,
    ):
        named = find_task(cid, task_id, cname, run)
        outcome = "was closed" if named.is_closed else "closed"
        if not named.is_closed:
            tell(f"Task {task} in room {named.cname} will be closed{_describe_owner(named)}.")
            if confirm("Close it?", yes=yes, undone="It was not closed"):
                close_named_task(named, run)
            else:
                outcome = "not confirmed"
    if as_json:
        show_json({"cname": named.cname, "cid": str(cid), "taskId": task_id, "outcome": outcome})
    elif outcome != "not confirmed":
        say(f"Task {task} in room {named.cname}: {outcome}.")
    raise typer.Exit(NOT_CONFIRMED if outcome == "not confirmed" else 0)


def _describe_owner(task: NamedTask) -> str:
    urn = urn_of(task.records[-1].owner) if task.records else ""
    return f"; it was started for {urn}" if urn else ""
