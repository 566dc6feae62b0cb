"""``rtcai doctor``: each of its checks passes, fails with advice, or is not run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import typer
import yaml  # Pulumi itself depends on it

from rtcai_pulumi.cli.options import AsJson, JournalFile
from rtcai_pulumi.cli.output import exit_on_error, for_the_environment, say, show_json
from rtcai_pulumi.cli.session import get_journal_path
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.journal.schema import find_location_warning
from rtcai_pulumi.maintenance.records import open_journal, read_records
from rtcai_pulumi.service.answers import parse_http_date
from rtcai_pulumi.service.errors import (
    ConnectionFailed,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    Refused,
    RoomNotFound,
    RtcAiError,
    WrongEndpoint,
)
from rtcai_pulumi.service.network import load_trusted, route_to
from rtcai_pulumi.service.settings import endpoints_of, resolve
from rtcai_pulumi.service.signing import CHECK_SUM_SECONDS
from rtcai_pulumi.stack.plugin_python import plugin_python

if TYPE_CHECKING:
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_SECONDS: Final = 60
_PLUGIN: Final = """
import dill, grpc, pulumi.dynamic, rtcai_pulumi.provider, sys
from importlib.metadata import version
print(f"rtcai-pulumi {version('rtcai-pulumi')}, pulumi {version('pulumi')}, Python {sys.version.split()[0]}")
"""
_SEES: Final = """
import sys
from pathlib import Path
from rtcai_pulumi.journal.locks import Locks
print(Locks(Path(sys.argv[1])).is_held(int(sys.argv[2])))
"""
_REPORT: Final = "report this, with the line above; the other checks were made"
_SAVE: Final = (
    "save the output of `pulumi stack export` and check the rooms, then move the file away; see docs/operations.md"
)
_LOST: Final = "`rtcai ls` shows the lost creates; the next `pulumi up` asks for each again, see docs/operations.md"
_NAME_ANOTHER: Final = "name a file on a local disk that you may write in RTCAI_JOURNAL"
_NO_CREDENTIALS: Final = "there are no usable credentials"
_NO_ENDPOINT: Final = "the endpoint cannot be used; see the line of the credentials"


class Verdict(StrEnum):
    """The result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the output."""

    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the line for ``--json``."""
        return {"check": self.check, "verdict": self.verdict, "detail": self.detail, "advice": self.advice}


def report_pass(check: str, detail: str, advice: str | None = None) -> Finding:
    """Return a finding without errors; the advice is about anything else that was noticed."""
    return Finding(check, Verdict.PASSED, detail, advice)


def report_failure(check: str, detail: str, advice: str) -> Finding:
    """Return a finding with an error."""
    return Finding(check, Verdict.FAILED, for_the_environment(detail), for_the_environment(advice))


def report_skip(check: str, why: str, advice: str | None = None) -> Finding:
    """Return a finding for a check that could not be run."""
    return Finding(check, Verdict.NOT_CHECKED, why, for_the_environment(advice) if advice else None)


def findings(env: Mapping[str, str], journal: Callable[[], Path]) -> Iterator[Finding]:
    """Run all checks, ordered so that an earlier one explains a later one. All of them are run, even if some fail.

    Args:
        env: the environment.
        journal: returns the path of the journal; raises JournalError if there is none.
    """
    yield from _run_check("platform", _platform)
    service = _Service(env)
    for check, made in (
        ("credentials", service.credentials),
        ("proxy", service.proxy),
        ("certificates", service.certificates),
        ("endpoint", service.endpoint),
        ("clock", service.clock),
        ("signature", service.signature),
        ("room API", service.room_api),
    ):
        yield from _run_check(check, made)
    service.close()
    yield from _run_check("Pulumi CLI", lambda: _cli(env))
    yield from _run_check("plugin", lambda: _plugin(env))
    yield from _run_check("place of the journal", lambda: _check_folder(journal()))
    yield from _run_check("journal", lambda: _journal(journal()))


def _run_check(check: str, make: Callable[[], Finding]) -> Iterator[Finding]:
    """Run one check. An unexpected error becomes a finding, too."""
    try:
        yield make()
    except RtcAiError as error:
        yield report_failure(check, _join_lines(error), error.advice or "see docs/operations.md")
    except Exception as error:
        yield report_failure(check, f"the check itself failed: {type(error).__name__}: {error}", _REPORT)


def _platform() -> Finding:
    check, versions = "platform", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if platform.system() in {"Linux", "Darwin"}:
        return report_pass(check, versions)
    return report_skip(check, f"{versions}: nobody has tried it yet", "use Linux or macOS; on Windows: WSL")


