"""``rtcai end-room``."""

import typer

from rtcai_pulumi.cli.options import AsJson, JournalFile, Room, Yes
from rtcai_pulumi.cli.output import NOT_CONFIRMED, confirm, exit_on_error, print_json, print_line, print_message
from rtcai_pulumi.cli.session import open_for_writing, open_service
from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.maintenance import rooms
from rtcai_pulumi.maintenance.records import read_records


def end_room(cname: Room, *, journal: JournalFile = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """End a room with everybody in it.

    This removes every user and every agent from the room. It is the last resort for an agent whose task id is unknown:
    the request to start it got no response, or a run was killed and its journal is lost (rtcai pending lists such
    rooms). The tasks that the journal has in this room are recorded as closed; the next `pulumi up` of their stack
    starts them again. If the journal has only a lost create in the room, run `rtcai forget`: then the next
    `pulumi up` starts that agent again.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET).

    --json prints an object with cname, cid (null if the room does not exist), tasks (those recorded as closed) and
    outcome (ended, was gone, not confirmed).

    Exit codes:

    - 0: the room is ended, or did not exist
    - 1: it could not be ended
    - 2: the command was not confirmed, or wrong usage
    """
    closed: list[Record] = []
    outcome = "was gone"
    with exit_on_error("end-room"), open_for_writing(journal, may_create=True) as opened, open_service(opened) as run:
        read_records(opened)  # an unreadable journal is an error before the room ends
        cid = rooms.query_room_number(cname, run)
        if cid is not None:
            outcome = "ended" if _confirm(cname, cid, run, yes=yes) else "not confirmed"
            closed = rooms.end_room(cid, cname, run) if outcome == "ended" else []
        lost = rooms.find_lost_creates(cname, run)
    if as_json:
        tasks = sorted({str(record.task) for record in closed})
        print_json({"cname": cname, "cid": None if cid is None else str(cid), "tasks": tasks, "outcome": outcome})
    elif outcome != "not confirmed":
        print_line(f"Room {cname} does not exist; nothing was ended." if cid is None else f"Room {cname}: {outcome}.")
    if outcome == "not confirmed":
        raise typer.Exit(NOT_CONFIRMED)
    for record in lost:
        print_message(
            f"A request to start an agent in this room got no response. To let the next `pulumi up` start this agent, "
            f"run `rtcai forget {record.trace_id}`."
        )


def _confirm(cname: str, cid: int, run: Run, *, yes: bool) -> bool:
    print_message(f"Room {cname} (number {cid}) will be ended. This removes everybody from it.")
    for record in rooms.find_tasks_in_room(cid, run):
        print_message(f"  task {record.task} is running in it")
    return confirm("End it?", yes=yes, refusal="It was not ended")
