"""``rtcai close``."""

import os
from contextlib import suppress
from typing import Annotated
from uuid import uuid4

import typer

from rtcai_pulumi.cli.options import AsJson, JournalFile, TaskId, Yes, parse_task, require_room_name
from rtcai_pulumi.cli.output import NOT_CONFIRMED, CommandError, confirm, exit_on_error, say, show_json, tell
from rtcai_pulumi.cli.session import all_records, open_or_create, open_service, path_of
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.service.errors import (
    ConnectionFailed,
    OutcomeUnknown,
    Refused,
    RoomNotFound,
    RtcAiError,
    TaskNotFound,
)
from rtcai_pulumi.service.printable import one_line
from rtcai_pulumi.service.retry import HARMLESS, QUERY

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
    named = parse_task(task)
    cid, task_id = named.cid, named.task_id
    path = path_of(os.environ, journal)
    with exit_on_error("close"), open_or_create(path, made=cname is not None) as opened, open_service(opened) as run:
        found = [record for record in all_records(opened) if record.task == task]
        if not found and cname is None:
            raise CommandError(
                f"The journal knows no task {task}.\n"
                "  to do: `rtcai ls --all` lists those that it knows; for another one, name its room with --cname"
            )
        room = found[-1].cname if found else cname or ""
        outcome = "was closed" if found and not any(record.is_unfinished for record in found) else "closed"
        if outcome == "closed":
            _require_unowned(found, opened)
            if not found:
                _require_room(room, cid, run)
            tell(f"Task {task} in room {room} will be closed{_describe_owner(found)}.")
            if not confirm("Close it?", yes=yes, undone="It was not closed"):
                outcome = "not confirmed"
            elif found:
                _close_known(found, opened, run)
            else:
                _close_unknown(room, cid, task_id, opened, run)
    if as_json:
        show_json({"cname": room, "cid": str(cid), "taskId": task_id, "outcome": outcome})
    elif outcome != "not confirmed":
        say(f"Task {task} in room {room}: {outcome}.")
    raise typer.Exit(NOT_CONFIRMED if outcome == "not confirmed" else 0)


def _describe_owner(records: list[Record]) -> str:
    owner = records[-1].owner.partition(":")[2] if records else ""
    return f"; it was started for {owner}" if owner else ""


def _require_unowned(records: list[Record], journal: Journal) -> None:
    """Refuse if a running process works on the task: that process has newer information."""
    if any(record.is_unfinished and journal.is_running(record.process) for record in records):
        raise CommandError("A run that still lives works on this agent.\n  to do: wait for it, or interrupt it first")


def _require_room(cname: str, cid: int, run: Run) -> None:
    """Refuse if the room is known not to be the task's: the service's answer about a task in it would mean nothing."""
    if run.client.settings.app_secret is None:
        return  # the room API cannot be called
    to_do = "if the task's room has ended, its agent has ended too; otherwise give the right room with --cname"
    try:
        found = run.retrier.run(lambda: run.client.query_room(cname), QUERY).cid
    except RoomNotFound:
        raise CommandError(f"Nothing was closed: there is no room {one_line(cname)}.\n  to do: {to_do}") from None
    if found != cid:
        raise CommandError(
            f"Nothing was closed: room {one_line(cname)} has the number {found} now, not {cid}.\n  to do: {to_do}"
        )


def _close_known(records: list[Record], journal: Journal, run: Run) -> None:
    for record in records:
        if record.is_unfinished:
            taken = journal.take_over(record)
            if taken is None:
                raise CommandError(
                    "Another run has just taken this agent over; nothing was sent.\n  to do: run it again"
                )
            run.close(taken)


def _close_unknown(cname: str, cid: int, task_id: str, journal: Journal, run: Run) -> None:
    """Close a task that is known only from the user's input: if the service refuses, that does not prove that the task
    is gone.
    """
    client, settings = run.client, run.client.settings
    record = journal.add(
        Record(
            trace_id=uuid4().hex,
            owner="",
            app_key=settings.app_key,
            endpoint=settings.endpoint,
            room_endpoint=settings.room_endpoint,
            cname=cname,
            request_id="",
            digest="",
            process=journal.process,
            state=RecordState.CLOSING,
            cid=cid,
            task_id=task_id,
        )
    )

    unknown, tell = False, run.make_wait_reporter(cname)

    def attempt() -> None:
        client.close_task(cid, task_id, cname=cname, trace_id=record.trace_id)

    def waiting(error: RtcAiError, seconds: float) -> None:
        nonlocal unknown
        unknown = unknown or isinstance(error, OutcomeUnknown)
        tell(error, seconds)

    try:
        with suppress(TaskNotFound):
            run.retrier.run(attempt, HARMLESS, waiting)
    except (Refused, ConnectionFailed):
        if not unknown:  # else an earlier attempt may have closed it
            journal.drop(record)
        raise
    journal.record_close(str(record.task))
