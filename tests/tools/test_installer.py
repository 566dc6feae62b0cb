"""The installer of the Pulumi CLI, run as in `make setup`, with fake `pulumi` and `go` on PATH."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.pulumi_cli import __main__ as installer

PARTS = {"pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python"}

FAKE_GO = """
import os, pathlib, signal, sys
arguments = sys.argv[1:]
if arguments[0] == "build" and "TOO_OLD" in os.environ:
    sys.exit("go: go.mod requires go >= 1.25.11 (running go 1.22.1; GOTOOLCHAIN=local)")
if arguments[0] == "list":
    print(os.environ["MODULE"])
else:
    target = pathlib.Path(arguments[arguments.index("-o") + 1]) / arguments[-1].rpartition("/")[2]
    target.parent.mkdir(exist_ok=True)
    if target.name == "pulumi" and "FAIL" in os.environ:
        sys.exit("some/package: no such luck")
    oldest = os.getcwd().endswith("engine-oldest")
    target.write_text(f"#!/bin/sh\\necho {'v3.216.0' if oldest else 'v3.274.1'}\\n")
    target.chmod(0o755)
    if target.name == "pulumi" and "STUCK" in os.environ:
        pathlib.Path(os.environ["STUCK"]).write_text(str(os.getpid()))
        signal.pause()
