"""``rtcai doctor``."""

import os

import typer

from rtcai_pulumi.cli.errors import failing
from rtcai_pulumi.cli.health import Finding, Verdict, findings
from rtcai_pulumi.cli.journal_file import path_of
from rtcai_pulumi.cli.options import AsJson, JournalFile
from rtcai_pulumi.cli.shown import say, show_json

_SIGNS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.NOT_CHECKED: "–"}


def doctor(*, journal: JournalFile = None, as_json: AsJson = False) -> None:
    """Check everything that an up needs.

    Platform, credentials, the way to the service (proxy, certificates, endpoint), clock, signature, room API, Pulumi
    CLI, the plugin's Python as Pulumi.yaml names it, the journal and its place. Whatever one check meets, the others
    are made.

    Starts and changes nothing. The service is asked three times: for anything at all, to close a task that cannot
    exist, and for a room that cannot exist. Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET);
    what only a stack's config holds is not seen.

    --json prints a list of objects with check, verdict (passed, failed, not checked), detail and advice.

    Exit codes: 0 nothing failed; 1 something did; 2 wrong usage.
    """
    found: list[Finding] = []
    with failing("doctor"):
        for finding in findings(os.environ, lambda: path_of(os.environ, journal)):
            found.append(finding)
            if not as_json:
                _show(finding)
    if as_json:
        show_json([finding.as_json() for finding in found])
    raise typer.Exit(int(any(finding.verdict is Verdict.FAILED for finding in found)))


def _show(finding: Finding) -> None:
    say(f"{_SIGNS[finding.verdict]} {finding.check}: {finding.verdict}: {finding.detail}")
    if finding.advice:
        say(f"    to do: {finding.advice}")
