"""The three ways to a Pulumi CLI with a Python language host: PATH, the vendor's installer, a build from Go modules."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pins
import progress

HERE = Path(__file__).resolve().parent

CONNECT_SECONDS = 5
SCRIPT_SECONDS = 30
VENDOR_SECONDS = 600


class NoWayError(Exception):
    """This way does not provide a CLI here. The message says why and, for the last way, what to install."""


def on_path(search: str) -> str:
    """Describe the CLI on the search path `search`.

    Raises:
        NoWayError: there is no CLI, it is too old, or its language host for Python is missing.
    """
    pulumi = shutil.which("pulumi", path=search)
    if pulumi is None:
        raise NoWayError("PATH has no pulumi")
    version = version_of(Path(pulumi))
    if version < pins.OLDEST.version:
        raise NoWayError(f"{pulumi} is {_dotted(version)}, older than {pins.OLDEST}")
    beside = os.pathsep.join([str(Path(pulumi).parent), str(Path(pulumi).resolve().parent), search])
    if shutil.which("pulumi-language-python", path=beside) is None:
        raise NoWayError(f"{pulumi} has no pulumi-language-python beside it or on PATH")
    return f"v{_dotted(version)} at {pulumi}"


def by_vendor(engine: pins.Engine, into: Path, env: Mapping[str, str]) -> None:
    """Install an engine into `into`/bin with the vendor's installer.

    Raises:
        NoWayError: the download site cannot be reached, or the installer failed or took too long.
    """
    script = into / "install.sh"
    # With --no-edit-path the installer does not edit a shell profile. A separate home ensures this also for later
    # releases of it; curl still finds the user's settings.
    home = {**env, "HOME": str(into), "CURL_HOME": env.get("CURL_HOME", env.get("HOME", ""))}
    fetched = progress.run("fetching the installer", _fetch(script, env), cwd=into, env=home, seconds=SCRIPT_SECONDS)
    if not fetched.good:
        raise NoWayError(_why(f"{pins.INSTALLER_URL} cannot be fetched", fetched, SCRIPT_SECONDS))
    argv = ["sh", str(script), "--no-edit-path", "--install-root", str(into), "--version", str(engine)]
    ended = progress.run("the vendor's installer", argv, cwd=into, env=home, seconds=VENDOR_SECONDS)
    if not ended.good:
        raise NoWayError(_why("the vendor's installer failed", ended, VENDOR_SECONDS))


def by_build(engine: pins.Engine, into: Path, env: Mapping[str, str]) -> None:
    """Build an engine and the language host from Go modules into `into`/bin; go.sum verifies every module.

    Raises:
        NoWayError: Go is missing, too old, or a download or a build failed.
    """
    target = into / "bin"
    target.mkdir()
    build_env = {**env, "GOWORK": "off"}
    _check_go(HERE / engine.folder, build_env)
    _copy_scripts(target, build_env)
    for folder, package, flags in (
        ("language-host", pins.LANGUAGE_HOST_PACKAGE, "-s -w"),
        (engine.folder, pins.ENGINE_PACKAGE, f"-s -w -X {pins.VERSION_VARIABLE}=v{engine}"),
    ):
        name = package.rpartition("/")[2]
        argv = ["go", "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags]
        argv += ["-o", str(target / name), package]
        ended = progress.run(f"building {name}", argv, cwd=HERE / folder, env=build_env, counted="packages")
        if not ended.good:
            raise NoWayError(_why(f"go build of {name} failed", ended))


def version_of(pulumi: Path) -> tuple[int, int, int]:
    """Return the version of a CLI.

    Raises:
        NoWayError: it does not start or does not print a version.
    """
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        asked = subprocess.run([pulumi, "version"], env=env, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoWayError(f"{pulumi} does not start: {error}") from None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", asked.stdout.strip())
    if asked.returncode != 0 or found is None:
        raise NoWayError(f"{pulumi} version says no version: {(asked.stdout + asked.stderr).strip()[:200]!r}")
    return int(found[1]), int(found[2]), int(found[3])


def _fetch(script: Path, env: Mapping[str, str]) -> list[str]:
    seconds = str(CONNECT_SECONDS)
    if shutil.which("curl", path=env.get("PATH")):
        quick = ["--fail", "--silent", "--show-error", "--location", "--connect-timeout", seconds]
        return ["curl", *quick, "--output", str(script), pins.INSTALLER_URL]
    if shutil.which("wget", path=env.get("PATH")):
        return ["wget", "--quiet", "--tries=1", f"--timeout={seconds}", "-O", str(script), pins.INSTALLER_URL]
    raise NoWayError("neither curl nor wget is on PATH")


def _check_go(module: Path, env: Mapping[str, str]) -> None:
    wanted = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    advice = f"install Go {wanted[1] if wanted else ''} or newer (https://go.dev/dl) and run `make setup` again"
    if shutil.which("go", path=env.get("PATH")) is None:
        raise NoWayError(f"PATH has no go: {advice}")
    # In the module's own folder, Go compares its version with the one that go.mod requires, and downloads a newer one
    # if that is allowed.
    asked = subprocess.run(["go", "list", "-m"], cwd=module, env=env, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise NoWayError(f"this Go cannot build it ({asked.stderr.strip()}): {advice}")


def _copy_scripts(target: Path, env: Mapping[str, str]) -> None:
    argv = ["go", "mod", "download", "-json", pins.SCRIPTS_MODULE]
    # Outside any module, so the download neither reads nor changes a go.mod.
    asked = subprocess.run(argv, cwd=target, env=env, capture_output=True, text=True, check=False)
    answer: dict[str, str] = json.loads(asked.stdout) if asked.stdout.strip() else {}
    if asked.returncode != 0 or "Dir" not in answer:
        raise NoWayError(f"go cannot download {pins.SCRIPTS_MODULE}: {answer.get('Error') or asked.stderr.strip()}")
    if answer["Sum"] != pins.SCRIPTS_SUM:
        raise NoWayError(f"{pins.SCRIPTS_MODULE} has checksum {answer['Sum']}, not {pins.SCRIPTS_SUM}: not used")
    for script in pins.SCRIPTS:
        copy = target / Path(script).name
        shutil.copyfile(Path(answer["Dir"]) / script, copy)
        copy.chmod(0o755)


def _why(what: str, ended: progress.Ended, seconds: float | None = None) -> str:
    how = f"not done after {seconds:.0f} s" if ended.returncode is None else f"exit code {ended.returncode}"
    return "\n    ".join([f"{what} ({how})", *ended.tail])


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
