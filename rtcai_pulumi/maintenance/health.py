"""Checks everything that `pulumi up` needs. Each check passes, fails with advice, or is not run."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import yaml  # Pulumi itself depends on it

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.stores import find_location_warning
from rtcai_pulumi.lifecycle.end_time import describe_end, may_stop
from rtcai_pulumi.maintenance.records import is_lost, open_journal, read_records
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
    from rtcai_pulumi.journal.location import DatabaseUrl, Location
    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_TIMEOUT: Final = 60
"""Seconds that a command may take."""
_PLUGIN_PROGRAM: Final = """
import dill, grpc, pulumi.dynamic, rtcai_pulumi.plugin, rtcai_pulumi.provider, sys
from importlib.metadata import version
print(f"rtcai-pulumi {version('rtcai-pulumi')}, pulumi {version('pulumi')}, Python {sys.version.split()[0]}")
"""
_LOCK_PROGRAM: Final = """
import sys
from pathlib import Path
from rtcai_pulumi.journal.sqlite.locks import Locks
print(Locks(Path(sys.argv[1])).is_held(int(sys.argv[2])))
"""
_REPORT_BUG: Final = "report this as a bug, with the line above; the other checks were run"
_RESTORE: Final = (
    "save the output of `pulumi stack export` and check the rooms, then move the file away; see docs/operations.md"
)
_LOST_CREATES: Final = (
    "`rtcai ls` lists the lost creates; the next `pulumi up` repeats these requests, see docs/operations.md"
)
_STOP_OVER: Final = (
    "`rtcai sweep --over --all` stops them; run it on a schedule, see docs/operations.md; `rtcai ls --over` lists them"
)
_OTHER_PLACE: Final = "set RTCAI_JOURNAL to a file on a local disk that you may write to"
_NO_CREDENTIALS: Final = "the credentials are missing or not valid"
_NO_ENDPOINT: Final = "the endpoint is not valid; see the check of the credentials"


class Verdict(StrEnum):
    """The result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check, with details."""

    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the finding for ``--json``."""
        return {"check": self.check, "verdict": self.verdict, "detail": self.detail, "advice": self.advice}


def report_pass(check: str, detail: str, advice: str | None = None) -> Finding:
    """Return the finding of a check that passed; the advice is about anything else that was noticed."""
    return Finding(check, Verdict.PASSED, detail, advice)


def report_failure(check: str, detail: str, advice: str) -> Finding:
    """Return the finding of a check that failed."""
    return Finding(check, Verdict.FAILED, detail, advice)


def report_skip(check: str, reason: str, advice: str | None = None) -> Finding:
    """Return the finding of a check that could not be run."""
    return Finding(check, Verdict.NOT_CHECKED, reason, advice)


def run_checks(env: Mapping[str, str], find_journal: Callable[[], Location]) -> Iterator[Finding]:
    """Run all checks, even if some fail. An earlier check may explain the failure of a later one.

    Args:
        env: the environment.
        find_journal: returns where the journal is; raises JournalError if this is not known.
    """
    yield from _run_check("platform", _check_platform)
    service = _ServiceChecks(env)
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
    yield from _run_check("journal location", lambda: _check_journal_location(find_journal()))
    yield from _run_check("journal", lambda: _check_journal(find_journal()))


def _run_check(name: str, check: Callable[[], Finding]) -> Iterator[Finding]:
    """Run one check. An unexpected error becomes a finding, too."""
    try:
        yield check()
    except RtcAiError as error:
        yield report_failure(name, _describe_error(error), error.advice or "see docs/operations.md")
    except Exception as error:
        yield report_failure(name, f"the check itself failed: {type(error).__name__}: {error}", _REPORT_BUG)


def _check_platform() -> Finding:
    check, versions = "platform", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if platform.system() in {"Linux", "Darwin"}:
        return report_pass(check, versions)
    return report_skip(
        check, f"{versions}: this platform has not been tested", "use Linux or macOS; on Windows, use WSL"
    )


