"""Where a Pulumi CLI with a Python language host comes from: PATH, the vendor's release, or a build from Go modules."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
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
INSTALL_GO = "install Go 1.26 or newer (https://go.dev/dl) and run `make setup` again"
_SECONDS = 10
"""How long the site may send nothing."""
_RELEASES = "https://get.pulumi.com/releases/sdk"


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
    archive = into / name
    try:
        with urlopen(f"{releases}/pulumi-{engine}-checksums.txt", timeout=_SECONDS) as answer:  # noqa: S310 - https
            lines = [line.split() for line in answer.read().decode().splitlines()]
        digests = {file: digest for digest, file in lines}
        if name not in digests:
            raise SourceError(f"there is no {name}")
        with archive.open("w+b") as content, urlopen(f"{releases}/{name}", timeout=_SECONDS) as answer:  # noqa: S310
            shutil.copyfileobj(answer, content)
            content.seek(0)
            digest = hashlib.file_digest(content, "sha256").hexdigest()
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
        SourceError: Go is missing, too old, or a download or a build failed; its output was printed.
    """
    target = into / "bin"
    target.mkdir()
    _copy_scripts(target)
    for folder, package, flags in (
        ("language-host", "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python", "-s -w"),
        (engine.folder, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", f"-s -w -X {_VERSION_VARIABLE}=v{engine}"),
    ):
        options = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags]
        _run_go(["build", *options, "-o", str(target / package.rpartition("/")[2]), package], HERE / folder)


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


def _run_go(arguments: Sequence[str], folder: Path) -> str:
    """Run Go in a folder, pass on its messages, and return its output.

    In a module's folder, Go compares its version with the one that go.mod requires, and downloads a newer one if that
    is allowed.
    """
    if shutil.which("go") is None:
        raise SourceError(f"PATH has no go: {INSTALL_GO}")
    env = {**os.environ, "GOWORK": "off"}
    done = subprocess.run(["go", *arguments], cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, end="", flush=True)
        command = f"go {' '.join(arguments[:2])}"
        raise SourceError(f"`{command}` failed, see above; if this Go is too old, {INSTALL_GO}")
    return done.stdout


def _copy_scripts(target: Path) -> None:
    # Outside any module, so the download neither reads nor changes a go.mod.
    module: dict[str, str] = json.loads(_run_go(["mod", "download", "-json", SCRIPTS_MODULE], target))
    if module["Sum"] != SCRIPTS_SUM:
        raise SourceError(f"{SCRIPTS_MODULE} has checksum {module['Sum']}, not {SCRIPTS_SUM}: not used")
    for script in _SCRIPTS:
        copy = target / Path(script).name
        shutil.copyfile(Path(module["Dir"]) / script, copy)
        copy.chmod(0o755)
