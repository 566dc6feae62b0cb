"""``rtcai emulator``."""

import os
import sys
from collections.abc import Mapping
from functools import cached_property
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import typer
from pydantic.fields import FieldInfo

from rtcai_pulumi.cli.options import JournalFile
from rtcai_pulumi.cli.output import print_error
from rtcai_pulumi.cli.session import get_journal_location
from rtcai_pulumi.config.emulator import (
    ENVIRONMENT_VARIABLES,
    OFF_OPTIONS,
    EmulatorSettings,
    EmulatorSettingsArguments,
)
from rtcai_pulumi.journal.reader import ReadOnlyJournal
from rtcai_pulumi.journal.stores import open_read_only
from rtcai_pulumi.maintenance.agents import read_ends

_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1 to listen on; 0 chooses a free port.")]
_State = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="File that stores rooms and tasks; a restarted emulator continues with them. Default: nothing is stored.",
    ),
]
_Seed = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="JSON file with initial rooms, tasks and requests, as for POST /-/seed. It is used only if no rooms or "
        "tasks are stored yet.",
    ),
]
_LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    typer.Option(help="Level of the log on stderr; info logs a line for each request."),
]


_SETTINGS: Final = {
    name: field for name, field in EmulatorSettings.model_fields.items() if name not in ENVIRONMENT_VARIABLES
}
"""The settings that have an option."""


def _option(name: str, field: FieldInfo) -> Parameter:
    """Return the parameter from which typer makes the option of a setting."""
    kind: Any = field.annotation
    default, text = field.default, field.description
    if off := OFF_OPTIONS.get(name):
        name, default, text = off.name, not default, off.help
    limits = {key: getattr(limit, key) for limit in field.metadata for key in ("ge", "le") if hasattr(limit, key)}
    # A flag is named here, because typer would add its opposite, such as --no-retry-after.
    flags = [f"--{name.replace('_', '-')}"] if kind is bool else []
    option = typer.Option(*flags, min=limits.get("ge"), max=limits.get("le"), help=text)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _settings_of(options: Mapping[str, Any]) -> EmulatorSettingsArguments:
    """Return the settings that the options stand for."""
    values = {name: not options[OFF_OPTIONS[name].name] if name in OFF_OPTIONS else options[name] for name in _SETTINGS}
    return cast(EmulatorSettingsArguments, values)


class _Ends:
    """Reads from the journal when agents end, without changing it: it need not exist."""

    def __init__(self, journal: str | None) -> None:
        self._journal = journal

    @cached_property
    def _reader(self) -> ReadOnlyJournal:
        return open_read_only(get_journal_location(self._journal))

    def read(self) -> Mapping[tuple[int, str], str]:
        """Return the end of each task that has one.

        Raises:
            JournalError: the journal cannot be read.
        """
        return read_ends(self._reader)


def emulator(
    *,
    port: _Port = 8907,
    state: _State = None,
    seed: _Seed = None,
    journal: JournalFile = None,
    log_level: _LogLevel = "info",
    **options: Any,
) -> None:
    """Run a local emulator of the RTC AI service.

    It runs until SIGTERM or Ctrl+C, listens on 127.0.0.1 only, and prints its URL when it is ready. Open the URL in a
    browser for a live page of rooms, agents and requests. The emulator accepts one AppKey: emulator-app-key with the
    AppSecret emulator-app-secret, or those in RTCAI_EMULATOR_APP_KEY and RTCAI_EMULATOR_APP_SECRET. Set
    RTCAI_EMULATOR_ACCOUNTS for further accounts, as in "key=secret key2=secret2".

    The live page also shows when agents end (ends_at). The service never receives that, so it is read from the journal.

    GET /-/tasks returns the running and ended tasks; GET /-/requests returns the received requests. /-/faults makes
    requests fail. While the emulator runs, /-/settings changes --rooms, --dedup, --max-rps, --retry-after and when
    tasks start and end by themselves, and /-/clock sets its time.
    """
    try:
        from rtcai_pulumi.emulator import serve  # noqa: PLC0415  the extra "emulator" may be missing
        from rtcai_pulumi.emulator.errors import CannotStart  # noqa: PLC0415  as above
    except ModuleNotFoundError as missing:
        if missing.name not in {"jinja2", "starlette", "uvicorn"}:
            raise
        sys.exit('rtcai emulator needs the extra "emulator": pip install "rtcai-pulumi[emulator]"')
    try:
        settings = serve.settings_from(os.environ, **_settings_of(options))
        serve.run(settings, port, state, seed, log_level=log_level, read_ends=_Ends(journal).read)
    except CannotStart as error:
        print_error(f"rtcai emulator: {error}")
        raise typer.Exit(1) from None


def _add_options() -> None:
    """Let typer see one option for each setting in place of ``**options``."""
    *own, journal, log_level, _ = signature(emulator).parameters.values()
    options = [_option(name, field) for name, field in _SETTINGS.items()]
    emulator.__signature__ = Signature([*own, *options, journal, log_level])  # type: ignore[attr-defined]  # typer reads it


_add_options()
