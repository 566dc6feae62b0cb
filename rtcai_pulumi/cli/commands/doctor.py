"""``rtcai doctor``."""

import os
from typing import Final

import typer

from rtcai_pulumi.cli.options import AsJson, JournalFile
from rtcai_pulumi.cli.output import exit_on_error, print_json, print_line
from rtcai_pulumi.cli.session import get_journal_location
from rtcai_pulumi.maintenance.finding import Finding, Verdict
from rtcai_pulumi.maintenance.health import run_checks

_SIGNS: Final = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.NOT_CHECKED: "–"}


def doctor(*, journal: JournalFile = None, as_json: AsJson = False) -> None:
    """Check everything that `pulumi up` needs.

    The checks cover the platform, credentials, connection to the service (proxy, certificates, endpoint), clock,
    signature, room API, Pulumi CLI, the Python of the plugin as Pulumi.yaml configures it, and the journal with its
    folder. All checks are run, even if some fail.

    The command starts and changes nothing. It sends three requests to the service: one to test the connection, one to
    close a task that cannot exist, and one for a room that cannot exist. Credentials come from the environment
    (RTCAI_APP_KEY, RTCAI_APP_SECRET); the config of a stack is not read.

    --json prints a list of objects with check, verdict (passed, failed, not checked), detail and advice.

    Exit codes:

    - 0: no check failed
    - 1: a check failed
    - 2: wrong usage
    """
    findings: list[Finding] = []
    with exit_on_error("doctor"):
        for finding in run_checks(os.environ, lambda: get_journal_location(journal)):
            findings.append(finding)
            if not as_json:
                _show(finding)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    raise typer.Exit(int(any(finding.verdict is Verdict.FAILED for finding in findings)))


def _show(finding: Finding) -> None:
    print_line(f"{_SIGNS[finding.verdict]} {finding.check}: {finding.verdict}: {finding.detail}")
    if finding.advice:
        print_line(f"    to do: {finding.advice}")
