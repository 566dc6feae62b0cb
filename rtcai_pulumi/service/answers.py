"""The meaning of a response: HTTP status and body code together, as a result or as one of the errors.

Either of the two may report a failure; which status comes with which code is not documented (API page, "错误码").
"""

import re
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, Final

from rtcai_pulumi.service import errors
from rtcai_pulumi.service.errors import Facts, RtcAiError
from rtcai_pulumi.service.settings import name_setting
from rtcai_pulumi.service.signing import CHECK_SUM_SECONDS

_ENDPOINTS: Final = (name_setting("endpoint"), name_setting("roomEndpoint"))
_MISSING: Final = re.compile(r"不存在|not exist|not found|no such", re.IGNORECASE)
_ROOM: Final = re.compile(r"房间|room|channel", re.IGNORECASE)
_TASK: Final = re.compile(r"任务|task", re.IGNORECASE)
_SOMETHING_ELSE: Final = re.compile(r"应用|用户|智能体|app|user|uid|agent|key|token", re.IGNORECASE)

_LONGEST_NUMBER: Final = 20
"""The number of digits of the largest 64-bit number."""

_RESULTS: Final = {
    "start the agent": "the agent was started",
    "stop the agent": "the agent was stopped",
    "create the room": "the room was created",
    "end the room": "the room was ended",
}
"""By verb: what is unknown if the service fails. A query changes nothing."""

_Meaning = tuple[type[RtcAiError], str, str]
"""The error, its summary and its advice. ``{verb}`` is what was requested, ``{result}`` what is unknown now, and
``{ids}`` what the service's support needs."""

_MAX_RPS: Final = name_setting("maxRps")
_INVALID: Final[_Meaning] = (
    errors.InvalidRequest,
    "The service did not {verb}: the request is not valid.",
    "check the blocks and their values against the service's API documentation",
)
_SIGNATURE: Final[_Meaning] = (
    errors.NotAuthenticated,
    "The service did not {verb}: it does not accept the signature.",
    "check AppKey, AppSecret or token, and the clock",
)
_REPEATED: Final[_Meaning] = (
    errors.DuplicateRequest,
    "The service reports a duplicate: it has already received this request to {verb}.",
    "check the room; send {ids} to the service's support",
)
_TOO_FAST: Final[_Meaning] = (
    errors.RateLimited,
    "The service did not {verb}: too many requests.",
    f"set {_MAX_RPS.variable} to a lower number and run again",
)
_FAILED: Final[_Meaning] = (
    errors.ServerFailed,
    "The service failed while it was asked to {verb}{result}.",
    "check the room, then run again",
)
_UNREADABLE: Final[_Meaning] = (
    errors.AnswerUnreadable,
    "The service was asked to {verb}, but its response does not have the documented form{result}.",
    "check the room; send {ids} to the service's support",
)
_UNDOCUMENTED: Final[_Meaning] = (
    errors.Refused,
    "The service refused to {verb} with an undocumented code (see below).",
    "send the code, the text and {ids} to the service's support",
)
_BY_CODE: Final[dict[int, _Meaning]] = {
    400: _INVALID,
    401: _SIGNATURE,
    402: _SIGNATURE,
    403: _SIGNATURE,
    408: (
        errors.ServerFailed,
        "The service timed out while it was asked to {verb}{result}.",
        "check the room before you start the agent again",
    ),
    414: _SIGNATURE,
    416: _TOO_FAST,
    417: _REPEATED,
    429: _TOO_FAST,
    431: _REPEATED,
    601: _INVALID,
    611: (
        errors.NotPermitted,
        "The service did not {verb}: the app has no permission for captions.",
        "ask the service's support to enable captions for the app",
    ),
    612: (
        errors.NotPermitted,
        "The service did not {verb}: the app does not support captions.",
        "check how the service is set up for the app",
    ),
}


_NEVER_MISSING: Final = frozenset(
    code
    for code, (kind, _, _) in _BY_CODE.items()
    if kind in {errors.NotAuthenticated, errors.RateLimited, errors.ServerFailed, errors.DuplicateRequest}
)
"""Codes of login, rate, failures and repeated requests: regardless of their text, they do not mean "not found"."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response, with its body if that is a JSON object."""

    status: int
    body: dict[str, Any] | None
    date: str | None = None
    """The header ``Date``."""
    retry_after: str | None = None
    """The header ``Retry-After``."""

    @property
    def code(self) -> int | None:
        """The code in the body; None if there is none."""
        code = (self.body or {}).get("code")
        if isinstance(code, float):
            return int(code) if code.is_integer() else None
        return code if isinstance(code, int) and not isinstance(code, bool) else parse_whole_number(code)

    @property
    def text(self) -> str | None:
        """The service's own text: ``errmsg``, then ``msg``, then ``message``."""
        for name in ("errmsg", "msg", "message"):
            if text := (self.body or {}).get(name):
                return str(text)
        return None

    @property
    def is_success(self) -> bool:
        """HTTP 200 and code 200: only both together are a success."""
        return self.status == 200 and self.code == 200


