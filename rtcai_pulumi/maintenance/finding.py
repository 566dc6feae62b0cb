"""The result of one check of `rtcai doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rtcai_pulumi.service.errors import RtcAiError

PROCESS_SECONDS: Final = 60
"""Seconds that a check waits for a process that it starts."""


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


def describe_error(error: RtcAiError) -> str:
    """Return an error in one line, with what the service or the system said."""
    facts = error.facts
    details = [f"code {facts.code}" if facts.code is not None else None, facts.text, facts.reason]
    joined = ", ".join(detail for detail in details if detail)
    return f"{error.summary} ({joined})" if joined else error.summary


def format_count(number: int, what: str) -> str:
    """Return a number with its noun, in the singular or the plural."""
    return f"{number} {what}{'s' * (number != 1)}"
