"""``rtcai end-room``."""

from typing import Annotated

import typer

from rtcai_pulumi.cli.options import AsJson, JournalFile, Yes, require_room_name
from rtcai_pulumi.cli.output import NOT_CONFIRMED, confirm, exit_on_error, say, show_json, tell
from rtcai_pulumi.cli.session import open_for_writing, open_service
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.maintenance.rooms import end_room as ended_with
from rtcai_pulumi.maintenance.rooms import find_tasks_in_room, query_number

_Room = Annotated[str, typer.Argument(metavar="ROOM", help="The room's name.", callback=require_room_name)]


def end_room(cname: _Room, *, journal: JournalFile = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """End a room, which removes every user and every agent from it.

    This is the last resort for an agent whose task id is unknown: its create was lost, or a run was killed and its
    journal is lost (rtcai pending lists those rooms). The tasks in the room that the journal knows are recorded as
    closed; the next `pulumi up` of their stack starts them again. If the journal knows only a lost create in the room,
    run `rtcai forget` so that the next `pulumi up` starts that agent again.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET).

    --json prints an object with cname, cid (null if there is no such room), tasks (those recorded as closed) and
    outcome (ended, was gone, not confirmed).

    Exit codes: 0 the room is ended, also if there is no such room; 1 it could not be ended; 2 the command was not
    confirmed, or wrong usage.
    """
    ended: list[Record] = []
    outcome = "was gone"
    with (
        exit_on_error("end-room"),
        open_for_writing(journal, may_create=True) as opened,
        open_service(opened) as run,
    ):
        records = read_records(opened)
        cid = query_number(cname, run)
        if cid is not None:
            tell(f"Room {cname} (number {cid}) will be ended: everybody in it is thrown out.")
            for record in find_tasks_in_room(cid, run):
                tell(f"  task {record.task} runs in it")
            agreed = confirm("End it?", yes=yes, undone="It was not ended")
            outcome = "ended" if agreed else "not confirmed"
            ended = ended_with(cid, cname, run) if agreed else []
        settings = run.client.settings
        lost = [
            record.trace_id
            for record in records
            if record.cname == cname
            and record.state is RecordState.ASKED
            and (record.app_key, record.room_endpoint) == (settings.app_key, settings.room_endpoint)
            and not opened.is_running(record.process)
        ]
    if as_json:
        tasks = sorted({str(record.task) for record in ended})
        show_json({"cname": cname, "cid": None if cid is None else str(cid), "tasks": tasks, "outcome": outcome})
    elif outcome != "not confirmed":
        say(f"Room {cname}: {outcome}.")
    if outcome == "not confirmed":
        raise typer.Exit(NOT_CONFIRMED)
    for trace_id in lost:
        tell(f"A create for this room was lost: `rtcai forget {trace_id}` has the next up start it afresh.")