def error_of_answer(verb: str, answer: Answer, facts: Facts, now: float) -> RtcAiError:
    """The error for a response.

    Args:
        verb: what was requested, as the rest of a sentence: "start the agent".
        answer: a response that is not a success, or lacks what a success must have.
        facts: what is known about the call; its text is redacted already.
        now: this machine's time in seconds since 1970, to detect a wrong clock.
    """
    facts = replace(facts, status=answer.status, code=answer.code, retry_after=seconds_to_wait(answer, now))
    if answer.status >= 500 or 500 <= (answer.code or 0) < 600:  # regardless of the text, the outcome is unknown
        return _make_error(_FAILED, verb, facts)
    if answer.code == 200 or (answer.code is None and 200 <= answer.status < 300):
        return _make_error(_UNREADABLE, verb, facts)
    if missing := _not_found_error(verb, answer, facts):
        return missing
    if answer.code is None and (answer.status == 404 or 300 <= answer.status < 400):
        summary = f"The server at {facts.endpoint} does not respond like the RTC AI service."
        advice = f"check {' and '.join(name.variable for name in _ENDPOINTS)}"
        return errors.WrongEndpoint(summary, facts, advice, _ENDPOINTS)
    code = answer.status if answer.status in {408, 429} or answer.code is None else answer.code
    kind, summary, advice = _BY_CODE.get(code, _UNDOCUMENTED)
    if kind is errors.NotAuthenticated and (skew := clock_skew(answer, now)) is not None:
        how_far = f"{abs(skew) / 60:.0f} minutes {'ahead' if skew > 0 else 'behind'}"
        summary = f"The service did not {{verb}}: this machine's clock is {how_far}."
        advice = "set the clock: a signature is valid for five minutes"
    return _make_error((kind, summary, advice), verb, facts)


def clock_skew(answer: Answer, now: float) -> float | None:
    """How many seconds this machine's clock is wrong, if that is enough to make a signature invalid; else None."""
    server_time = parse_http_date(answer.date)
    return now - server_time if server_time is not None and abs(now - server_time) > CHECK_SUM_SECONDS else None


def seconds_to_wait(answer: Answer, now: float) -> float | None:
    """How long the service asks to wait: its ``Retry-After`` is a number of seconds, or a date by its own clock."""
    header = answer.retry_after or ""
    if header.strip().isdecimal():
        return float(header)
    until, server_time = parse_http_date(answer.retry_after), parse_http_date(answer.date)
    return max(until - (now if server_time is None else server_time), 0.0) if until is not None else None


def parse_http_date(date: str | None) -> float | None:
    """An HTTP date as seconds since 1970; None if it is not a valid date."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def parse_whole_number(value: Any) -> int | None:
    """A whole number, 0 or more, of at most twenty digits; None if the value is something else.

    Some JSON libraries write numbers as strings.
    """
    if isinstance(value, str) and value.isdecimal() and len(value) <= _LONGEST_NUMBER:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _make_error(meaning: _Meaning, verb: str, facts: Facts) -> RtcAiError:
    kind, summary, advice = meaning
    result = f"; it is unknown whether {_RESULTS[verb]}" if verb in _RESULTS else ""
    settings = [_MAX_RPS] if kind is errors.RateLimited else []
    return kind(summary.format(verb=verb, result=result), facts, advice.format(ids=_ids_of(facts)), settings)


def _ids_of(facts: Facts) -> str:
    """The ids among the facts by which the service's support finds a request; the room API has none."""
    ids = {"the request id": facts.request_id, "the trace id": facts.trace_id}
    return " and ".join(label for label, value in ids.items() if value) or "the facts above"


def _not_found_error(verb: str, answer: Answer, facts: Facts) -> RtcAiError | None:
    """The error of a response that says that the room or the task does not exist.

    Its number is not documented (api.md has only the text 房间不存在), so the text decides for any number. If
    the number has another documented meaning, the text must name the room or the task. Only a body with a code is from
    the service: "not found" from a gateway says nothing about rooms and tasks.
    """
    if answer.code is None or answer.code in _NEVER_MISSING:
        return None
    text = answer.text or ""
    about_room, about_task = bool(_ROOM.search(text)), bool(_TASK.search(text))
    is_named = answer.code not in _BY_CODE or about_room or about_task
    says_missing = answer.code == 404 or (bool(_MISSING.search(text)) and is_named)
    if not says_missing or (_SOMETHING_ELSE.search(text) and not (about_room or about_task)):
        return None
    if facts.task is not None and (about_task or not about_room):
        return errors.TaskNotFound(f"The service did not {verb}: the task does not exist.", facts)
    advice = "have someone join the room, declare a Room in the program, or set wait_for_room"
    return errors.RoomNotFound(f"The service did not {verb}: the room does not exist.", facts, advice)