class _Service:
    """The checks of the service, and what they need: the settings and, if these are valid, a client."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._settings: Settings | None = None
        self._client: Client | None = None
        self._date: str | None = None
        self._reached = False

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()

    def credentials(self) -> Finding:
        settings = resolve(self._env, lambda _: None)
        self._settings = settings
        how = "AppSecret" if settings.app_secret else f"token of uid {settings.uid}"
        return report_pass("credentials", f"AppKey {settings.app_key}, {how}")

    def proxy(self) -> Finding:
        """Report which proxy requests go through; this needs no credentials."""
        if not self._endpoints():
            return report_skip("proxy", _NO_ENDPOINT)
        routes = {url: route_to(url, self._env) for url in self._endpoints()}
        told = {f"{url}: {route.description}" for url, route in routes.items()}
        doubts = {doubt for route in routes.values() for doubt in route.doubts}
        detail = "; ".join(sorted(told))
        if doubts:
            return report_failure(
                "proxy", f"{detail}; {'; '.join(sorted(doubts))}", "correct the entry, or take it away"
            )
        return report_pass("proxy", detail)

    def certificates(self) -> Finding:
        if not self._endpoints():
            return report_skip("certificates", _NO_ENDPOINT)
        proxies = (route_to(url, self._env).proxy or "" for url in self._endpoints())
        if not any(url.startswith("https://") for url in (*self._endpoints(), *proxies)):
            return report_pass("certificates", "none are needed: no endpoint is https")
        return report_pass("certificates", load_trusted(self._env)[1])

    def endpoint(self) -> Finding:
        """Send any request: every HTTP answer shows that the endpoint can be reached, and the time there."""
        if self._settings is None:
            return report_skip("endpoint", _NO_CREDENTIALS)
        from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import

        self._client = Client(self._settings, env=self._env)
        began = time.monotonic()
        self._date = self._client.probe().date
        self._reached = True
        taken = (time.monotonic() - began) * 1000
        return report_pass("endpoint", f"{self._settings.endpoint} answers after {taken:.0f} ms")

    def clock(self) -> Finding:
        if not self._reached:
            return report_skip("clock", "the endpoint was not reached" if self._settings else _NO_CREDENTIALS)
        there = parse_http_date(self._date)
        if there is None:
            return report_skip("clock", "the answer had no header Date")
        skew = time.time() - there
        if abs(skew) > CHECK_SUM_SECONDS:
            way = "ahead of" if skew > 0 else "behind"
            detail = f"this machine's clock is {abs(skew) / 60:.0f} minutes {way} the service's"
            return report_failure("clock", detail, "set the clock: a signature is valid for five minutes")
        return report_pass("clock", f"{abs(skew):.0f} seconds from the service's")

    def signature(self) -> Finding:
        return _signature(self._client) if self._client else self._skip("signature")

    def room_api(self) -> Finding:
        return _room_api(self._client) if self._client else self._skip("room API")

    def _skip(self, check: str) -> Finding:
        return report_skip(check, _NO_CREDENTIALS if self._settings is None else "there is no way to the endpoint")

    def _endpoints(self) -> tuple[str, ...]:
        """Return the configured endpoints, even if the credentials are wrong; empty if an endpoint is not usable."""
        found = endpoints_of(self._env, lambda _: None)
        return tuple(dict.fromkeys(found)) if found else ()


def _signature(client: Client) -> Finding:
    """Try to close a task that cannot exist: if the service refuses for another reason, it has accepted the
    signature.
    """
    check = "signature"
    if client.settings.app_secret is None:
        return report_skip(check, "a token is good for its own room only", "set RTCAI_APP_SECRET to have it checked")
    try:
        client.close_task(1, f"rtcai-doctor-{uuid4().hex}", cname="", trace_id=uuid4().hex)
    except (NotAuthenticated, WrongEndpoint) as error:
        return report_failure(check, _join_lines(error), error.advice)
    except (ConnectionFailed, OutcomeUnknown, RateLimited) as error:
        return report_skip(check, _join_lines(error), error.advice or None)
    except Refused as error:
        return report_pass(check, f"accepted (a close of a task that does not exist: {_describe_code(error)})")
    return report_pass(check, "accepted")


def _room_api(client: Client) -> Finding:
    """Query a room that cannot exist."""
    check = "room API"
    if client.settings.app_secret is None:
        return report_skip(check, "it takes an AppSecret", "without it a refresh cannot detect that a room has ended")
    try:
        client.query_room(f"rtcai-doctor-{uuid4().hex}")
    except RoomNotFound:
        return report_pass(check, f"{client.settings.room_endpoint} answers")
    except RtcAiError as error:
        advice = error.advice or "check RTCAI_ROOM_ENDPOINT; without it a refresh cannot detect that a room has ended"
        return report_failure(check, _join_lines(error), advice)
    return report_pass(check, f"{client.settings.room_endpoint} answers")


def _cli(env: Mapping[str, str]) -> Finding:
    check = "Pulumi CLI"
    found = shutil.which("pulumi", path=env.get("PATH"))
    if found is None:
        return report_failure(check, "there is no pulumi on PATH", "install the Pulumi CLI")
    return _ask(check, [found, "version"], env, lambda said: f"{said} ({found})", "reinstall the Pulumi CLI")


def _plugin(env: Mapping[str, str]) -> Finding:
    """Import what the engine's plugin imports, with the Python that the project configures."""
    check = "plugin"
    try:
        python = plugin_python(env, Path.cwd())
    except (OSError, ValueError, yaml.YAMLError) as error:
        return report_failure(check, f"Pulumi.yaml: {error}", "state an absolute virtualenv, or correct the file")
    if python.executable is None:
        return report_failure(
            check, f"no Python was found ({python.because})", "make the environment that Pulumi.yaml names"
        )
    advice = f'{python.executable} -m pip install "rtcai-pulumi", or what your tool has for it (uv add, poetry add)'
    command = [python.executable, "-c", _PLUGIN]
    where = f"({python.executable}; {python.because})"
    return _ask(check, command, env, lambda said: f"{said} {where}", f"{advice} {where}", folder=python.folder)


