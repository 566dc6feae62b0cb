"""Why a command cannot do what it was asked, and how it says so."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from rtcai_pulumi.cli.shown import tell_error
from rtcai_pulumi.service.errors import RtcAiError
from rtcai_pulumi.service.settings import HOW_TO_SET

if TYPE_CHECKING:
    from collections.abc import Iterator


_CONFIG_KEYS: Final = re.compile(r" \(config rtcai:\w+(, rtcai:\w+)*\)")
_HOW_TO_SET_HERE: Final = (
    "set RTCAI_APP_KEY and RTCAI_APP_SECRET in the environment; what a stack's config holds is not read here"
)


class CannotDo(Exception):
    """A command cannot do what it was asked; the message says why, and what to do."""


class CannotReadExport(CannotDo):
    """The export is none, or tells too little; nothing is decided by it."""


class Unknown(CannotDo):
    """The journal does not know what the user names."""


def for_the_environment(text: str) -> str:
    """A message of the lifecycle or the service, without the advice for a stack's config: no command reads that."""
    return _CONFIG_KEYS.sub("", text.replace(HOW_TO_SET, _HOW_TO_SET_HERE))


@contextmanager
def failing(command: str) -> Iterator[None]:
    """Show an error that a user may meet in one piece, and end with exit code 1."""
    try:
        yield
    except (CannotDo, RtcAiError) as error:
        tell_error(f"rtcai {command}: {for_the_environment(str(error))}")
        raise typer.Exit(1) from None
