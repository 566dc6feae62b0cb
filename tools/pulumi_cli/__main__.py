"""Provide a Pulumi CLI: the one on PATH, else one in the project's `.tools/bin`.

The Automation API checks the one on PATH, and runs the vendor's installer. If that fails, Go builds the CLI.

A second run does nothing. A run may be interrupted at any moment and repeated: all work is done in a temporary folder,
and one rename creates `bin`.
"""

import argparse
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from rtcai_pulumi.stack import OLDEST_CLI
from tools.setup import ROOT, wait_for_others

HERE = Path(__file__).resolve().parent
NEWEST = "3.274.1"
"""The CLI that is installed if PATH has none."""
FOLDERS = {NEWEST: "engine", OLDEST_CLI: "engine-oldest"}
"""The folder whose go.mod pins a version."""
INSTALL_GO = "install Go 1.26 or newer (https://go.dev/dl)"
_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
"""What the language host starts; they are in the SDK's Go module."""
_SECONDS = 10
"""How long the vendor's site may send nothing."""
_PINS = "pins.sha256"
"""The file in an installation that says what it was installed from."""


def main() -> None:
    """Run the installer; exit with a message if it failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.pulumi_cli", description=__doc__)
    parser.add_argument("--into", type=Path, help="the folder that gets bin/ (.tools, or .tools/oldest)")
    parser.add_argument("--oldest", action="store_true", help="the oldest supported engine; not from PATH")
    options = parser.parse_args()
    engine, default = (OLDEST_CLI, ".tools/oldest") if options.oldest else (NEWEST, ".tools")
    folder: Path = (options.into or ROOT / default).resolve()
    with wait_for_others(folder / "install.lock"):
        if not _is_present(engine, folder / "bin") and not _install_from_any_source(engine, folder):
            sys.exit(
                f"setup: no Pulumi CLI: every source failed, see above. Fix one cause, for example {INSTALL_GO}, and "
                "run `make setup` again"
            )


def _is_present(engine: str, target: Path) -> bool:
    """Return whether `target` has the CLI or, unless it is the oldest one, PATH has one that can be used."""
    if (target / _PINS).exists() and (target / _PINS).read_text() == _digest_pins(engine):
        return True
    if engine == OLDEST_CLI:
        return False
    os.environ["PATH"] = os.pathsep.join(each for each in os.get_exec_path() if Path(each).resolve() != target)
    for program in ("pulumi", "pulumi-language-python"):
        if shutil.which(program) is None:
            print(f"setup: PATH has no {program}", flush=True)
            return False
    # Imported only here: it takes longer than everything that a second run does.
    from pulumi.automation import InvalidVersionError, PulumiCommand  # noqa: PLC0415  as said above
    from semver import VersionInfo  # noqa: PLC0415  as said above

    try:
        PulumiCommand(version=VersionInfo.parse(OLDEST_CLI))
    except (OSError, subprocess.CalledProcessError, InvalidVersionError) as error:
        print(f"setup: the pulumi on PATH cannot be used: {error}", flush=True)
        return False
    # The targets search `target` first, so an incomplete or outdated copy there must go.
    shutil.rmtree(target, ignore_errors=True)
    return True


def _digest_pins(engine: str) -> str:
    files = [HERE / folder / name for folder in (FOLDERS[engine], "language-host") for name in ("go.mod", "go.sum")]
    return hashlib.sha256("\0".join([engine, *(file.read_text() for file in files)]).encode()).hexdigest()


def _install_from_any_source(engine: str, folder: Path) -> bool:
    for unfinished in folder.glob("tmp-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    for source in (_run_installer, _build):
        # Next to its target and not in /tmp, because a rename works only within one file system.
        with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-", ignore_cleanup_errors=True) as name:
            scratch, target = Path(name), folder / "bin"
            try:
                source(engine, scratch)
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"setup: that failed: {error}", flush=True)
                continue
            (scratch / "bin" / _PINS).write_text(_digest_pins(engine))
            shutil.rmtree(target, ignore_errors=True)
            (scratch / "bin").rename(target)
            print(f"setup: pulumi v{engine} is now in {target}", flush=True)
            return True
    return False


def _run_installer(engine: str, into: Path) -> None:
    """Run the vendor's installer, which downloads a release.

    Raises:
        OSError, CalledProcessError: the download failed.
    """
    from pulumi.automation import PulumiCommand  # noqa: PLC0415  only a download needs it
    from semver import VersionInfo  # noqa: PLC0415  as above

    print(f"setup: downloading pulumi v{engine} ...", flush=True)
    socket.setdefaulttimeout(_SECONDS)
    try:
        PulumiCommand.install(root=str(into), version=VersionInfo.parse(engine))
    except subprocess.CalledProcessError as error:
        print(error.output.decode(errors="replace"), end="", flush=True)
        raise


def _build(engine: str, into: Path) -> None:
    """Build the engine and the language host; go.sum verifies every module, and so the scripts too.

    Raises:
        OSError, CalledProcessError: Go is missing, too old, or a download or a build failed; its output was printed.
    """
    print(f"setup: building pulumi v{engine} with Go, which takes about 5 minutes the first time ...", flush=True)
    target, flags = into / "bin", "-s -w"
    sdk = "github.com/pulumi/pulumi/sdk/v3"
    _run_go("language-host", "build", "-ldflags", flags, "-o", f"{target}/", f"{sdk}/python/cmd/pulumi-language-python")
    flags = f"{flags} -X {sdk}/go/common/version.Version=v{engine}"
    _run_go(
        FOLDERS[engine], "build", "-ldflags", flags, "-o", f"{target}/", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
    )
    folder = Path(_run_go(FOLDERS[engine], "list", "-m", "-f", "{{.Dir}}", sdk).strip())
    for script in _SCRIPTS:
        shutil.copyfile(folder / script, target / Path(script).name)
        (target / Path(script).name).chmod(0o755)


def _run_go(folder: str, *arguments: str) -> str:
    # In a module's folder, Go compares its version with the one that go.mod requires, and downloads a newer one if that
    # is allowed.
    env = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
    command = ["go", *arguments]
    return subprocess.run(command, cwd=HERE / folder, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    # `make` sends SIGTERM when it is ended: as an exit, it ends the started commands and removes the temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again", file=sys.stderr)
        sys.exit(130)