def _ask(
    check: str,
    command: list[str],
    env: Mapping[str, str],
    detail: Callable[[str], str],
    advice: str,
    *,
    folder: Path | None = None,
) -> Finding:
    try:
        done = subprocess.run(  # noqa: S603  this Python, or the CLI on PATH
            command,
            env=dict(env),
            cwd=folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return report_failure(check, str(error), advice)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return report_failure(check, lines[-1] if lines else f"exit code {done.returncode}", advice)
    return report_pass(check, detail(done.stdout.strip()))


def _check_folder(path: Path) -> Finding:
    """Check in a folder next to the journal that the file system supports WAL, fsync, and locks between processes."""
    check = "place of the journal"
    folder = next(above for above in path.absolute().parents if above.is_dir())
    try:
        with (
            TemporaryDirectory(prefix=".rtcai-doctor-", dir=folder) as tried,
            Journal(Path(tried) / "journal.db") as journal,
        ):
            file = str(journal.path.with_name(f"{journal.path.name}-processes"))
            command = [sys.executable, "-c", _SEES, file, str(journal.process)]
            done = subprocess.run(  # noqa: S603  this Python
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
    except OSError as error:
        return report_failure(check, f"nothing can be written in {folder}: {error.strerror}", _NAME_ANOTHER)
    if done.stdout.strip() != "True":
        said = done.stderr.strip().splitlines()
        seen = said[-1] if said else "it is not seen"
        return report_failure(check, f"{folder}: a lock of one process is not seen by another: {seen}", _NAME_ANOTHER)
    doubt = find_location_warning(path if path.parent.is_dir() else folder / path.name)
    return report_pass(check, f"{folder}: can be written, locks are seen by other processes, WAL works", doubt)


def _journal(path: Path) -> Finding:
    check = "journal"
    try:
        with open_journal(path) as journal:
            if journal is None:
                return report_pass(check, f"{path} is not there yet; the first up makes it")
            if problems := journal.find_damage():
                return report_failure(check, f"{path} is damaged: {problems[0]}", _SAVE)
            records = [record for record in read_records(journal) if record.is_unfinished]
            lost = sum(
                record.state is RecordState.ASKED and not journal.is_running(record.process) for record in records
            )
    except RtcAiError as error:
        return report_failure(check, error.summary, error.advice or _SAVE)
    agents = sum(record.task is not None for record in records)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return report_failure(check, f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    detail = f"{path}: {agents} agents, {lost} lost creates"
    return report_pass(check, detail, _LOST if lost else None)


def _describe_code(error: RtcAiError) -> str:
    facts = error.facts
    return f"code {facts.code}" if facts.code is not None else f"HTTP status {facts.status}"


def _join_lines(error: RtcAiError) -> str:
    facts = error.facts
    known = [f"code {facts.code}" if facts.code is not None else None, facts.text, facts.reason]
    said = ", ".join(each for each in known if each)
    return f"{error.summary} ({said})" if said else error.summary


_SIGNS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.NOT_CHECKED: "–"}


def doctor(*, journal: JournalFile = None, as_json: AsJson = False) -> None:
    """Check everything that `pulumi up` needs.

    The checks cover the platform, credentials, connection to the service (proxy, certificates, endpoint), clock,
    signature, room API, Pulumi CLI, the plugin's Python as Pulumi.yaml configures it, the journal and its location. All
    of them are run, even if some fail.

    The command starts and changes nothing. It sends three requests to the service: one to test the connection, one to
    close a task that cannot exist, and one for a room that cannot exist. Credentials come from the environment
    (RTCAI_APP_KEY, RTCAI_APP_SECRET); the stack's config is not read.

    --json prints a list of objects with check, verdict (passed, failed, not checked), detail and advice.

    Exit codes: 0 no check failed; 1 a check failed; 2 wrong usage.
    """
    found: list[Finding] = []
    with exit_on_error("doctor"):
        for finding in findings(os.environ, lambda: get_journal_path(journal)):
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
