"""The two stacks of this checkout: `dev` on the emulator, `live` on the service."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pulumi import automation

from rtcai_pulumi.journal.location import journal_location
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.maintenance.agents import AgentLine, list_agents
from rtcai_pulumi.maintenance.records import open_journal
from rtcai_pulumi.service.settings import resolve
from rtcai_pulumi.stack.command import process_state
from tools.setup import ROOT, wait_for_others

BIN = ROOT / ".venv" / "bin"
PROJECT = "rtcai-pulumi-demo"

_TUNING = ("RTCAI_TIMEOUT", "RTCAI_MAX_RPS", "RTCAI_CONCURRENCY")
_CREDENTIALS = ("RTCAI_APP_KEY", "RTCAI_APP_SECRET", "RTCAI_TOKEN", "RTCAI_UID")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Stack:
    """A stack of this checkout, with all its files in one folder."""

    name: Literal["dev", "live"]
    folder: Path
    """Contains its project file, backend, journal, configuration and, for `dev`, the emulator's files."""
    environment: Mapping[str, str]
    """The environment of the commands that work on it."""

    @property
    def is_live(self) -> bool:
        """Whether the agents run on the real service."""
        return self.name == "live"

    @property
    def backend(self) -> Path:
        """The folder of the engine's file backend."""
        return self.folder / "backend"

    @property
    def checkpoint(self) -> Path:
        """The stack's state in its backend."""
        return self.backend / ".pulumi" / "stacks" / PROJECT / f"{self.name}.json"

    def agents(self) -> list[AgentLine]:
        """Return the agents that may be running, from the journal: also those that a crash kept out of the state.

        Raises:
            JournalError: the journal cannot be read.
        """
        with open_journal(journal_location(self.environment)) as journal:
            return list_agents(journal, None, frozenset(), include_closed=False, now=datetime.now(UTC))

    @contextmanager
    def open(self) -> Iterator[automation.Stack]:
        """Wait for other make targets on this stack, and make it ready: create it, or recover it."""
        with wait_for_others(self.folder / "lock"):
            self.backend.mkdir(parents=True, exist_ok=True)
            # A project file of its own keeps the stack's configuration out of the checkout's root.
            options = {"toolchain": "pip", "virtualenv": str(BIN.parent)}
            project = {"name": PROJECT, "main": str(ROOT), "runtime": {"name": "python", "options": options}}
            (self.folder / "Pulumi.yaml").write_text(json.dumps(project))
            self.recover()
            # The Automation API adds variables to this environment for its commands, but cannot remove any.
            os.environ.clear()
            os.environ.update(self.environment)
            yield run(automation.create_or_select_stack, self.name, work_dir=str(self.folder))

    def recover(self) -> None:
        """Repair what a killed run left: its lock, an empty `.attrs` file, and an incomplete state.

        The engine's copy of the state is one write older, so it may lack an agent, or contain a stopped one. The
        journal has both: `up` recovers them, and `down` sweeps them.
        """
        for lock in (self.backend / ".pulumi" / "locks").rglob(f"{self.name}/*.json"):
            with suppress(ValueError):  # its run was killed while it wrote the lock
                holder = json.loads(lock.read_text())
                if holder["hostname"] != socket.gethostname() or _is_process(holder["pid"]):
                    return  # Pulumi names the holder and refuses to run; that run may be writing the state now
            lock.unlink()
        # The file backend does not write these in one step. It needs none, but cannot read a file whose own is empty.
        for attributes in self.backend.rglob("*.attrs"):
            if attributes.stat().st_size == 0:
                attributes.unlink()
        try:
            json.loads(self.checkpoint.read_bytes())
        except FileNotFoundError:
            pass
        except ValueError:
            print(f"The state file of stack {self.name} is incomplete; restoring the engine's copy.", flush=True)
            shutil.copyfile(self.checkpoint.with_suffix(".json.bak"), self.checkpoint)


def run(action: Callable[..., _Result], *arguments: object, **options: object) -> _Result:
    """Run a function that waits for a command, such as `up` of the Automation API, and return its result.

    Raises:
        CommandError: Pulumi failed.
        KeyboardInterrupt: the user interrupted the command; it has ended.
    """
    interrupted = False
    with ThreadPoolExecutor(max_workers=1) as thread:
        future = thread.submit(action, *arguments, **options)
        while not future.done():
            # Each Ctrl-C reaches the command, too: at the first, the engine writes its state and removes its lock.
            try:
                wait([future])
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    try:
        return future.result()
    except automation.CommandError as error:
        # The standard output is on the terminal already. The standard error is at the end of this text.
        print(str(error).partition("\n stderr: ")[2], file=sys.stderr)
        raise CommandError(f"Pulumi's `{action.__name__}` failed: see its output above.") from None


def choose(environ: Mapping[str, str]) -> Stack:
    """Return the stack that the environment selects: `live` if credentials are set, else `dev`.

    Raises:
        SettingsError: only some of the required credentials are set, or a setting is wrong.
    """
    if not any(environ.get(name) for name in _CREDENTIALS):
        return dev(environ)
    resolve(environ, lambda _: None)
    return live(environ)


def dev(environ: Mapping[str, str]) -> Stack:
    """Return the stack on the emulator; it uses no setting of the user's own account."""
    own = {
        name: value
        for name, value in environ.items()
        # A proxy cannot reach the ports of this machine. And if the proxy's type is one that httpx does not support
        # (SOCKS), each client that reads its variable fails, even if NO_PROXY excludes the address.
        if (not name.startswith("RTCAI_") or name in _TUNING) and not name.upper().endswith("_PROXY")
    }
    own["RTCAI_ENDPOINT"] = f"http://127.0.0.1:{environ.get('RTCAI_DEV_PORT') or 8907}"
    # The emulator takes any account.
    return _stack(
        "dev", environ, own | {"RTCAI_APP_KEY": "emulator-app-key", "RTCAI_APP_SECRET": "emulator-app-secret"}
    )


def live(environ: Mapping[str, str]) -> Stack:
    """Return the stack on the service, with the user's own settings; its journal belongs to the checkout."""
    return _stack("live", environ, environ)


def _stack(name: Literal["dev", "live"], environ: Mapping[str, str], settings: Mapping[str, str]) -> Stack:
    folder = Path(environ.get("RTCAI_DEV_DIR") or ROOT / ".rtcai").resolve() / name
    # Settings for the user's other stacks (token, organisation, passphrase, plugins) must not affect these two.
    own = {
        name: value for name, value in settings.items() if not name.startswith(("PULUMI_", "VIRTUAL_ENV", "PYTHONHOME"))
    }
    # An old language host ignores `virtualenv` in Pulumi.yaml and uses the first `python` on PATH.
    path = [str(BIN), str(ROOT / ".tools" / "bin"), environ.get("PATH", os.defpath)]
    return Stack(
        name,
        folder,
        own
        | {
            "PATH": os.pathsep.join(path),
            "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
            "PULUMI_HOME": str(folder.parent / "pulumi"),
            # Nothing in these two states is secret, and anyone who can read them could also read a passphrase file
            # next to them.
            "PULUMI_CONFIG_PASSPHRASE": "rtcai",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # the language host runs pip to list the packages in each run
            "RTCAI_JOURNAL": str(folder / "journal.db"),
        },
    )


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it belongs to another user
    try:
        state, *_ = process_state(pid)
    except OSError:
        return not Path("/proc").exists()  # it has just ended, or this system has no such folder
    return state not in "ZX"  # a killed process that its parent has not collected yet is one of these
