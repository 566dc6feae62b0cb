"""``rtcai schema``."""

from pathlib import Path
from typing import Annotated

import typer

from rtcai_pulumi.cli.errors import CannotDo, failing
from rtcai_pulumi.events.schema import event_schema_text

_Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write it there instead.")
]


def schema(*, output: _Output = None) -> None:
    """Print the JSON Schema of event files, by which an editor completes and checks one.

    Put it beside the event file, and this line first in the event file: `# yaml-language-server: $schema=FILE`.

    Exit codes: 0 printed or written; 1 the file cannot be written; 2 wrong usage.
    """
    text = event_schema_text()
    if output is None:
        typer.echo(text, nl=False)
        return
    with failing("schema"):
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CannotDo(f"{output} cannot be written: {error.strerror}") from None
