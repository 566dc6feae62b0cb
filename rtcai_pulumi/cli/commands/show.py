"""``rtcai show``."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rtcai_pulumi.cli.options import AsJson, BackendUrl, JournalFile, ProjectFolder, StackOption, TaskOrTraceId
from rtcai_pulumi.cli.output import exit_on_error, print_fields, print_json
from rtcai_pulumi.cli.session import open_for_reading, open_service
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.maintenance.agents import AgentLine, find_agent, format_duration
from rtcai_pulumi.maintenance.rooms import RoomStatus, query_room_status
from rtcai_pulumi.service.errors import RtcAiError
from rtcai_pulumi.stack.source import StateSource, state_of

_ROOM_STATUS: Final = {
    RoomStatus.ANOTHER: "replaced by a room with another number",
    RoomStatus.NOT_QUERIED: "not checked",
}
"""What people read if it is not the value in the JSON."""


def show(
    name: TaskOrTraceId,
    *,
    journal: JournalFile = None,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    backend: BackendUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the details of one agent.

    The details come from the journal and, with --stack, from the state of the stack. rtcai also asks the room API
    whether the task's room still exists; credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET). If
    the room is gone, or has another number now, the task has ended.

    --json prints an object with the fields of rtcai ls, and room (open, gone, another one now, not asked) and
    roomError.

    Exit codes:

    - 0: shown
    - 1: neither the journal nor the state has the agent, or one of them cannot be read
    - 2: wrong usage
    """
    with exit_on_error("show"):
        state = state_of(StateSource(stack, cwd, None, None, None, backend), os.environ) if stack else None
        with open_for_reading(journal) as opened:
            now = datetime.now(UTC)
            line = find_agent(name, opened, state, now)
            room, reason = RoomStatus.NOT_QUERIED, "not in the journal"
            if line.record and opened:
                room, reason = _query_room(line.record, opened)
    if as_json:
        print_json({**line.as_json(), "room": room, "roomError": reason or None})
    else:
        status = _ROOM_STATUS.get(room, str(room))
        print_fields(_fields(line, f"{status} ({reason})" if reason else status, now))


def _query_room(record: Record, journal: Journal) -> tuple[RoomStatus, str]:
    """Return the status of the room and, if it is not known, the reason."""
    try:
        with open_service(journal) as run:
            return query_room_status(record, run), ""
    except RtcAiError as error:
        return RoomStatus.NOT_QUERIED, error.summary


def _fields(line: AgentLine, room: str, now: datetime) -> dict[str, Any]:
    values = line.as_json()
    return {
        "room": values["cname"] if values["cname"] is not None else "(secret)",
        "task": line.task,
        "state": values["state"],
        "mark": values["mark"],
        "room status": room,
        "resource": values["resource"],
        "stack": f"{values['project']}/{values['stack']}" if values["stack"] else None,
        "urn": values["urn"],
        "started": values["began"],
        "last changed": values["since"],
        "uptime": format_duration(line.uptime) if line.uptime is not None else None,
        "end": " - ".join(filter(None, (line.ends_at, line.describe_end(now)))) or None,
        "process": {True: "running", False: "ended", None: None}[line.is_running],
        "started by": values["origin"],
        "request id": values["requestId"],
        "trace id": values["traceId"],
        "AppKey": values["appKey"],
        "endpoint": values["endpoint"],
    }
