"""A stack of the real engine: the CLI runs against the emulator, without any of the developer's own settings."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rtcai_pulumi.emulator import Emulator

PROJECT = Path(__file__).parents[2]
ENGINE = os.environ.get("TESTED_ENGINE", str(PROJECT / ".tools" / "bin"))
"""The folder of the CLI that tests run. `make test-engines` sets another folder."""
TYPE = "pulumi-python:dynamic/rtcai:RealtimeConversation"
# The last language host that can be built from Go modules sometimes fails at its start, before anything has happened.
HOST_DIED = "failed to discover package requirements"
# The virtual environment is named for hosts that support it. PATH is for the other hosts.
PROJECT_FILE = f"""name: rooms
runtime: {{name: python, options: {{toolchain: pip, virtualenv: {Path(sys.executable).parents[1]}}}}}
"""


def search_path() -> str:
    """PATH with this environment's Python and the project's own CLI first."""
    return os.pathsep.join([str(Path(sys.executable).parent), ENGINE, os.environ["PATH"]])


def cli() -> str:
    """The Pulumi CLI. A test that needs the engine fails without it, and is never skipped."""
    found = shutil.which("pulumi", path=search_path())
    if found is None:
        message = "no pulumi CLI: run `make setup`"
        raise RuntimeError(message)
    return found


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one command."""

    code: int
    output: str

    def succeeded(self) -> "Run":
        """This run, which must have succeeded."""
        assert self.code == 0, self.output
        return self

    def failed(self, *, frames: bool = False) -> "Run":
        """This run, which must have failed; without stack frames, unless the program itself raised the error."""
        assert self.code != 0, self.output
        assert frames == ("Traceback" in self.output), self.output
        return self


class Stack:
    """One stack with its own project folder, backend and PULUMI_HOME."""

    def __init__(self, folder: Path, emulator: Emulator | None, name: str = "test") -> None:
        self.folder = folder
        self.name = name
        self.environment = {**environment_of(folder), "RTCAI_JOURNAL": str(folder / "journal.db")}
        if emulator is not None:
            self.environment |= {
                "RTCAI_APP_KEY": emulator.app_key,
                "RTCAI_APP_SECRET": emulator.app_secret,
                "RTCAI_ENDPOINT": emulator.url,
            }
        for part in ("home/pulumi", "program"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "program" / "Pulumi.yaml").write_text(PROJECT_FILE, encoding="utf-8")
        for part in ("backend", f"program/Pulumi.{name}.yaml"):
            _copy(_initialized(name) / part, folder / part)

    def selected(self) -> dict[str, str]:
        """The environment of a command for this stack."""
        return {**self.environment, "PULUMI_STACK": self.name}

    def program(self, source: str) -> None:
        """Set the source of the program."""
        (self.folder / "program" / "__main__.py").write_text(source, encoding="utf-8")

    def pulumi(self, *arguments: str, **environment: str) -> Run:
        """Run a command of the CLI in the project's folder."""
        for _ in range(2):
            done = subprocess.run(
                [cli(), *arguments, "--non-interactive"],
                cwd=self.folder / "program",
                env={**self.selected(), **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=300,
                check=False,
                start_new_session=True,  # in a shell's background job, the CLI would inherit an ignored SIGINT
            )
            if HOST_DIED not in done.stdout:
                break
        return Run(done.returncode, done.stdout)

    def preview(self, *arguments: str, **environment: str) -> Run:
        return self.pulumi("preview", *arguments, **environment)

    def up(self, *arguments: str, **environment: str) -> Run:
        """Update without a preview, which would take half of the time. Tests about previews call `pulumi` directly."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, **environment)

    def refresh(self, *arguments: str, **environment: str) -> Run:
        return self.pulumi("refresh", "--yes", "--skip-preview", *arguments, **environment)

    def destroy(self, *arguments: str, **environment: str) -> Run:
        return self.pulumi("destroy", "--yes", "--skip-preview", *arguments, **environment)

    def state_text(self) -> str:
        """The state as it is in the backend's file: secrets are ciphertext."""
        return self.state_file().read_text("utf-8")

    def state_file(self) -> Path:
        return self.folder / "backend" / ".pulumi" / "stacks" / "rooms" / f"{self.name}.json"

    def conversations(self) -> dict[str, dict[str, Any]]:
        """The conversations in the state, by their names in the program."""
        deployment = json.loads(self.state_text())["checkpoint"]["latest"] or {}
        rooms = [resource for resource in deployment.get("resources", []) if resource["type"] == TYPE]
        return {resource["urn"].rpartition("::")[2]: resource for resource in rooms}


def environment_of(folder: Path) -> dict[str, str]:
    """An environment with its own backend and home, and without any of the developer's settings."""
    return {
        "PATH": search_path(),
        "HOME": str(folder / "home"),
        "PULUMI_HOME": str(folder / "home" / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # the language host has pip list the packages in each run
    }


@cache
def _initialized(name: str) -> Path:
    """A folder with an initialized stack to copy: `pulumi stack init` takes a fifth of the time of an update."""
    folder = Path(tempfile.mkdtemp(prefix="rtcai-stack-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for part in ("backend", "home/pulumi", "program"):
        (folder / part).mkdir(parents=True)
    (folder / "program" / "Pulumi.yaml").write_text(PROJECT_FILE, encoding="utf-8")
    command = [cli(), "stack", "init", name, "--non-interactive"]
    subprocess.run(command, cwd=folder / "program", env=environment_of(folder), check=True, capture_output=True)
    return folder


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