class _ServiceChecks:
    """The checks of the service, and what they need: the settings and, if these are valid, a client."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._settings: Settings | None = None
        self._client: Client | None = None
        self._date: str | None = None
        self._is_reachable = False

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
        descriptions = {f"{url}: {route.description}" for url, route in routes.items()}
        warnings = {warning for route in routes.values() for warning in route.invalid_entries}
        detail = "; ".join(sorted(descriptions))
        if warnings:
            return report_failure("proxy", f"{detail}; {'; '.join(sorted(warnings))}", "correct or remove the entry")
        return report_pass("proxy", detail)

    def certificates(self) -> Finding:
        if not self._endpoints():
            return report_skip("certificates", _NO_ENDPOINT)
        proxies = (route_to(url, self._env).proxy or "" for url in self._endpoints())
        if not any(url.startswith("https://") for url in (*self._endpoints(), *proxies)):
            return report_pass("certificates", "not needed: no endpoint uses https")
        return report_pass("certificates", load_trusted(self._env)[1])

    def endpoint(self) -> Finding:
        """Send any request: every HTTP response shows that the endpoint can be reached, and what its clock says."""
        if self._settings is None:
            return report_skip("endpoint", _NO_CREDENTIALS)
        from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import

        self._client = Client(self._settings, env=self._env)
        began = time.monotonic()
        self._date = self._client.probe().date
        self._is_reachable = True
        milliseconds = (time.monotonic() - began) * 1000
        return report_pass("endpoint", f"{self._settings.endpoint} responded in {milliseconds:.0f} ms")

    def clock(self) -> Finding:
        if not self._is_reachable:
            return report_skip("clock", "the endpoint cannot be reached" if self._settings else _NO_CREDENTIALS)
        server_time = parse_http_date(self._date)
        if server_time is None:
            return report_skip("clock", "the response has no Date header")
        skew = time.time() - server_time
        if abs(skew) > CHECK_SUM_SECONDS:
            direction = "ahead of" if skew > 0 else "behind"
            detail = f"this machine's clock is {abs(skew) / 60:.0f} minutes {direction} the service's"
            return report_failure("clock", detail, "set the clock: a signature is valid for five minutes")
        return report_pass("clock", f"differs by {_count(round(abs(skew)), 'second')} from the service's clock")

    def signature(self) -> Finding:
        return _check_signature(self._client) if self._client else self._skip("signature")

    def room_api(self) -> Finding:
        return _check_room_api(self._client) if self._client else self._skip("room API")

    def _skip(self, check: str) -> Finding:
        return report_skip(check, _NO_CREDENTIALS if self._settings is None else "the endpoint cannot be reached")

    def _endpoints(self) -> tuple[str, ...]:
        """Return the configured endpoints, even if the credentials are wrong; empty if an endpoint is not usable."""
        endpoints = endpoints_of(self._env, lambda _: None)
        return tuple(dict.fromkeys(endpoints)) if endpoints else ()


def _check_signature(client: Client) -> Finding:
    """Try to close a task that cannot exist: if the service refuses for another reason, it has accepted the
    signature.
    """
    check = "signature"
    if client.settings.app_secret is None:
        return report_skip(check, "a token is valid for its own room only", "set RTCAI_APP_SECRET to run this check")
    try:
        client.close_task(1, f"rtcai-doctor-{uuid4().hex}", cname="", trace_id=uuid4().hex)
    except (NotAuthenticated, WrongEndpoint) as error:
        return report_failure(check, _describe_error(error), error.advice)
    except (ConnectionFailed, OutcomeUnknown, RateLimited) as error:
        return report_skip(check, _describe_error(error), error.advice or None)
    except Refused as error:
        return report_pass(check, f"accepted (a close of a task that does not exist: {_describe_code(error)})")
    return report_pass(check, "accepted")


def _check_room_api(client: Client) -> Finding:
    """Query a room that cannot exist."""
    check = "room API"
    if client.settings.app_secret is None:
        return report_skip(
            check, "the room API needs an AppSecret", "without it a refresh cannot detect that a room has ended"
        )
    try:
        client.query_room(f"rtcai-doctor-{uuid4().hex}")
    except RoomNotFound:
        return report_pass(check, f"{client.settings.room_endpoint} responds")
    except RtcAiError as error:
        advice = error.advice or "check RTCAI_ROOM_ENDPOINT; without it a refresh cannot detect that a room has ended"
        return report_failure(check, _describe_error(error), advice)
    return report_pass(check, f"{client.settings.room_endpoint} responds")


def _check_cli(env: Mapping[str, str]) -> Finding:
    check = "Pulumi CLI"
    pulumi = shutil.which("pulumi", path=env.get("PATH"))
    if pulumi is None:
        return report_failure(check, "`pulumi` is not on PATH", "install the Pulumi CLI")
    return _run_command(
        check, [pulumi, "version"], env, lambda output: f"{output} ({pulumi})", "reinstall the Pulumi CLI"
    )


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
        lambda output: f"{output} ({python.executable}; {python.reason})",
        advice,
        folder=python.folder,
        context=f" ({python.reason})",
    )


def _run_command(
    check: str,
    command: list[str],
    env: Mapping[str, str],
    describe: Callable[[str], str],
    advice: str,
    *,
    folder: Path | None = None,
    context: str = "",
) -> Finding:
    """Run a command. If it fails, the detail is the last line of its errors, and `context`."""
    try:
        process = subprocess.run(  # noqa: S603  this Python, or the CLI on PATH
            command,
            env=dict(env),
            cwd=folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return report_failure(check, f"{error}{context}", advice)
    if process.returncode:
        lines = process.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit code {process.returncode}"
        return report_failure(check, f"{reason}{context}", advice)
    return report_pass(check, describe(process.stdout.strip()))


def _check_journal_location(location: Location) -> Finding:
    return _check_journal_folder(location) if isinstance(location, Path) else _check_database(location)


def _check_database(url: DatabaseUrl) -> Finding:
    from rtcai_pulumi.journal.postgres.probe import CLOCK_SECONDS, probe  # noqa: PLC0415  the driver is an extra

    check, found = "journal location", probe(url)
    details = (
        f"{url}: PostgreSQL {found.version}",
        "encrypted" if found.is_encrypted else "not encrypted",
        "locks and rights work",
        f"a query takes {found.milliseconds:.1f} ms",
        f"its clock differs by {_count(round(abs(found.skew)), 'second')}",
    )
    detail = ", ".join(details)
    if abs(found.skew) > CLOCK_SECONDS:
        return report_failure(check, detail, "set the clock of this machine, or of the database server")
    return report_pass(check, detail)


def _check_journal_folder(path: Path) -> Finding:
    """Check in a folder next to the journal that the file system supports WAL, fsync, and locks between processes."""
    check = "journal location"
    folder = next(above for above in path.absolute().parents if above.is_dir())
    try:
        with (
            TemporaryDirectory(prefix=".rtcai-doctor-", dir=folder) as test_folder,
            Journal(test_file := Path(test_folder) / "journal.db") as journal,
        ):
            locks = str(test_file.with_name(f"{test_file.name}-processes"))
            command = [sys.executable, "-c", _LOCK_PROGRAM, locks, str(journal.process)]
            process = subprocess.run(  # noqa: S603  this Python
                command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
    except OSError as error:
        return report_failure(check, f"{folder} is not writable: {error.strerror}", _OTHER_PLACE)
    if process.stdout.strip() != "True":
        lines = process.stderr.strip().splitlines()
        detail = f"{folder}: a process does not see the locks of another process"
        return report_failure(check, f"{detail}: {lines[-1]}" if lines else detail, _OTHER_PLACE)
    warning = find_location_warning(path if path.parent.is_dir() else folder / path.name)
    return report_pass(check, f"{folder}: writable, other processes see its locks, WAL works", warning)


def _check_journal(location: Location) -> Finding:
    check = "journal"
    try:
        with open_journal(location) as journal:
            if journal is None:
                return report_pass(check, f"{location} does not exist yet; the first `pulumi up` creates it")
            if problems := journal.find_damage():
                return report_failure(check, f"{location} is damaged: {problems[0]}", _RESTORE)
            records = [record for record in read_records(journal) if record.is_unfinished]
            lost = sum(is_lost(record, journal) for record in records)
    except RtcAiError as error:
        return report_failure(check, error.summary, error.advice or _RESTORE)
    agents = sum(record.task is not None for record in records)
    if isinstance(location, Path) and (mode := location.stat().st_mode & 0o777) & 0o077:
        return report_failure(check, f"other users can read {location} (mode {mode:o})", f"chmod 600 {location}")
    over = _describe_over(records, datetime.now(UTC))
    detail = f"{location}: {_count(agents, 'agent')}, {_count(lost, 'lost create')}{over}"
    advice = "; ".join(text for text, applies in ((_STOP_OVER, over), (_LOST_CREATES, lost)) if applies)
    return report_pass(check, detail, advice or None)


def _describe_over(records: Iterable[Record], now: datetime) -> str:
    """Return how many agents are over and still run, and which of them for the longest time; empty if there are none.

    Nothing stops them until `rtcai sweep --over` is run. Lost creates are counted separately.
    """
    agents = [record for record in records if record.task is not None and may_stop(record, now)]
    over = sorted(agents, key=lambda record: record.ends_at)
    if not over:
        return ""
    number = f"{_count(len(over), 'agent')} {'is' if len(over) == 1 else 'are'} over and not stopped"
    return f"; {number} (room {over[0].cname} is {describe_end(over[0].ends_at, now)})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _describe_code(error: RtcAiError) -> str:
    facts = error.facts
    return f"code {facts.code}" if facts.code is not None else f"HTTP status {facts.status}"


def _describe_error(error: RtcAiError) -> str:
    facts = error.facts
    details = [f"code {facts.code}" if facts.code is not None else None, facts.text, facts.reason]
    joined = ", ".join(detail for detail in details if detail)
    return f"{error.summary} ({joined})" if joined else error.summary
