"""Checks everything that `pulumi up` needs. Each check passes, fails with advice, or is not run."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml  # Pulumi itself depends on it, and on semver
from semver import Version

from rtcai_pulumi.maintenance.finding import (
    PROCESS_SECONDS,
    Finding,
    describe_error,
    report_failure,
    report_pass,
    report_skip,
)
from rtcai_pulumi.maintenance.journal_checks import check_journal, check_journal_location
from rtcai_pulumi.maintenance.service_checks import ServiceChecks
from rtcai_pulumi.service.errors import RtcAiError
from rtcai_pulumi.stack import OLDEST_CLI
from rtcai_pulumi.stack.plugin_python import plugin_python

if TYPE_CHECKING:
    from rtcai_pulumi.journal.location import Location

_PLUGIN_PROGRAM: Final = """
import dill, grpc, pulumi.dynamic, rtcai_pulumi.plugin, rtcai_pulumi.provider, sys
from importlib.metadata import version
print(f"rtcai-pulumi {version('rtcai-pulumi')}, pulumi {version('pulumi')}, Python {sys.version.split()[0]}")
"""
_REPORT_BUG: Final = "report this as a bug, with the line above; the other checks were run"


def run_checks(env: Mapping[str, str], find_journal: Callable[[], Location]) -> Iterator[Finding]:
    """Run all checks, even if some fail. An earlier check may explain the failure of a later one.

    Args:
        env: the environment.
        find_journal: returns where the journal is; raises JournalError if this is not known.
    """
    yield from _run_check("platform", _check_platform)
    service = ServiceChecks(env)
    for name, check in (
        ("credentials", service.credentials),
        ("proxy", service.proxy),
        ("certificates", service.certificates),
        ("endpoint", service.endpoint),
        ("clock", service.clock),
        ("signature", service.signature),
        ("room API", service.room_api),
    ):
        yield from _run_check(name, check)
    service.close()
    yield from _run_check("Pulumi CLI", lambda: _check_cli(env))
    yield from _run_check("plugin", lambda: _check_plugin(env))
    yield from _run_check("journal location", lambda: check_journal_location(find_journal()))
    yield from _run_check("journal", lambda: check_journal(find_journal()))


def _run_check(name: str, check: Callable[[], Finding]) -> Iterator[Finding]:
    """Run one check. An unexpected error becomes a finding, too."""
    try:
        yield check()
    except RtcAiError as error:
        yield report_failure(name, describe_error(error), error.advice or "see docs/operations.md")
    except Exception as error:
        yield report_failure(name, f"the check itself failed: {type(error).__name__}: {error}", _REPORT_BUG)


def _check_platform() -> Finding:
    check, versions = "platform", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if platform.system() in {"Linux", "Darwin"}:
        return report_pass(check, versions)
    return report_skip(
        check, f"{versions}: this platform has not been tested", "use Linux or macOS; on Windows, use WSL"
    )


def _check_cli(env: Mapping[str, str]) -> Finding:
    check = "Pulumi CLI"
    pulumi = shutil.which("pulumi", path=env.get("PATH"))
    if pulumi is None:
        return report_failure(check, "`pulumi` is not on PATH", "install the Pulumi CLI")
    return _run_command(
        check, [pulumi, "version"], env, lambda output: _judge_cli(check, output, pulumi), "reinstall the Pulumi CLI"
    )


def _judge_cli(check: str, output: str, pulumi: str) -> Finding:
    """Compare the version with the oldest one that is supported."""
    detail = f"{output} ({pulumi})"
    try:
        is_too_old = Version.parse(output.removeprefix("v")) < OLDEST_CLI
    except ValueError:
        return report_pass(check, detail)  # a build of the user's own may have any name
    if is_too_old:
        return report_failure(
            check, f"{detail} is older than {OLDEST_CLI}", f"update the Pulumi CLI to {OLDEST_CLI} or newer"
        )
    return report_pass(check, detail)


def _check_plugin(env: Mapping[str, str]) -> Finding:
    """Import what the engine's plugin imports, with the Python that the project configures."""
    check = "plugin"
    try:
        python = plugin_python(env, Path.cwd())
    except (OSError, ValueError, yaml.YAMLError) as error:
        return report_failure(
            check, f"Pulumi.yaml: {error}", "set an absolute path for the virtualenv, or correct the file"
        )
    if python.executable is None:
        return report_failure(check, python.problem, python.advice)
    advice = f'{python.executable} -m pip install "rtcai-pulumi", or the command of your tool (uv add, poetry add)'
    command = [python.executable, "-c", _PLUGIN_PROGRAM]
    return _run_command(
        check,
        command,
        env,
        lambda output: report_pass(check, f"{output} ({python.executable}; {python.reason})"),
        advice,
        folder=python.folder,
        context=f" ({python.reason})",
    )


def _run_command(
    check: str,
    command: list[str],
    env: Mapping[str, str],
    judge: Callable[[str], Finding],
    advice: str,
    *,
    folder: Path | None = None,
    context: str = "",
) -> Finding:
    """Run a command and judge its output. If it fails, the detail is the last line of its errors, and `context`."""
    try:
        process = subprocess.run(  # noqa: S603  this Python, or the CLI on PATH
            command,
            env=dict(env),
            cwd=folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PROCESS_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return report_failure(check, f"{error}{context}", advice)
    if process.returncode:
        lines = process.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit code {process.returncode}"
        return report_failure(check, f"{reason}{context}", advice)
    return judge(process.stdout.strip())
