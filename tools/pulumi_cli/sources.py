"""Where a Pulumi CLI with a Python language host comes from: PATH, the vendor's release, or a build from Go modules."""

import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent

PARTS = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
)
"""The files of a complete installation, all in one folder."""

SCRIPTS_MODULE = "github.com/pulumi/pulumi/sdk/v3@v3.272.0"
"""The Go module whose folder contains the two scripts that the language host starts."""

SCRIPTS_SUM = "h1:MoJElH3Y/VwV1tfTVNCh2BJuc3HxB7OPmvvYzaDe89c="
"""Its checksum in the form of go.sum: these files are copied, not compiled, so no go.sum contains them."""

_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_RELEASES = "https://get.pulumi.com/releases/sdk"
_CONNECT_SECONDS = 10
_PROGRESS_SECONDS = 15.0
_TAIL = 15
"""How many lines of a failed command's output are printed."""


class SourceError(Exception):
    """This source does not provide a CLI here. The message says why and, for the last source, what to install."""


@dataclass(frozen=True)
class Engine:
    """A version of the CLI, and the folder whose go.mod pins it. A test compares the two."""

    version: tuple[int, int, int]
    folder: str

    def __str__(self) -> str:
        """Return its version, as in ``3.216.0``."""
        return ".".join(map(str, self.version))


NEWEST = Engine((3, 274, 1), "engine")
"""The CLI that is installed if PATH has none."""

OLDEST = Engine((3, 216, 0), "engine-oldest")
"""The oldest CLI on PATH that is supported; `make test-engines` tests it."""


def digest_pins(engine: Engine) -> str:
    """Return a digest of everything that pins an installation: the engine's version, and the modules of a build."""
    files = [HERE / folder / name for folder in (engine.folder, "language-host") for name in ("go.mod", "go.sum")]
    pins = [str(engine), SCRIPTS_MODULE, *(file.read_text() for file in files)]
    return hashlib.sha256("\0".join(pins).encode()).hexdigest()


def find_on_path(search: str) -> str:
    """Return version and path of the CLI on the search path `search`.

    Raises:
        SourceError: there is no CLI, it is too old, or its language host for Python is missing.
    """
    pulumi = shutil.which("pulumi", path=search)
    if pulumi is None:
        raise SourceError("PATH has no pulumi")
    version = query_version(Path(pulumi))
    text = ".".join(map(str, version))
    if version < OLDEST.version:
        raise SourceError(f"{pulumi} is {text}, older than {OLDEST}")
    folders = os.pathsep.join([str(Path(pulumi).parent), str(Path(pulumi).resolve().parent), search])
    if shutil.which("pulumi-language-python", path=folders) is None:
        raise SourceError(f"{pulumi} has no pulumi-language-python next to it or on PATH")
    return f"v{text} at {pulumi}"


