"""``rtcai forget`` and ``rtcai release``."""

import typer

from rtcai_pulumi.cli.options import JournalFile, Task, TraceId, Yes
from rtcai_pulumi.cli.output import NOT_CONFIRMED, confirm, exit_on_error, print_line, print_message
from rtcai_pulumi.cli.session import open_for_writing
from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.maintenance.records import find_lost_create, find_task_records


def forget(trace_id: TraceId, *, journal: JournalFile = None, yes: Yes = False) -> None:
    """Forget a lost create.

    A lost create is a request to start an agent that got no response. When it is forgotten, the next `pulumi up` starts
    the agent. Check first whether an agent is in the room: if the request did start one, no record of it is left, and
    two agents may be in the room. Nothing is sent to the service.

    Without this command, the next `pulumi up` repeats the request with the same trace id. If the service then reports
    that it has already received this request, every `pulumi up` for this agent fails.

    Exit codes:

    - 0: forgotten
    - 1: the journal does not have the create, its request got a response or was never sent, or a running process
      works on it
    - 2: the command was not confirmed, or wrong usage
    """
    with exit_on_error("forget"), open_for_writing(journal) as opened:
        record = find_lost_create(trace_id, opened)
        print_message(
            f"The create in room {record.cname} (request {record.request_id}) will be forgotten. If it started an "
            "agent, no record of that agent will be left."
        )
        if not confirm("Forget it?", yes=yes, refusal="It was not forgotten"):
            raise typer.Exit(NOT_CONFIRMED)
        opened.drop(record)
    print_line(f"The create {trace_id} in room {record.cname} is forgotten: the next `pulumi up` starts its agent.")


def release(task: Task, *, journal: JournalFile = None, yes: Yes = False) -> None:
    """Stop managing an agent and keep it running.

    The agent is removed from the journal, so no `pulumi up` and no rtcai sweep closes it. Nothing is sent to the
    service. If the agent is still in the state of a stack, `pulumi destroy` closes it; `pulumi state delete` removes it
    from the state. To manage the agent again, use the input adopt of the resource.

    Exit codes:

    - 0: released
    - 1: the journal does not have the task, or a running process works on it
    - 2: the command was not confirmed, or wrong usage
    """
    with exit_on_error("release"), open_for_writing(journal) as opened:
        records = find_task_records(str(task), opened)
        cname, urn = records[-1].cname, urn_of(records[-1].owner)
        owner = f" (started for {urn})" if urn else ""
        print_message(f"Task {task} in room {cname}{owner} will be removed from the journal.")
        if not confirm("Release it?", yes=yes, refusal="It was not released"):
            raise typer.Exit(NOT_CONFIRMED)
        for record in records:
            opened.drop(record)
    print_line(f"Task {task} in room {cname} is released: it keeps running, and the journal does not list it any more.")
