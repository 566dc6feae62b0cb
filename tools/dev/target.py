"""Which stack a target acts on, and the environment that the engine gets for it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.dev.refusal import RefusalError

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
PROJECT = "rtcai-pulumi-demo"

DEFAULT_PORT = 8907
APP_KEY = "emulator-app-key"
APP_SECRET = "emulator-app-secret"  # noqa: S105 - a placeholder that the emulator takes from anyone

_TUNING = ("RTCAI_TIMEOUT", "RTCAI_MAX_RPS", "RTCAI_CONCURRENCY")
_CREDENTIALS = ("RTCAI_APP_KEY", "RTCAI_APP_SECRET", "RTCAI_TOKEN", "RTCAI_UID")


@dataclass(frozen=True)
class Target:
    """A stack of this checkout with everything that belongs to it in one folder of its own."""

    name: Literal["dev", "live"]
    """The stack's name: `dev` talks to the emulator, `live` to the service."""

    folder: Path
    """Its backend, journal, stack configuration and, for `dev`, the emulator's files."""

    environment: Mapping[str, str]
    """What the engine gets; for `dev` without the endpoint, whose port is known later."""

    @property
    def backend(self) -> Path:
        """The folder of the engine's file backend."""
        return self.folder / "backend"

    @property
    def config_file(self) -> Path:
        """The stack's configuration, kept out of the checkout's root."""
        return self.folder / f"Pulumi.{self.name}.yaml"


def chosen(environ: Mapping[str, str]) -> Target:
    """Return the stack that the environment asks for: `live` where credentials are set, else `dev`.

    Raises:
        RefusalError: some of the credentials are set and not all that belong together.
    """
    given = set(credentials(environ))
    if not given:
        return dev(environ)
    if {"RTCAI_APP_KEY", "RTCAI_APP_SECRET"} <= given or {"RTCAI_APP_KEY", "RTCAI_TOKEN", "RTCAI_UID"} <= given:
        return live(environ)
    raise RefusalError(
        "The RTC-AI credentials in the environment are incomplete.\n"
        f"  set: {', '.join(sorted(given))}\n"
        "  For the real service set RTCAI_APP_KEY with RTCAI_APP_SECRET, or RTCAI_APP_KEY with RTCAI_TOKEN and\n"
        "  RTCAI_UID. For the local emulator unset them all.",
        code=2,
    )


def credentials(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the credentials that are set."""
    return [name for name in _CREDENTIALS if environ.get(name)]


def dev(environ: Mapping[str, str]) -> Target:
    """Return the stack on the emulator: no setting of the user's own account reaches it."""
    folder = state_folder(environ) / "dev"
    own = {
        name: value
        for name, value in environ.items()
        # A proxy knows nothing of this machine's own ports; and one of a kind that httpx cannot speak to (SOCKS) breaks
        # each client that only looks at its variable, whatever NO_PROXY says.
        if (not name.startswith("RTCAI_") or name in _TUNING) and not name.upper().endswith("_PROXY")
    }
    keys = {"RTCAI_APP_KEY": APP_KEY, "RTCAI_APP_SECRET": APP_SECRET}
    return Target("dev", folder, {**_engine_environment(own, folder), **keys})


def live(environ: Mapping[str, str]) -> Target:
    """Return the stack on the service: the user's own settings, save the journal, which is the checkout's."""
    folder = state_folder(environ) / "live"
    return Target("live", folder, _engine_environment(environ, folder))


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of everything that runs keep: `.rtcai`, or RTCAI_DEV_DIR."""
    return Path(environ.get("RTCAI_DEV_DIR") or ROOT / ".rtcai").resolve()


def wanted_port(environ: Mapping[str, str]) -> int:
    """Return the port for the emulator: RTCAI_DEV_PORT, or 8907.

    Raises:
        RefusalError: RTCAI_DEV_PORT is no port.
    """
    text = environ.get("RTCAI_DEV_PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise RefusalError(f"RTCAI_DEV_PORT is {text!r}, not a port. Use a number from 1 to 65535.", code=2)
    return int(text)


def endpoint(port: int) -> str:
    """Return the emulator's base URL."""
    return f"http://127.0.0.1:{port}"


def _engine_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    # What is set for the user's other stacks (token, organisation, passphrase, plugins) must not reach these two.
    own = {name: value for name, value in environ.items() if not name.startswith("PULUMI_")}
    for name in ("VIRTUAL_ENV", "PYTHONHOME"):
        own.pop(name, None)
    # An old language host ignores Pulumi.yaml's `virtualenv` and takes the first `python` of PATH.
    tools = ROOT / ".tools" / "bin"
    path = [str(BIN), *([str(tools)] if tools.is_dir() else []), environ.get("PATH", os.defpath)]
    return {
        **own,
        "PATH": os.pathsep.join(path),
        "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
        "PULUMI_HOME": str(folder.parent / "pulumi"),
        # Nothing in these two states is secret, and whoever reads them could read a passphrase file beside them too.
        "PULUMI_CONFIG_PASSPHRASE": "rtcai",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # the language host has pip list the packages at each run
        "RTCAI_JOURNAL": str(folder / "journal.db"),
    }
