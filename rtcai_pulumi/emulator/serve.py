"""Runs the emulator in the foreground: ``rtcai emulator``."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Unpack

from rtcai_pulumi.config.emulator import ENVIRONMENT_VARIABLES, EmulatorSettings, EmulatorSettingsArguments
from rtcai_pulumi.emulator.app import application
from rtcai_pulumi.emulator.clock import Clock
from rtcai_pulumi.emulator.errors import CannotStart, InvalidInput, Rejection, SeedUnusable
from rtcai_pulumi.emulator.http.request import parse_json
from rtcai_pulumi.emulator.http.server import Server, format_url, listen
from rtcai_pulumi.emulator.page.ends import ReadEnds
from rtcai_pulumi.emulator.state.file import StateFile
from rtcai_pulumi.emulator.state.seed import Seed, add_seed
from rtcai_pulumi.emulator.state.service import EmulatedService
from rtcai_pulumi.emulator.strict_model import parse_strict


def settings_from(environment: Mapping[str, str], **options: Unpack[EmulatorSettingsArguments]) -> EmulatorSettings:
    """Build the settings from the options and from the credentials in the environment; empty variables count as not
    set.

    Raises:
        CannotStart: the list of accounts in the environment is not valid.
    """
    texts = {name: text for name, variable in ENVIRONMENT_VARIABLES.items() if (text := environment.get(variable))}
    accounts = _parse_accounts(texts.pop("accounts", ""))
    return parse_strict(EmulatorSettings, {**options, **texts, "accounts": accounts}, by_name=True)


def _parse_accounts(text: str) -> dict[str, str]:
    """Parse AppKeys and AppSecrets from ``key=secret key2=secret2``."""
    pairs = [pair.partition("=") for pair in text.split()]
    if not all(key and secret for key, _, secret in pairs):
        # The message does not repeat the value: part of it may be a secret.
        message = "RTCAI_EMULATOR_ACCOUNTS must be AppKeys with their AppSecrets, as in: key=secret key2=secret2"
        raise CannotStart(message)
    return {key: secret for key, _, secret in pairs}


def run(
    settings: EmulatorSettings,
    port: int,
    state: Path | None,
    seed: Path | None,
    *,
    log_level: str,
    read_ends: ReadEnds | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; print a line on stdout when connections are accepted.

    Args:
        settings: the emulator's settings.
        port: port of 127.0.0.1; 0 picks a free one.
        state: file for rooms and tasks; None keeps them in memory.
        seed: file with initial rooms, tasks and requests; ignored if the state file has content.
        log_level: level of the log on stderr, as a lower-case name of `logging`.
        read_ends: reads when agents are to end, for the live page.

    Raises:
        CannotStart: the port is in use, or the state file or the seed cannot be used.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(port))
        state_file = stack.enter_context(closing(StateFile(state))) if state else None
        service = EmulatedService.load(settings, Clock(), state_file)
        if seed and not service.state.tasks and not service.state.rooms:
            _add_seed_file(service, seed)

        def ready() -> None:
            sys.stdout.write(f"rtcai emulator ready on {format_url(listener)}\n")
            sys.stdout.flush()

        asyncio.run(Server(application(service, read_ends), listener, ready, service.end).serve_until_end())


def _add_seed_file(service: EmulatedService, path: Path) -> None:
    """Add the content of a seed file.

    Raises:
        SeedUnusable: the file cannot be read or is not valid.
    """
    try:
        content = path.read_bytes()
        add_seed(service, parse_strict(Seed, parse_json(content, len(content), len(content))))
    except OSError as error:
        message = f"the seed {path} cannot be read: {error.strerror}"
        raise SeedUnusable(message) from None
    except Rejection as rejection:
        message = f"the seed {path} cannot be used: {rejection.reason}"
        raise SeedUnusable(message) from None
    except InvalidInput as error:
        message = f"the seed {path} cannot be used: {error}"
        raise SeedUnusable(message) from None
    asyncio.run(service.keep())