"""


@dataclass
class Machine:
    """A machine on which only the fake programs in `path` exist."""

    path: Path
    tools: Path
    root: Path
    environ: dict[str, str]

    def has(self, name: str, text: str) -> Path:
        """Put a program on PATH."""
        self.path.mkdir(exist_ok=True)
        program = self.path / name
        program.write_text(text)
        program.chmod(0o755)
        return program

    def has_pulumi(self, says: str) -> None:
        self.has("pulumi", f"#!/bin/sh\necho '{says}'\n")

    def has_go(self) -> None:
        module = self.tools.parent / "module"
        for script in ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"):
            (module / script).parent.mkdir(parents=True, exist_ok=True)
            (module / script).write_text("#!/bin/sh\n")
        self.environ["MODULE"] = str(module)
        self.has("go", f"#!{sys.executable}\n{FAKE_GO}")

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "tools.pulumi_cli", "--into", str(self.tools), *options]

    def install(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), cwd=self.root, env=self.environ,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def leaves_nothing_half_made(self) -> bool:
        return {file.name for file in self.tools.iterdir()} == {"install.lock"}

    def is_complete(self) -> bool:
        whole = {file.name for file in (self.tools / "bin").iterdir()} == {*PARTS, "pins.sha256"}
        return whole and {file.name for file in self.tools.iterdir()} == {"bin", "install.lock"}


@pytest.fixture
def machine(tmp_path: Path, root: Path) -> Machine:
    path = tmp_path / "path"
    path.mkdir()
    sh = shutil.which("sh")
    assert sh
    (path / "sh").symlink_to(sh)
    # Through a proxy that does not exist, no download leaves this machine.
    environ = {"PATH": str(path), "HOME": str(tmp_path / "home"), "https_proxy": "http://127.0.0.1:1"}
    return Machine(path, tmp_path / "tools", root, environ)


@pytest.mark.parametrize("version", ["v3.216.0", "3.260.0", "v3.300.0-alpha.5"])
def test_a_recent_pulumi_on_path_is_taken(machine: Machine, version: str) -> None:
    machine.has_pulumi(version)
    machine.has("pulumi-language-python", "#!/bin/sh\n")
    ended = machine.install()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert machine.leaves_nothing_half_made()


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("v3.215.9", "minimum CLI version requirement is 3.216.0"),
        ("v2.99.0", "minimum CLI version requirement is 3.216.0"),
        ("v4.0.1", "Major version mismatch"),
        ("what?", "Could not parse the Pulumi CLI version"),
    ],
)
def test_another_pulumi_on_path_is_passed_over_with_the_reason(machine: Machine, says: str, why: str) -> None:
    machine.has_pulumi(says)
    machine.has("pulumi-language-python", "#!/bin/sh\n")
    ended = machine.install()
    assert ended.returncode == 1
    assert why in ended.stdout


def test_a_pulumi_without_a_language_host_is_passed_over(machine: Machine) -> None:
    machine.has_pulumi("v3.259.0")
    assert "PATH has no pulumi-language-python" in machine.install().stdout


def test_a_second_run_does_nothing(machine: Machine) -> None:
    machine.has_go()
    assert machine.install().returncode == 0
    before = (machine.tools / "bin" / "pulumi").stat()
    (machine.path / "go").unlink()
    again = machine.install()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (machine.tools / "bin" / "pulumi").stat() == before


def test_without_the_download_site_it_goes_on_to_the_build(machine: Machine) -> None:
    machine.has_go()
    ended = machine.install()
    assert ended.returncode == 0, ended.stdout
    assert re.search("downloading .*\nsetup: that failed: .*\nsetup: building ", ended.stdout)
    assert machine.is_complete()
    assert all(os.access(machine.tools / "bin" / part, os.X_OK) for part in PARTS)


def test_without_go_it_says_what_to_install(machine: Machine) -> None:
    ended = machine.install()
    assert ended.returncode == 1
    assert ended.stdout.count("that failed: ") == 2
    assert "No such file or directory: 'go'" in ended.stdout
    assert re.search(r"install Go 1\.\d+ or newer", ended.stderr)
    assert machine.leaves_nothing_half_made()


def test_with_an_old_go_it_says_what_to_install(machine: Machine) -> None:
    machine.has_go()
    machine.environ["TOO_OLD"] = "1"
    ended = machine.install()
    assert ended.returncode == 1
    assert "running go 1.22.1" in ended.stderr
    assert "install Go 1.26" in ended.stderr


def test_a_failed_build_shows_its_output_and_leaves_nothing(machine: Machine) -> None:
    machine.has_go()
    machine.environ["FAIL"] = "1"
    ended = machine.install()
    assert ended.returncode == 1
    assert "some/package: no such luck" in ended.stderr
    assert machine.leaves_nothing_half_made()


@pytest.fixture
def stuck(machine: Machine, tmp_path: Path) -> Callable[[], tuple[subprocess.Popen[str], int]]:
    """Starts an installer whose build never ends; returns it with the process id of that build."""
    machine.has_go()
    fifo = tmp_path / "stuck"
    os.mkfifo(fifo)

    def start() -> tuple[subprocess.Popen[str], int]:
        environ = {**machine.environ, "STUCK": str(fifo)}
        child = subprocess.Popen(machine.command(), cwd=machine.root, env=environ, text=True, stderr=subprocess.PIPE)
        return child, int(fifo.read_text())

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_the_build_and_leaves_nothing(
    machine: Machine, stuck: Callable[[], tuple[subprocess.Popen[str], int]], number: signal.Signals
) -> None:
    child, build = stuck()
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode == (130 if number == signal.SIGINT else 143)
    assert machine.leaves_nothing_half_made()
    with pytest.raises(ProcessLookupError):
        os.kill(build, 0)
    assert machine.install().returncode == 0
    assert machine.is_complete()


def test_killed_it_leaves_no_half_cli_and_the_next_run_clears_up(
    machine: Machine, stuck: Callable[[], tuple[subprocess.Popen[str], int]]
) -> None:
    child, build = stuck()
    child.kill()
    os.kill(build, signal.SIGKILL)
    child.communicate(timeout=30)
    assert not (machine.tools / "bin").exists()
    assert machine.install().returncode == 0
    assert machine.is_complete()


@pytest.mark.parametrize("pins", ["of another release", None])
def test_an_installation_of_other_pins_is_replaced(machine: Machine, pins: str | None) -> None:
    machine.has_go()
    assert machine.install().returncode == 0
    installed, recorded = machine.tools / "bin" / "pulumi", machine.tools / "bin" / "pins.sha256"
    pinned = installed.read_text()
    installed.write_text("#!/bin/sh\necho 'v3.259.0'\n")
    recorded.unlink()
    if pins:
        recorded.write_text(pins)
    assert "is now in" in machine.install().stdout
    assert installed.read_text() == pinned
    assert machine.is_complete()


def test_the_oldest_engine_is_provided_whatever_is_on_path(machine: Machine) -> None:
    machine.has_pulumi("v3.274.1")
    machine.has("pulumi-language-python", "#!/bin/sh\n")
    machine.has_go()
    ended = machine.install("--oldest")
    assert ended.returncode == 0, ended.stdout
    assert "pulumi v3.216.0 is now in" in ended.stdout
    assert machine.is_complete()


@pytest.mark.parametrize(("version", "folder"), installer.FOLDERS.items())
def test_a_pinned_version_is_the_one_that_go_mod_pins(version: str, folder: str) -> None:
    module = installer.HERE / folder / "go.mod"
    assert f"github.com/pulumi/pulumi/pkg/v3 v{version} " in module.read_text()


def test_the_go_to_install_is_new_enough_for_every_module() -> None:
    needed = [
        re.findall(r"^go (\d+)\.(\d+)", file.read_text(), re.MULTILINE)[0] for file in installer.HERE.rglob("go.mod")
    ]
    major, minor = max((int(major), int(minor)) for major, minor in needed)
    assert f"Go {major}.{minor} or newer" in installer.INSTALL_GO
