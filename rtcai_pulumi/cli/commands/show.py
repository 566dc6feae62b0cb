"""``rtcai show``."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rtcai_pulumi.cli.options import AsJson, BackendUrl, JournalFile, ProjectFolder, StackOption
from rtcai_pulumi.cli.output import exit_on_error, for_the_environment, show_facts, show_json
from rtcai_pulumi.cli.session import open_for_reading, open_service
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.lifecycle.context import require_account, require_room_api
from rtcai_pulumi.maintenance import NotInJournal
from rtcai_pulumi.maintenance.agents import AgentLine, duration, line_of, lines_of_state, mark_of
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.service.errors import RoomNotFound, RtcAiError
from rtcai_pulumi.stack.source import ExportedState, StateSource, state_of

_Named = Annotated[
    str, typer.Argument(metavar="CID/TASK|TRACE", help="The task, or the trace id of a create without an answer.")
]
_NOT_ASKED: Final = "not asked"


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What the room API reports about the room of a task."""

    answer: str
    """``open``, ``gone``, ``another one now``, or ``not asked``."""
    why: str | None = None
    """Why the room API was not called, or gave no clear answer."""


def show(
    named: _Named,
    *,
    journal: JournalFile = None,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    backend: BackendUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that is known about one agent: from the journal, with --stack from the state, and about its room.

    rtcai asks the room API whether the task's room still exists. Credentials for this come from the environment
    (RTCAI_APP_KEY, RTCAI_APP_SECRET). If the room is gone, or has another number, it has no agent of this task.

    --json prints an object with the fields of rtcai ls, and room (open, gone, another one now, not asked) and
    roomError.

    Exit codes: 0 shown; 1 neither the journal nor the state knows the agent, or one of them cannot be read; 2 wrong
    usage.
    """
    with exit_on_error("show"):
        state = state_of(StateSource(stack, cwd, None, None, None, backend), os.environ) if stack else None
        with open_for_reading(journal) as opened:
            line = _line(named, opened, state)
            room = _room(line.record, opened) if line.record and opened else RoomFacts(_NOT_ASKED, "not in the journal")
    if as_json:
        show_json({**line.as_json(), "room": room.answer, "roomError": room.why})
    else:
        show_facts(_facts(line, room))


def _line(named: str, journal: Journal | None, state: ExportedState | None) -> AgentLine:
    records = read_records(journal)
    if journal and (found := [record for record in records if named in {record.task, record.trace_id}]):
        # If several records name the same task, use the one that may still have an agent.
        record = max(found, key=lambda record: (record.is_unfinished, record.changed_at))
        mark = mark_of(record, state.export, state.backend, frozenset()) if state else None
        return line_of(record, lives=journal.is_running(record.process), now=datetime.now(UTC), mark=mark)
    stored = [line for line in lines_of_state(state.export, records) if line.task == named] if state else []
    if not stored:
        where = "Neither the journal nor the state knows" if state else "The journal does not know"
        raise NotInJournal(f"{where} {named}.", advice="`rtcai ls --all` lists what is known")
    return stored[0]


def _room(record: Record, journal: Journal) -> RoomFacts:
    try:
        with open_service(journal) as run:
            require_account(record, run.client.settings)
            require_room_api(record, run.client.settings)
            cid = run.client.query_room(record.cname).cid
    except RoomNotFound:
        return RoomFacts("gone")
    except RtcAiError as error:
        return RoomFacts(_NOT_ASKED, for_the_environment(error.summary))
    return RoomFacts("open") if record.cid in {None, cid} else RoomFacts("another one now")


def _facts(line: AgentLine, room: RoomFacts) -> dict[str, Any]:
    shown = line.as_json()
    return {
        "room": shown["cname"] if shown["cname"] is not None else "(secret)",
        "task": line.task,
        "state": shown["state"],
        "mark": shown["mark"],
        "the room is": f"{room.answer} ({room.why})" if room.why else room.answer,
        "resource": shown["resource"],
        "stack": f"{shown['project']}/{shown['stack']}" if shown["stack"] else None,
        "urn": shown["urn"],
        "began": shown["began"],
        "last changed": shown["since"],
        "uptime": duration(line.uptime) if line.uptime is not None else None,
        "its run": {True: "lives", False: "ended", None: None}[line.lives],
        "request id": shown["requestId"],
        "trace id": shown["traceId"],
        "AppKey": shown["appKey"],
        "endpoint": shown["endpoint"],
    }
