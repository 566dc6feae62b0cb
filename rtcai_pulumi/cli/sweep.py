"""``rtcai sweep``."""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from rtcai_pulumi.cli.backend import Backend, backend_of
from rtcai_pulumi.cli.journal_file import existing, path_of, records_in
from rtcai_pulumi.cli.options import AsJson, BackendUrl, JournalFile, OtherExports, ProjectName, StackName
from rtcai_pulumi.cli.shown import printable, show_json, tell
from rtcai_pulumi.cli.stack_export import STDIN, CannotReadExport, StackExport, read_export, tasks_of
from rtcai_pulumi.cli.sweeping import Outcome, Swept, carry_out, elsewhere, plan
from rtcai_pulumi.lifecycle.journal import Journal
from rtcai_pulumi.lifecycle.run import Run
from rtcai_pulumi.service.errors import RtcAiError

_StackExportFile = Annotated[
    str,
    typer.Option(
        "--stack-export", metavar="FILE", help="The JSON of `pulumi stack export`, or - for the standard input."
    ),
]
_Yes = Annotated[bool, typer.Option("--yes", help="Close without asking.")]

_FAILED: Final = 1
_NOT_CONFIRMED: Final = 2
_LOST_REMAIN: Final = 3
_LOST_ADVICE: Final = (
    "run `pulumi up` again, which asks for it again under the same trace id; where the resource is not declared any "
    "more, look into the room, and end the room if an agent is there (this throws out everybody)"
)
_HEADINGS: Final = {
    Outcome.TO_CLOSE: "To close, because the state lacks it",
    Outcome.CLOSED: "Closed",
    Outcome.FAILED: "Not closed",
    Outcome.LIVES: "Left alone, because a run that still lives works on it",
    Outcome.NEWER: "Left alone, because it changed after the export was made (export the stack again)",
    Outcome.LOST: f"Lost: its create was never answered, and there is no task to close ({_LOST_ADVICE})",
}


def sweep(
    *,
    stack_export: _StackExportFile,
    yes: _Yes = False,
    journal: JournalFile = None,
    other_export: OtherExports = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    as_json: AsJson = False,
) -> None:
    """Close the agents that were started for a stack and that its state lacks.

    What a killed run left is closed by the next `pulumi up` that declares it; this is for what is not declared any
    more. The stack, its project and its backend must all fit; what the state has, what a living process works on, and
    what changed after the export was made, is left alone. It shows first what it would do, and asks; without a
    terminal (or with --stack-export -) it needs --yes. So it does where the export has pending operations: a run was
    killed, or is not over yet.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET). It can be interrupted, and run again.

    --json prints an object: stack, project, backend (source, url, digest), pendingOperations (URNs) and agents, a list
    as of rtcai ls without mark, each with outcome (to close, closed, failed, process lives, newer than the export,
    lost) and error.

    Exit codes: 0 nothing is left to close; 1 an agent could not be closed, or the journal, the export or the
    credentials cannot be used; 2 nothing was closed because nobody confirmed it, or wrong usage; 3 all is closed, but
    there are lost creates.
    """
    try:
        export = read_export(stack_export, stack=stack_name, project=project_name)
        others = tasks_of(other_export or [])
        used = backend_of(os.environ, backend)
        path = path_of(os.environ, journal)
        with existing(path) as opened:
            if opened is None:
                tell(f"There is no journal {path}: nothing was started from here.")
            records = records_in(opened) if opened else []
            lives = opened.lives if opened else lambda _: False
            planned = plan(records, export, used, others=others, lives=lives)
            _introduce(export, used, elsewhere(records, export, used))
            confirmed = _confirmed(planned, export, yes=yes, can_ask=stack_export != STDIN, quiet=as_json)
            done = _close(planned, opened, quiet=as_json) if opened and confirmed else planned
    except (CannotReadExport, RtcAiError) as error:
        tell(f"rtcai sweep: {error}")
        raise typer.Exit(_FAILED) from None
    if as_json:
        show_json(_as_json(done, export, used))
    raise typer.Exit(_exit_code(done))


def _introduce(export: StackExport, backend: Backend, strangers: int) -> None:
    tell(f"Stack {export.id}, backend: {backend}.")
    if strangers:
        tell(f"{strangers} of a stack of this name in another backend: left alone; --backend URL names another one.")
    if export.pending_operations:
        tell(
            "warning: the export has pending operations: a run was killed, or is not over yet. What a living process "
            "works on is left alone; make sure that no other machine runs `pulumi up` on this stack:"
        )
        for urn in export.pending_operations:
            tell(f"  {urn}")


def _confirmed(planned: list[Swept], export: StackExport, *, yes: bool, can_ask: bool, quiet: bool) -> bool:
    """Show what would be done, and ask whether to."""
    _show(planned, quiet=quiet)
    wanted = any(each.outcome is Outcome.TO_CLOSE for each in planned)
    if not wanted:
        tell("Nothing to close.")
        return False
    if yes:
        return True
    if export.pending_operations:
        tell("Nothing was closed: the export has pending operations; add --yes.")
        return False
    if not (can_ask and sys.stdin.isatty()):
        tell("Nothing was closed: add --yes; there is no terminal to ask at.")
        return False
    try:
        agreed = typer.confirm("Close them?", default=False, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        tell("Nothing was closed.")
    return agreed


def _close(planned: list[Swept], journal: Journal, *, quiet: bool) -> list[Swept]:
    from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import
    from rtcai_pulumi.service.settings import resolve  # noqa: PLC0415  as above

    with Client(resolve(os.environ, lambda _: None)) as client:
        done = []
        for before, after in zip(planned, carry_out(planned, Run(lambda: client, lambda: journal)), strict=True):
            done.append(after)
            if before.outcome is Outcome.TO_CLOSE:
                _show([after], quiet=quiet)
    return done


def _show(swept: Iterable[Swept], *, quiet: bool) -> None:
    """What becomes of records, below a heading for each kind; on stderr where the output is JSON."""
    by_outcome: dict[Outcome, list[Swept]] = {}
    for each in swept:
        by_outcome.setdefault(each.outcome, []).append(each)
    for outcome, those in by_outcome.items():
        lines = [f"{_HEADINGS[outcome]}:"]
        for each in those:
            lines += [f"  {each}".replace("\n", "\\n"), *(f"    {line}" for line in (each.error or "").splitlines())]
        typer.echo(printable("\n".join(lines)), err=quiet)


def _as_json(swept: list[Swept], export: StackExport, backend: Backend) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "stack": export.id.stack,
        "project": export.id.project,
        "backend": {"source": backend.source, "url": backend.url, "digest": backend.digest},
        "pendingOperations": list(export.pending_operations),
        "agents": [each.as_json(now) for each in swept],
    }


def _exit_code(swept: list[Swept]) -> int:
    outcomes = {each.outcome for each in swept}
    if Outcome.FAILED in outcomes:
        return _FAILED
    if Outcome.TO_CLOSE in outcomes:
        return _NOT_CONFIRMED
    return _LOST_REMAIN if Outcome.LOST in outcomes else 0
