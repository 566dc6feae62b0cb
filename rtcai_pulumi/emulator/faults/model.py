"""The kinds of faults; ``docs/emulator.md`` has a table of them."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypedDict

from pydantic import Field, model_validator

from rtcai_pulumi.emulator.api.rate_limit import Verbs
from rtcai_pulumi.emulator.errors import InvalidInput
from rtcai_pulumi.emulator.strict_model import StrictModel, parse_strict

Sort = Literal["delay", "stop", "outcome"]
"""A request takes at most one fault of each sort: it is delayed, held, and given another outcome."""
At = Literal["arrived", "worked"]
"""A point in the processing of a request: it has arrived and no work is done, or the work is done and no answer is
sent.
"""
MAX_SECONDS: Final = 3600.0
"""The longest delay."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"([!-~]([ -~]*[!-~])?)?")
_OWN_HEADERS: Final = {"content-length", "transfer-encoding"}
WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
"""Statuses whose answers have no body (RFC 9110)."""
_Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]


class Fault(StrictModel):
    """What all faults have in common: the requests that they apply to."""

    sort: ClassVar[Sort]

    verb: Verbs
    """The operation; ``*`` means any."""
    kind: str
    times: Annotated[int, Field(ge=1)] | None = 1
    """How many requests it applies to; None: all until it is removed."""
    skip: Annotated[int, Field(ge=0)] = 0
    """How many requests pass first."""
    cname: Annotated[str, Field(min_length=1)] | None = None
    """Apply it only to requests about the room of this name."""


class Latency(Fault):
    """The answer is delayed. If the client gives up during the delay, the work is done nevertheless."""

    sort = "delay"
    kind: Literal["latency"]
    before: _Seconds = 0.0
    """Seconds before the work."""
    after: _Seconds = 0.0
    """Seconds between the work and the answer."""

    @model_validator(mode="after")
    def _require_delay(self) -> Self:
        if self.before == self.after == 0:
            message = "before, after: at least one must be more than 0 seconds"
            raise ValueError(message)
        return self


class Stop(Fault):
    """A request is held at one point until it is released or its client disconnects."""

    sort = "stop"

    @property
    def point(self) -> At:
        """The point."""
        raise NotImplementedError


class HoldFault(Stop):
    """For crash tests: the test waits until requests are held, and then releases them."""

    kind: Literal["hold"]
    at: At = "arrived"

    @property
    def point(self) -> At:
        """The configured point."""
        return self.at


class Hang(Stop):
    """The request is not answered until the fault is removed."""

    kind: Literal["hang"]
    work: bool = False
    """Whether the work is done first."""

    @property
    def point(self) -> At:
        """Before or after the work."""
        return "worked" if self.work else "arrived"


class FaultOutcome(Fault):
    """The request does not end with its own answer."""

    sort = "outcome"
    work: bool = False
    """Whether the work is done first."""


class Reset(FaultOutcome):
    """The connection is reset (TCP RST); no byte of the answer is sent."""

    kind: Literal["reset"]


class HalfAnswer(FaultOutcome):
    """All headers and half of the body are sent, then the connection is closed."""

    kind: Literal["half"]


class Garbage(FaultOutcome):
    """HTTP 200 with a body that is not in the service's format."""

    kind: Literal["garbage"]
    form: Literal["html", "broken", "empty"] = "html"
    """An HTML page; a JSON object that breaks off although the response is complete; or an empty body."""


class AnswerFault(Fault):
    """The answer is replaced by another one."""

    sort = "outcome"
    kind: Literal["answer", "answer-after"]
    """``answer``: no work is done. ``answer-after``: the work is done first."""
    status: Annotated[int, Field(ge=200, le=599)] = 200
    """HTTP status."""
    code: int | None = None
    """``code`` of the JSON body; None: the body is not JSON, as from a gateway in front of the service."""
    errmsg: str | None = None
    """``errmsg`` of the JSON body."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """More headers, as in ``{"Retry-After": "1"}``; ``Date`` and ``Content-Type`` replace the emulator's."""

    @property
    def work(self) -> bool:
        """Whether the work is done first."""
        return self.kind == "answer-after"

    @model_validator(mode="after")
    def _check_headers(self) -> Self:
        names = [name.lower() for name in self.headers]
        problems = [f"headers.{name}: set more than once" for name in dict.fromkeys(names) if names.count(name) > 1]
        problems += [f"headers.{name}: this header cannot be set" for name in self.headers if not _can_be_set(name)]
        problems += [
            f"headers.{name}: must be printable ASCII, without spaces at its ends"
            for name, value in self.headers.items()
            if not _HEADER_VALUE.fullmatch(value)
        ]
        if not self.model_fields_set & {"status", "code"}:
            problems.append("status, code: at least one must be set")
        if self.code is None and self.errmsg is not None:
            problems.append("errmsg: needs a code")
        if self.code is not None and self.status in WITHOUT_BODY:
            problems.append(f"code: an answer with HTTP status {self.status} has no body")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _can_be_set(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None and name.lower() not in _OWN_HEADERS


KINDS: Final[Mapping[str, type[Fault]]] = {
    "answer": AnswerFault,
    "answer-after": AnswerFault,
    "latency": Latency,
    "hang": Hang,
    "half": HalfAnswer,
    "reset": Reset,
    "garbage": Garbage,
    "hold": HoldFault,
}


def parse_fault(content: Any) -> Fault:
    """Create a fault from JSON.

    Raises:
        InvalidInput: the fault is not valid; the text names everything that is wrong.
    """
    kind = content.get("kind") if isinstance(content, Mapping) else None
    if isinstance(content, Mapping) and (not isinstance(kind, str) or kind not in KINDS):
        near = get_close_matches(kind, KINDS, 1) if isinstance(kind, str) else []
        hint = f"; did you mean {near[0]}?" if near else ""
        message = f"kind: must be one of {', '.join(KINDS)}{hint}"
        raise InvalidInput(message)
    return parse_strict(KINDS[kind] if isinstance(kind, str) else Fault, content)


class FaultArguments(TypedDict, total=False):
    """The fields of all kinds as keyword arguments of `Emulator.fault`, for type checkers; a test compares them."""

    status: int
    code: int
    errmsg: str
    headers: Mapping[str, str]
    before: float
    after: float
    work: bool
    form: Literal["html", "broken", "empty"]
    at: At
