"""Why a command cannot do what it was asked, and how it says so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from rtcai_pulumi.cli.shown import tell
from rtcai_pulumi.service.errors import RtcAiError

if TYPE_CHECKING:
    from collections.abc import Iterator


class CannotDo(Exception):
    """A command cannot do what it was asked; the message says why, and what to do."""


class CannotReadExport(CannotDo):
    """The export is none, or tells too little; nothing is decided by it."""


class Unknown(CannotDo):
    """The journal does not know what the user names."""


@contextmanager
def failing(command: str) -> Iterator[None]:
    """Show an error that a user may meet in one piece, and end with exit code 1."""
    try:
        yield
    except (CannotDo, RtcAiError) as error:
        tell(f"rtcai {command}: {error}")
        raise typer.Exit(1) from None
