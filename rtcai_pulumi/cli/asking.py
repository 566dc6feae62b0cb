"""Asks before something is done that cannot be undone."""

from __future__ import annotations

import sys
from typing import Final

import typer

from rtcai_pulumi.cli.shown import tell

NOT_CONFIRMED: Final = 2
"""Exit code: nothing was done, because nobody confirmed it."""


def confirmed(question: str, *, yes: bool, can_ask: bool = True, undone: str = "Nothing was done") -> bool:
    """Whether the user wants it; without a terminal it takes ``--yes``.

    Args:
        question: what to ask.
        yes: whether it was confirmed in advance.
        can_ask: whether the standard input is free for an answer.
        undone: the beginning of the sentence that says that it was not confirmed.
    """
    if yes:
        return True
    if not (can_ask and sys.stdin.isatty()):
        tell(f"{undone}: add --yes; there is no terminal to ask at.")
        return False
    try:
        agreed = typer.confirm(question, default=False, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        tell(f"{undone}.")
    return agreed
