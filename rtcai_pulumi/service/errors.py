"""What can go wrong with the service.

::

    RtcAiError
    ├── SettingsError          credentials or settings are missing or wrong; nothing was sent
    ├── JournalError           the journal cannot be used; nothing is started without it
    ├── OtherAccount           the task belongs to another AppKey or endpoint than the settings name
    ├── RoomExists             the room is open already, and somebody else has opened it
    ├── ConnectionFailed       no connection was made; nothing was sent
    │   └── UntrustedCertificate   the certificate of the other end is not trusted
    ├── RoomInUse              somebody is in the room, whom the change would throw out
    ├── TakenOver              another run answers for this agent now, or no engine waits for it any more
    │   └── Interrupted        the run was interrupted before the request was sent
    ├── Refused                the service answered that it did not do it
    │   ├── InvalidRequest     400, 601: the body is not as it should be
    │   ├── NotAuthenticated   402, 414: AppKey, AppSecret, token or clock
    │   ├── NotPermitted       611, 612: the app lacks the right
    │   ├── RateLimited        429, 416: too many requests
    │   ├── RoomNotFound       the room does not exist
    │   ├── TaskNotFound       the task does not exist (any more)
    │   └── WrongEndpoint      HTTP 404 or a redirect from something that is not the service
    └── OutcomeUnknown         the service may have done it, or not
        ├── AnswerLost         the connection broke before the answer was complete, or the time ran out
        ├── AnswerUnreadable   the answer is not one that the API page shows
        ├── ServerFailed       408, 500, 503, 514 and other 5xx
        └── DuplicateRequest   417, 431: the service has seen this request before

A message has three parts: what happened in one sentence, the facts, what to do. It holds no secret and no query.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from rtcai_pulumi.service.printable import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a failed call; what is None is not shown."""

    room: str | None = None
    cid: int | str | None = None
    task: str | None = None
    endpoint: str | None = None
    proxy: str | None = None
    """The proxy that was asked, and the variable that names it."""
    status: int | None = None
    """HTTP status."""
    code: int | None = None
    """The code in the answer's body."""
    text: str | None = None
    """The service's own words, redacted."""
    reason: str | None = None
    """What the network library said."""
    retry_after: float | None = None
    """How long the service asks to wait, in seconds."""
    request_id: str | None = None
    trace_id: str | None = None

    def lines(self) -> Iterator[str]:
        """One line a fact."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                yield f"  {_LABELS.get(field.name, field.name)}: {one_line(str(value))}"


_LABELS = {
    "status": "HTTP status",
    "code": "service code",
    "text": "service text",
    "retry_after": "retry after",
    "request_id": "request id",
    "trace_id": "trace id",
}


class RtcAiError(Exception):
    """The root of all errors of this package that a user may meet."""

    # The engine prints the name with its module: users know the package, not its folders.
    __module__ = "rtcai_pulumi"

    def __init__(self, summary: str, facts: Facts | None = None, advice: str = "") -> None:
        self.summary = one_line(summary)
        self.facts = facts or Facts()
        self.advice = one_line(advice)
        to_do = [f"  to do: {self.advice}"] if advice else []
        super().__init__("\n".join([self.summary, *self.facts.lines(), *to_do]))

    def __init_subclass__(cls) -> None:
        cls.__module__ = RtcAiError.__module__


class SettingsError(RtcAiError):
    """Credentials or settings are missing or wrong. State them in the environment or in the stack's config."""


class JournalError(RtcAiError):
    """The journal cannot be used. Nothing is started without it: a crash would leave an agent that nobody knows of."""


class OtherAccount(RtcAiError):
    """The task was started under another AppKey or endpoint. Set those again: "gone" would be a wrong answer."""


class RoomExists(RtcAiError):
    """The room is open already, and somebody else has opened it. Take another name, or adopt the room."""


class RoomInUse(RtcAiError):
    """Somebody is in the room, whom the change would throw out. Wait until it is empty, or set force=True."""


class ConnectionFailed(RtcAiError):
    """No connection was made, so nothing was sent. Check network and endpoint, then run again."""


class UntrustedCertificate(ConnectionFailed):
    """The certificate of the other end is not trusted. Name the authority's in SSL_CERT_FILE."""


class TakenOver(RtcAiError):
    """Another run answers for this agent now, or no engine waits for it any more. Nothing was left running."""


class Interrupted(TakenOver):
    """The run was interrupted before the request was sent. Run it again."""


class Refused(RtcAiError):
    """The service answered that it did not do it."""


class InvalidRequest(Refused):
    """The service does not accept the body (400, 601). Check the values against the API page."""


class NotAuthenticated(Refused):
    """The service does not accept the signature (402, 414). Check AppKey, AppSecret or token, and the clock."""


class NotPermitted(Refused):
    """The app lacks a right (611, 612). Have it enabled by a support ticket."""


class RateLimited(Refused):
    """Too many requests in a second (429, 416). Lower the rate, or run again."""


class RoomNotFound(Refused):
    """There is no such room. Have someone join it, or create it first."""


class TaskNotFound(Refused):
    """There is no such task. To a close this is as good as success."""


class WrongEndpoint(Refused):
    """Something answered that is not the service. Check the endpoint."""


class OutcomeUnknown(RtcAiError):
    """The service may have done it, or not. A create is never repeated after this: there could be two agents."""


class AnswerLost(OutcomeUnknown):
    """The connection broke, or the time ran out, before the answer was complete."""


class AnswerUnreadable(OutcomeUnknown):
    """The answer is not one that the API page shows."""


class ServerFailed(OutcomeUnknown):
    """The service failed on its side (408, 5xx)."""


class DuplicateRequest(OutcomeUnknown):
    """The service has seen this request before (417, 431). Find out what the first one did."""
