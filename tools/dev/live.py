"""What is checked and confirmed before an agent of the real service is started or stopped."""

import sys
from collections.abc import Mapping, Sequence

from tools.dev.agents import Agent
from tools.dev.refusal import RefusalError


def has_terminal() -> bool:
    """Return whether there is a terminal to ask questions on."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def require_terminal(verb: str) -> None:
    """Refuse to continue if no question can be asked.

    Raises:
        RefusalError: there is no terminal.
    """
    if has_terminal():
        return
    raise RefusalError(
        f"RTC-AI credentials are set, so `make {verb}` would act on the real service, and there is no terminal to ask"
        " on.\n"
        "  Nothing was done.\n"
        f"  In a terminal:    RTCAI_ROOM=<room> make {verb}\n"
        "  On the emulator:  unset RTCAI_APP_KEY, RTCAI_APP_SECRET, RTCAI_TOKEN and RTCAI_UID\n"
        "  By hand, with a stack and a backend of your own and .venv/bin and .tools/bin first on PATH:\n"
        "    pulumi stack select --create <stack> && pulumi config set room <room>\n"
        f"    pulumi {verb}" + (" --refresh" if verb == "up" else ""),
        code=2,
    )


def room(environ: Mapping[str, str], agents: Sequence[Agent]) -> str:
    """Return the room's name: RTCAI_ROOM, else the user's answer; the default is the room of the running agent.

    Raises:
        RefusalError: no name was given.
    """
    named = environ.get("RTCAI_ROOM", "").strip()
    if named:
        return named
    present = agents[0].room if len(agents) == 1 else ""
    if not has_terminal():
        if present:
            return present
        raise RefusalError("No room is named and there is no terminal to ask on. Set RTCAI_ROOM=<room>.", code=2)
    answer = _ask(f"Name of the room for the agent{f' [{present}]' if present else ''}: ").strip() or present
    if not answer:
        raise RefusalError("No room was named: nothing was done.", code=2)
    return answer


def agree(question: str) -> None:
    """Ask for confirmation; every answer except yes means no.

    Raises:
        RefusalError: the answer was not yes.
    """
    if _ask(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise RefusalError("Nothing was done.")


def _ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""
