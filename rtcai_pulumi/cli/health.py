"""The checks of ``rtcai doctor``: each one passes, fails with what to do, or was not made."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from rtcai_pulumi.cli.errors import for_the_environment
from rtcai_pulumi.cli.journal_file import existing, records_in
from rtcai_pulumi.lifecycle.record import State
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
from rtcai_pulumi.service.settings import resolve
from rtcai_pulumi.service.signing import CHECK_SUM_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from rtcai_pulumi.service.client import Client
    from rtcai_pulumi.service.settings import Settings

_SECONDS: Final = 60
_PLUGIN: Final = "import dill, grpc, pulumi.dynamic, rtcai_pulumi.provider"
_SAVE: Final = "note what `pulumi stack export` and the rooms tell, then move the file away; see docs/operations.md"
_LOST: Final = "`rtcai ls` shows the lost creates; the next `pulumi up` asks for each again, see docs/operations.md"
_NO_CREDENTIALS: Final = "there are no usable credentials"


class Verdict(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """The line for ``--json``."""
        return {"check": self.check, "verdict": self.verdict, "detail": self.detail, "advice": self.advice}


def passed(check: str, detail: str, advice: str | None = None) -> Finding:
    """A check that found everything right; the advice is about what else was seen."""
    return Finding(check, Verdict.PASSED, detail, advice)


def failed(check: str, detail: str, advice: str) -> Finding:
    """A check that found something wrong."""
    return Finding(check, Verdict.FAILED, for_the_environment(detail), for_the_environment(advice))


def not_checked(check: str, why: str, advice: str | None = None) -> Finding:
    """A check that could not be made."""
    return Finding(check, Verdict.NOT_CHECKED, why, for_the_environment(advice) if advice else None)


def findings(env: Mapping[str, str], journal: Path) -> Iterator[Finding]:
    """All checks, in an order in which an earlier one explains a later one."""
    yield from _of_the_service(env)
    yield _cli(env)
    yield _plugin(env)
    yield _journal(journal)


def _of_the_service(env: Mapping[str, str]) -> Iterator[Finding]:
    try:
        settings = resolve(env, lambda _: None)
    except RtcAiError as error:
        yield failed("credentials", error.summary, error.advice)
        for check in ("endpoint", "clock", "signature", "room API"):
            yield not_checked(check, _NO_CREDENTIALS)
        return
    how = "AppSecret" if settings.app_secret else f"token of uid {settings.uid}"
    yield passed("credentials", f"AppKey {settings.app_key}, {how}")
    from rtcai_pulumi.service.client import Client  # noqa: PLC0415  the HTTP client is slow to import

    yield from _endpoint_and_clock(settings)
    with Client(settings) as client:
        yield _signature(client)
        yield _room_api(client)


def _endpoint_and_clock(settings: Settings) -> Iterator[Finding]:
    """Ask the endpoint for anything at all: every HTTP answer tells that it is reached, and what time it is there."""
    from rtcai_pulumi.service.probe import probe  # noqa: PLC0415  the HTTP client is slow to import

    began = time.monotonic()
    try:
        seen = probe(settings)
    except RtcAiError as error:
        yield failed("endpoint", _in_one_line(error), error.advice or "check the network and RTCAI_ENDPOINT")
        yield not_checked("clock", "the endpoint was not reached")
        return
    yield passed("endpoint", f"{settings.endpoint} answers after {(time.monotonic() - began) * 1000:.0f} ms")
    if seen.skew is None:
        yield not_checked("clock", "the answer had no header Date")
    elif abs(seen.skew) > CHECK_SUM_SECONDS:
        way = "ahead of" if seen.skew > 0 else "behind"
        detail = f"this machine's clock is {abs(seen.skew) / 60:.0f} minutes {way} the service's"
        yield failed("clock", detail, "set the clock: a signature is valid for five minutes")
    else:
        yield passed("clock", f"{abs(seen.skew):.0f} seconds from the service's")


def _signature(client: Client) -> Finding:
    """Ask to close a task that cannot exist: whoever refuses that for another reason has accepted the signature."""
    check = "signature"
    if client.settings.app_secret is None:
        return not_checked(check, "a token is good for its own room only", "set RTCAI_APP_SECRET to have it checked")
    try:
        client.close_task(1, f"rtcai-doctor-{uuid4().hex}", cname="", trace_id=uuid4().hex)
    except (NotAuthenticated, WrongEndpoint) as error:
        return failed(check, _in_one_line(error), error.advice)
    except (ConnectionFailed, OutcomeUnknown, RateLimited) as error:
        return not_checked(check, _in_one_line(error), error.advice or None)
    except Refused as error:
        return passed(check, f"accepted (a close of a task that does not exist: {_told(error)})")
    return passed(check, "accepted")


def _room_api(client: Client) -> Finding:
    """Ask for a room that cannot exist."""
    check = "room API"
    if client.settings.app_secret is None:
        return not_checked(check, "it takes an AppSecret", "without it a refresh cannot tell whether a room is gone")
    try:
        client.query_room(f"rtcai-doctor-{uuid4().hex}")
    except RoomNotFound:
        return passed(check, f"{client.settings.room_endpoint} answers")
    except RtcAiError as error:
        advice = error.advice or "check RTCAI_ROOM_ENDPOINT; without it a refresh cannot tell whether a room is gone"
        return failed(check, _in_one_line(error), advice)
    return passed(check, f"{client.settings.room_endpoint} answers")


def _cli(env: Mapping[str, str]) -> Finding:
    check = "Pulumi CLI"
    found = shutil.which("pulumi", path=env.get("PATH"))
    if found is None:
        return failed(check, "there is no pulumi on PATH", "install the Pulumi CLI")
    return _asked(check, [found, "version"], env, lambda said: f"{said} ({found})", "install the Pulumi CLI anew")


def _plugin(env: Mapping[str, str]) -> Finding:
    """Import what the engine's plugin imports, by the Python that runs this command."""
    advice = (
        f'install the package into the program\'s environment: {sys.executable} -m pip install "rtcai-pulumi"; the '
        "engine takes the Python that Pulumi.yaml names, which should be this one"
    )
    versions = f"rtcai-pulumi {version('rtcai-pulumi')}, pulumi {version('pulumi')}, Python {sys.version.split()[0]}"
    return _asked("plugin", [sys.executable, "-c", _PLUGIN], env, lambda _: f"{versions} ({sys.executable})", advice)


