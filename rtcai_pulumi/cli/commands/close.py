"""``rtcai close``."""

import typer

from rtcai_pulumi.cli.options import AsJson, JournalFile, RoomOfTask, Task, Yes
from rtcai_pulumi.cli.output import NOT_CONFIRMED, confirm, exit_on_error, print_json, print_line, print_message
from rtcai_pulumi.cli.session import open_for_writing, open_service
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.maintenance.close import NamedTask, close_named_task, find_task


def close(
    task: Task, *, cname: RoomOfTask = None, journal: JournalFile = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Stop one agent.

    If the journal does not know the task (the agent was started by other means), name its room with --cname. rtcai then
    asks the room API for the number of that room, and closes nothing if the room is gone or has another number. Without
    an AppSecret this check is skipped. The closed task is recorded in the journal.

    rtcai does not close an agent that a running `pulumi up` works on. If the program of the stack still declares the
    agent, the next `pulumi up` starts a new one.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET). They must be those of the account that
    started the task.

    --json prints an object with cname, cid, taskId and outcome (closed, was closed, not confirmed).

    Exit codes:

    - 0: the task is closed, also if it was closed before
    - 1: it could not be closed
    - 2: the command was not confirmed, or wrong usage
    """
    with (
        exit_on_error("close"),
        open_for_writing(journal, may_create=cname is not None) as opened,
        open_service(opened) as run,
    ):
        named = find_task(task, cname, run)
        outcome = "was closed" if named.is_closed else "closed"
        if not named.is_closed:
            print_message(f"Task {task} in room {named.cname} will be closed{_describe_owner(named)}.")
            if confirm("Close it?", yes=yes, refusal="It was not closed"):
                close_named_task(named, run)
            else:
                outcome = "not confirmed"
    if as_json:
        print_json({"cname": named.cname, "cid": str(task.cid), "taskId": task.task_id, "outcome": outcome})
    elif outcome != "not confirmed":
        printed = "already closed" if outcome == "was closed" else outcome
        print_line(f"Task {task} in room {named.cname}: {printed}.")
    raise typer.Exit(NOT_CONFIRMED if outcome == "not confirmed" else 0)


def _describe_owner(task: NamedTask) -> str:
    urn = urn_of(task.records[-1].owner) if task.records else ""
    return f"; it was started for {urn}" if urn else ""
