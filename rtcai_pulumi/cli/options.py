"""Arguments and options of ``rtcai``: those that several commands share, and those that name an agent or a room."""

from pathlib import Path
from typing import Annotated

import typer

from rtcai_pulumi.config.conversation import CNAME_MAX_BYTES, room_name_problem
from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.stack.source import StateSource


def _require_text(value: str | None) -> str | None:
    """Refuse an empty text: it comes from a variable that was meant to have a value."""
    if value == "":
        raise typer.BadParameter("the value is empty; give a name, or omit the option")
    return value


def _require_room_name(cname: str | None) -> str | None:
    """Refuse what cannot be the name of any room. Names that are hard to type are allowed, because such a room may
    exist.
    """
    size = None if cname is None else len(cname.encode("utf-8", "surrogatepass"))
    if size is not None and not 0 < size <= CNAME_MAX_BYTES:
        raise typer.BadParameter(f"the name of a room must have 1 to {CNAME_MAX_BYTES} bytes in UTF-8; this has {size}")
    return cname


def _require_new_room_name(cname: str) -> str:
    if problem := room_name_problem(cname):
        raise typer.BadParameter(problem)
    return cname


def _parse_task(text: str) -> TaskReference:
    """Return the task that an argument names.

    Raises:
        BadParameter: the text does not have the form ``{cid}/{taskId}``.
    """
    task = TaskReference.parse_if_valid(text)
    # A room's number has 63 bits: a larger one can be neither stored nor queried.
    if task is None or not 0 < task.cid < 2**63:
        raise typer.BadParameter(f"{text!r} is not a task: expected CID/TASK, as in rtcai ls")
    return task


Task = Annotated[
    TaskReference,
    typer.Argument(
        metavar="CID/TASK", help="The task, as in rtcai ls and in the id of the resource.", parser=_parse_task
    ),
]
TraceId = Annotated[
    str, typer.Argument(metavar="TRACE", help="The trace id of the lost create, as listed by rtcai ls.")
]
TaskOrTraceId = Annotated[
    str, typer.Argument(metavar="CID/TASK|TRACE", help="The task, or the trace id of a lost create.")
]
Room = Annotated[str, typer.Argument(metavar="ROOM", help="The name of the room.", callback=_require_room_name)]
RoomOfToken = Annotated[
    str,
    typer.Argument(
        metavar="ROOM", help="The name of the room; an empty name means any room.", callback=_require_new_room_name
    ),
]
RoomOfTask = Annotated[
    str | None,
    typer.Option(
        "--cname",
        metavar="ROOM",
        help="The room of the task; needed only if the journal does not know the task.",
        callback=_require_room_name,
    ),
]
JournalFile = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="FILE|URL",
        help="The journal: a file, or a database without a password in its URL. Default: RTCAI_JOURNAL, else "
        "rtcai/journal.db in $XDG_STATE_HOME (~/.local/state).",
        callback=_require_text,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        metavar="NAME",
        help="The stack. Its state is read with `pulumi stack export`; see --cwd.",
        callback=_require_text,
    ),
]
ProjectFolder = Annotated[
    Path,
    typer.Option("--cwd", metavar="DIR", file_okay=False, exists=True, help="The folder of the project."),
]
StackExportFile = Annotated[
    str | None,
    typer.Option(
        "--stack-export",
        metavar="FILE",
        help="Instead of --stack: the JSON of `pulumi stack export`, or - for the standard input.",
    ),
]
OtherExports = Annotated[
    list[str] | None,
    typer.Option(
        "--other-export",
        metavar="FILE",
        help="Export of another stack whose agents must not be closed (repeatable). Needed after `pulumi state move`, "
        "or after a stack was renamed, because the journal still has the old name.",
    ),
]
BackendUrl = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="URL",
        help="URL of the stack's backend, as in Pulumi.yaml. Default: PULUMI_BACKEND_URL, else the backend in "
        "Pulumi.yaml, else the current login. With --stack, the state is read from this backend.",
        callback=_require_text,
    ),
]
StackName = Annotated[
    str | None,
    typer.Option(
        "--stack-name",
        metavar="NAME",
        help="The stack, if its export is empty (after a destroy); ORG/NAME if the backend has organizations.",
        callback=_require_text,
    ),
]
ProjectName = Annotated[
    str | None,
    typer.Option(
        "--project-name",
        metavar="NAME",
        help="The project, if the export is empty (after a destroy).",
        callback=_require_text,
    ),
]


def require_one_stack(source: StateSource) -> StateSource:
    """Return the options that select a stack, if they select exactly one.

    Raises:
        BadParameter: --stack and --stack-export are both given, or both missing.
    """
    if (source.stack is None) == (source.export is None):
        raise typer.BadParameter("give one of --stack and --stack-export")
    return source
