"""The emulator as a process: ``rtcai emulator``."""

import asyncio
import logging
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from rtcai_pulumi.emulator.app import application
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.emulated import EmulatedService
from rtcai_pulumi.emulator.server import Server, listening, url_of
from rtcai_pulumi.emulator.settings import Settings
from rtcai_pulumi.emulator.state_file import StateFile


def run(settings: Settings, port: int, state: Path | None, log_level: str) -> None:
    """Serve until SIGTERM or SIGINT, and say on stdout when connections are accepted.

    Args:
        settings: how to behave.
        port: port of 127.0.0.1; 0 picks a free one.
        state: file for rooms and tasks; None keeps them in memory.
        log_level: what goes to stderr, as `logging` names it in lower case.

    Raises:
        CannotStart: the port is taken, or the state file cannot be used.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with ExitStack() as undone:
        listener = undone.enter_context(listening(port))
        state_file = undone.enter_context(closing(StateFile(state))) if state else None
        service = EmulatedService.started(settings, Clock(), state_file)

        def ready() -> None:
            sys.stdout.write(f"rtcai emulator ready on {url_of(listener)}\n")
            sys.stdout.flush()

        asyncio.run(Server(application(service), listener, ready, service.end).serve_until_end())
