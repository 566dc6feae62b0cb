"""``rtcai validate`` and ``rtcai schema``."""

from pathlib import Path
from typing import Annotated

import typer

from rtcai_pulumi.cli.options import AsJson
from rtcai_pulumi.cli.output import exit_on_error, print_json, print_line, print_message
from rtcai_pulumi.events.loader import DEFAULT_FILE, plan_file
from rtcai_pulumi.events.model import DEFAULT_NAME, NO_ROOMS
from rtcai_pulumi.events.schema import event_schema_text
from rtcai_pulumi.maintenance import CommandError

EventFile = Annotated[Path, typer.Argument(metavar="FILE", help="The event file.")]


def validate(file: EventFile = Path(DEFAULT_FILE), *, as_json: AsJson = False) -> None:
    """Check an event file.

    Every problem is listed with its line, as `file:line: path: what is wrong`. Nothing is sent, and no credentials are
    needed. Prompt files are read. References to secrets are not resolved, because only the machine that runs Pulumi has
    the secrets.

    --json prints an object with file, rooms (how many) and mistakes: a list of objects with file, line, path and
    reason; line is null if the file could not be read at all.

    Exit codes:

    - 0: no problems
    - 1: problems
    - 2: wrong usage
    """
    plan = plan_file(file)
    mistakes, rooms = len(plan.mistakes), len(plan.rooms)
    if as_json:
        listed = [
            {"file": mistake.file, "line": mistake.line, "path": mistake.path, "reason": mistake.reason}
            for mistake in plan.mistakes
        ]
        print_json({"file": str(file), "rooms": rooms, "mistakes": listed})
    else:
        for mistake in plan.mistakes:
            print_line(str(mistake))
    if mistakes:
        print_message(f"rtcai validate: {mistakes} problem{'s' * (mistakes > 1)} in {file}")
        raise typer.Exit(1)
    if not as_json:
        if not rooms:
            print_message(f"warning: event {plan.name or DEFAULT_NAME} {NO_ROOMS}")
        print_line(f"{file}: no problems; {rooms} room{'s' * (rooms != 1)}")


_Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write the schema to this file.")
]


def schema(*, output: _Output = None) -> None:
    """Print the JSON Schema of event files.

    Editors use it to complete and check event files. Store the schema next to the event file, and make this the first
    line of the event file: `# yaml-language-server: $schema=FILE`.

    Exit codes:

    - 0: printed or written
    - 1: the file cannot be written
    - 2: wrong usage
    """
    text = event_schema_text()
    if output is None:
        typer.echo(text, nl=False)
        return
    with exit_on_error("schema"):
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}") from None
