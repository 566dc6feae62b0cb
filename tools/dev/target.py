"""Selects the stack that a target acts on, and the engine's environment for it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtcai_pulumi.service.settings import missing_credentials

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
PROJECT = "rtcai-pulumi-demo"

DEFAULT_PORT = 8907
APP_KEY = "emulator-app-key"
APP_SECRET = "emulator-app-secret"  # noqa: S105 - a placeholder that the emulator takes from anyone

_TUNING = ("RTCAI_TIMEOUT", "RTCAI_MAX_RPS", "RTCAI_CONCURRENCY")
_CREDENTIALS = ("RTCAI_APP_KEY", "RTCAI_APP_SECRET", "RTCAI_TOKEN", "RTCAI_UID")


class RefusalError(Exception):
    """A target cannot continue. The message says what happened, the facts, and what to do."""


@dataclass(frozen=True)
class Target:
    """A stack of this checkout, with all its files in one folder."""

    name: Literal["dev", "live"]
    """The stack's name: `dev` uses the emulator, `live` the service."""

    folder: Path
    """Contains its project file, backend, journal, configuration and, for `dev`, the emulator's files."""

    environment: Mapping[str, str]
    """The engine's environment; for `dev` without the endpoint, because its port is known later."""

    @property
    def backend(self) -> Path:
        """The folder of the engine's file backend."""
        return self.folder / "backend"

    @property
    def checkpoint(self) -> Path:
        """The stack's state in its backend."""
        return self.backend / ".pulumi" / "stacks" / PROJECT / f"{self.name}.json"

    @property
    def is_live(self) -> bool:
        """Whether the agents run on the real service."""
        return self.name == "live"


def choose(environ: Mapping[str, str]) -> Target:
    """Return the stack that the environment selects: `live` if credentials are set, else `dev`.

    Raises:
        RefusalError: only some of the required credentials are set.
    """
    given = [name for name in _CREDENTIALS if environ.get(name)]
    if not given:
        return dev(environ)
    if missing := missing_credentials(environ, lambda _: None):
        raise RefusalError(
            f"The RTC AI credentials in the environment are incomplete: {', '.join(given)} without "
            f"{' and '.join(name.variable for name in missing)}.\n"
            "  Set the others for the real service, or unset all of them for the local emulator."
        )
    return live(environ)


def dev(environ: Mapping[str, str]) -> Target:
    """Return the stack on the emulator; it uses no setting of the user's own account."""
    folder = _state_folder(environ) / "dev"
    own = {
        name: value
        for name, value in environ.items()
        # A proxy cannot reach the ports of this machine. And if the proxy's type is one that httpx does not support
        # (SOCKS), each client that reads its variable fails, even if NO_PROXY excludes the address.
        if (not name.startswith("RTCAI_") or name in _TUNING) and not name.upper().endswith("_PROXY")
    }
    keys = {"RTCAI_APP_KEY": APP_KEY, "RTCAI_APP_SECRET": APP_SECRET}
    return Target("dev", folder, {**_engine_environment(own, folder), **keys})


def live(environ: Mapping[str, str]) -> Target:
    """Return the stack on the service: with the user's own settings, except for the journal, which belongs to the
    checkout.
    """
    folder = _state_folder(environ) / "live"
    return Target("live", folder, _engine_environment(environ, folder))


def read_port(environ: Mapping[str, str]) -> int:
    """Return the port for the emulator: RTCAI_DEV_PORT, or 8907.

    Raises:
        RefusalError: RTCAI_DEV_PORT is not a valid port.
    """
    text = environ.get("RTCAI_DEV_PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise RefusalError(f"RTCAI_DEV_PORT is {text!r}, not a port. Use a number from 1 to 65535.")
    return int(text)


def endpoint(port: int) -> str:
    """Return the emulator's base URL."""
    return f"http://127.0.0.1:{port}"


def _state_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("RTCAI_DEV_DIR") or ROOT / ".rtcai").resolve()


def _engine_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    # Settings for the user's other stacks (token, organisation, passphrase, plugins) must not affect these two.
    own = {name: value for name, value in environ.items() if not name.startswith("PULUMI_")}
    for name in ("VIRTUAL_ENV", "PYTHONHOME"):
        own.pop(name, None)
    # An old language host ignores `virtualenv` in Pulumi.yaml and uses the first `python` on PATH.
    tools = ROOT / ".tools" / "bin"
    path = [str(BIN), *([str(tools)] if tools.is_dir() else []), environ.get("PATH", os.defpath)]
    return {
        **own,
        "PATH": os.pathsep.join(path),
        "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
        "PULUMI_HOME": str(folder.parent / "pulumi"),
        # Nothing in these two states is secret, and anyone who can read them could also read a passphrase file next to
        # them.
        "PULUMI_CONFIG_PASSPHRASE": "rtcai",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # the language host runs pip to list the packages in each run
        "RTCAI_JOURNAL": str(folder / "journal.db"),
    }