def download(engine: Engine, into: Path, releases: str = _RELEASES) -> None:
    """Download the vendor's release into `into`/bin. Its SHA-256 must be the one in the list that the vendor publishes.

    Raises:
        SourceError: the site cannot be reached, has no release for this machine, or the digest differs.
    """
    machine = {"amd64": "x64", "x86_64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
    name = f"pulumi-v{engine}-{sys.platform}-{machine}.tar.gz"
    archive, checksums = into / name, into / "checksums.txt"
    try:
        _fetch(f"{releases}/pulumi-{engine}-checksums.txt", checksums)
        lines = [line.split() for line in checksums.read_text().splitlines()]
        digests = {file: digest for digest, file in lines}
        if name not in digests:
            raise SourceError(f"there is no {name}")
        digest = _fetch(f"{releases}/{name}", archive)
    except (OSError, ValueError, HTTPException) as error:
        raise SourceError(f"{releases} cannot be read: {error}") from None
    if digest != digests[name]:
        raise SourceError(f"{name} has the SHA-256 {digest}, not {digests[name]}: not used")
    (into / "bin").mkdir()
    with tarfile.open(archive) as release:
        for member in release:
            part = member.name.removeprefix("pulumi/")
            if part in PARTS and (file := release.extractfile(member)) is not None:
                (into / "bin" / part).write_bytes(file.read())
                (into / "bin" / part).chmod(0o755)


def build(engine: Engine, into: Path) -> None:
    """Build an engine and the language host from Go modules into `into`/bin; go.sum verifies every module.

    Raises:
        SourceError: Go is missing, too old, or a download or a build failed.
    """
    target = into / "bin"
    target.mkdir()
    env = {**os.environ, "GOWORK": "off"}
    _require_go(HERE / engine.folder, env)
    _copy_scripts(target, env)
    for folder, package, flags in (
        ("language-host", "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python", "-s -w"),
        (engine.folder, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", f"-s -w -X {_VERSION_VARIABLE}=v{engine}"),
    ):
        name = package.rpartition("/")[2]
        argv = ["go", "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags]
        code, tail = run(f"building {name}", [*argv, "-o", str(target / name), package], HERE / folder, env)
        if code != 0:
            raise SourceError("\n    ".join([f"go build of {name} failed (exit code {code})", *tail]))


SOURCES: Mapping[str, Callable[[Engine, Path], None]] = {"download": download, "build": build}


def query_version(pulumi: Path) -> tuple[int, int, int]:
    """Return the version of a CLI.

    Raises:
        SourceError: it does not start or does not print a version.
    """
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        done = subprocess.run([pulumi, "version"], env=env, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"{pulumi} does not start: {error}") from None
    version = re.match(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout.strip())
    if done.returncode != 0 or version is None:
        raise SourceError(f"{pulumi} prints no version: {(done.stdout + done.stderr).strip()[:200]}")
    return int(version[1]), int(version[2]), int(version[3])


def run(
    label: str, argv: Sequence[str], cwd: Path, env: Mapping[str, str], interval: float = _PROGRESS_SECONDS
) -> tuple[int, list[str]]:
    """Run a command, print the elapsed time every `interval` seconds, and return its exit code and last lines."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        # In its own session: on Ctrl-C, the command and everything it started are ended as one process group.
        child = subprocess.Popen(
            argv, cwd=cwd, env=env, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            while True:
                try:
                    child.wait(interval)
                    break
                except subprocess.TimeoutExpired:
                    print(f"  {label}: {time.monotonic() - began:.0f} s", flush=True)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        output.seek(0)
        return child.returncode, output.read().splitlines()[-_TAIL:]


def _fetch(url: str, into: Path) -> str:
    """Download a file, print the progress, and return its SHA-256."""
    digest, size, due = hashlib.sha256(), 0, time.monotonic() + _PROGRESS_SECONDS
    with urlopen(url, timeout=_CONNECT_SECONDS) as answer, into.open("wb") as file:  # noqa: S310 - a fixed https URL
        while block := answer.read(1 << 16):
            file.write(block)
            digest.update(block)
            size += len(block)
            if time.monotonic() > due:
                print(f"  downloading {into.name}: {size / 1e6:.0f} MB", flush=True)
                due += _PROGRESS_SECONDS
    return digest.hexdigest()


def _require_go(module: Path, env: Mapping[str, str]) -> None:
    required = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    advice = f"install Go {required[1] if required else ''} or newer (https://go.dev/dl) and run `make setup` again"
    if shutil.which("go") is None:
        raise SourceError(f"PATH has no go: {advice}")
    # In the module's own folder, Go compares its version with the one that go.mod requires, and downloads a newer one
    # if that is allowed.
    done = subprocess.run(["go", "list", "-m"], cwd=module, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SourceError(f"this Go cannot build it ({done.stderr.strip()}): {advice}")


def _copy_scripts(target: Path, env: Mapping[str, str]) -> None:
    argv = ["go", "mod", "download", "-json", SCRIPTS_MODULE]
    # Outside any module, so the download neither reads nor changes a go.mod.
    done = subprocess.run(argv, cwd=target, env=env, capture_output=True, text=True, check=False)
    module: dict[str, str] = json.loads(done.stdout) if done.stdout.strip() else {}
    if done.returncode != 0 or "Dir" not in module:
        raise SourceError(f"go cannot download {SCRIPTS_MODULE}: {module.get('Error') or done.stderr.strip()}")
    if module["Sum"] != SCRIPTS_SUM:
        raise SourceError(f"{SCRIPTS_MODULE} has checksum {module['Sum']}, not {SCRIPTS_SUM}: not used")
    for script in _SCRIPTS:
        copy = target / Path(script).name
        shutil.copyfile(Path(module["Dir"]) / script, copy)
        copy.chmod(0o755)
