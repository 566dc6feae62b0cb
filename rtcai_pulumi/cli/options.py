"""Options that several commands of ``rtcai`` share."""

from pathlib import Path
from typing import Annotated, Final

import typer

from rtcai_pulumi.config.conversation import CNAME_MAX_BYTES


def _require_text(value: str | None) -> str | None:
    """Refuse an empty text: it comes from a variable that was meant to have a value."""
    if value == "":
        raise typer.BadParameter("it is empty; name one, or leave the option out")
    return value


def _require_file(value: Path | None) -> Path | None:
    if value == Path():
        raise typer.BadParameter("it is empty; name a file, or leave the option out")
    return value


JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="The journal. Default: RTCAI_JOURNAL, else rtcai/journal.db in $XDG_STATE_HOME (~/.local/state).",
        callback=_require_file,
    ),
]
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
    typer.Option("--cwd", metavar="DIR", file_okay=False, exists=True, help="The project's folder."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
TaskId = Annotated[str, typer.Argument(metavar="CID/TASK", help="The task, as in rtcai ls and in the resource's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
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
        help="Export of another stack, whose agents are not closed either; can be given several times. Needed if a "
        "resource was moved there (pulumi state move), or the stack was renamed: the journal has its first name.",
    ),
]
BackendUrl = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="URL",
        help="URL of the stack's backend, as in Pulumi.yaml. Default: PULUMI_BACKEND_URL, else the project's, else the "
        "current login. With --stack, the state is read there.",
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


def require_room_name(cname: str | None) -> str | None:
    """Refuse what cannot be the name of any room. Names that are hard to type are allowed, because such a room may
    exist.
    """
    size = None if cname is None else len(cname.encode("utf-8", "surrogatepass"))
    if size is not None and not 0 < size <= CNAME_MAX_BYTES:
        raise typer.BadParameter(f"a room's name has 1 to {CNAME_MAX_BYTES} bytes of UTF-8, not {size}")
    return cname


_DIGITS: Final = 19


def split_task(task: str) -> tuple[int, str]:
    """Split ``{cid}/{taskId}`` into its parts.

    Raises:
        BadParameter: the text does not have this form.
    """
    cid, _, task_id = task.partition("/")
    # A room's number has 63 bits: a larger one can be neither stored nor queried.
    if not (cid.isascii() and cid.isdecimal() and len(cid) <= _DIGITS and 0 < int(cid) < 2**63 and task_id):
        raise typer.BadParameter(f"{task!r} is no task: expected CID/TASK, as in rtcai ls")
    return int(cid), task_id