def _asked(
    check: str, command: list[str], env: Mapping[str, str], detail: Callable[[str], str], advice: str
) -> Finding:
    try:
        done = subprocess.run(  # noqa: S603  this Python, or the CLI on PATH
            command,
            env=dict(env),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return failed(check, str(error), advice)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return failed(check, lines[-1] if lines else f"exit code {done.returncode}", advice)
    return passed(check, detail(done.stdout.strip()))


def _journal(path: Path) -> Finding:
    check = "journal"
    try:
        with existing(path, tell=lambda _: None) as journal:
            if journal is None:
                return passed(check, f"{path} is not there yet; the first up makes it")
            if problems := journal.damage():
                return failed(check, f"{path} is damaged: {problems[0]}", _SAVE)
            records = [record for record in records_in(journal) if record.unfinished]
            lost = sum(record.state is State.ASKED and not journal.lives(record.process) for record in records)
    except RtcAiError as error:
        return failed(check, error.summary, error.advice or _SAVE)
    agents = sum(record.task is not None for record in records)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return failed(check, f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    detail = f"{path}: {agents} agents, {lost} lost creates"
    return passed(check, detail, _LOST if lost else None)


def _told(error: RtcAiError) -> str:
    facts = error.facts
    return f"code {facts.code}" if facts.code is not None else f"HTTP status {facts.status}"


def _in_one_line(error: RtcAiError) -> str:
    facts = error.facts
    known = [f"code {facts.code}" if facts.code is not None else None, facts.text, facts.reason]
    said = ", ".join(each for each in known if each)
    return f"{error.summary} ({said})" if said else error.summary
