"""The errors of this package.

::

    RtcAiError
    ├── SettingsError          credentials or settings are missing or wrong; nothing was sent
    ├── JournalError           the journal cannot be used; nothing is started without it
    ├── OtherAccount           the task belongs to another AppKey or endpoint than the settings name
    ├── RoomExists             the room is open already, and this stack did not open it
    ├── EndPassed              the end of an agent or a room has passed, so it is not started
    ├── NotReplaced            another resource of the run has failed, so this agent keeps running
    ├── EndBeforeStart         the end of an agent is before its start
    ├── ConnectionFailed       no connection was made; nothing was sent
    │   └── UntrustedCertificate   the server's certificate is not trusted
    ├── RoomInUse              someone is in the room and would be disconnected by the change
    ├── TakenOver              another run owns this agent now, or no engine waits for it any more
    │   └── Interrupted        the run was interrupted before the request was sent
    ├── Refused                the service responded that it did not do it
    │   ├── InvalidRequest     400, 601: the body is not valid
    │   ├── NotAuthenticated   402, 414: AppKey, AppSecret, token or clock
    │   ├── NotPermitted       611, 612: the app lacks a permission
    │   ├── RateLimited        429, 416: too many requests
    │   ├── RoomNotFound       the room does not exist
    │   ├── TaskNotFound       the task does not exist, or no longer exists
    │   └── WrongEndpoint      HTTP 404 or a redirect from a server that is not the service
    └── OutcomeUnknown         the service may or may not have done it
        ├── AnswerLost         the connection broke before the response was complete, or the request timed out
        ├── AnswerUnreadable   the response does not have the form that the API page documents
        ├── ServerFailed       408, 500, 503, 514 and other 5xx
        └── DuplicateRequest   417, 431: the service has seen this request before

A message has three parts: what happened in one sentence, the facts, what to do. It contains no secret and no query. Its
text names settings by their environment variables; `RtcAiError.settings` holds the same settings as data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from rtcai_pulumi.service.printable import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The known facts of a failed call; facts that are None are not shown."""

    room: str | None = None
    cid: int | str | None = None
    task: str | None = None
    endpoint: str | None = None
    proxy: str | None = None
    """The proxy in use, and the variable that names it."""
    status: int | None = None
    """HTTP status."""
    code: int | None = None
    """The code in the body of the response."""
    text: str | None = None
    """The service's own text, redacted."""
    reason: str | None = None
    """The error text of the network library."""
    retry_after: float | None = None
    """How long the service asks to wait, in seconds."""
    request_id: str | None = None
    trace_id: str | None = None

    def lines(self) -> Iterator[str]:
        """One line per fact."""
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


@dataclass(frozen=True, slots=True)
class SettingName:
    """The two places in which users can set one setting."""

    variable: str
    """The environment variable."""
    config_key: str
    """The key in the stack's config, with its namespace."""
    is_secret: bool = False

    @property
    def config_command(self) -> str:
        """The command that sets it in the stack's config."""
        return f"`pulumi config set {'--secret ' if self.is_secret else ''}{self.config_key} …`"


class RtcAiError(Exception):
    """The base class of all errors of this package that a user may see.

    Args:
        summary: what happened.
        facts: what is known about the call.
        advice: what to do.
        settings: the settings that summary or advice name by their environment variables.
    """

    # The engine prints the name with its module: users know the package, not its folders.
    __module__ = "rtcai_pulumi"

    def __init__(
        self, summary: str, facts: Facts | None = None, advice: str = "", settings: Sequence[SettingName] = ()
    ) -> None:
        self.summary = one_line(summary)
        self.facts = facts or Facts()
        self.advice = one_line(advice)
        self.settings = tuple(settings)
        super().__init__(self.describe(names_config=True))

    def describe(self, *, names_config: bool) -> str:
        """The whole message, each part on its own line.

        Args:
            names_config: whether to say how to set the settings in the stack's config; `rtcai` does not read that.
        """
        lines = [self.summary, *self.facts.lines()]
        if self.advice:
            lines.append(f"  to do: {self.advice}")
        if self.settings and names_config:
            lines.append(f"  in stack config: {', '.join(name.config_command for name in self.settings)}")
        return "\n".join(lines)

    def __init_subclass__(cls) -> None:
        cls.__module__ = RtcAiError.__module__


class SettingsError(RtcAiError):
    """Credentials or settings are missing or wrong. Set them in the environment or in the stack's config."""


class JournalError(RtcAiError):
    """The journal cannot be used. Nothing is started without it: after a crash, an agent could run without a record."""


class OtherAccount(RtcAiError):
    """The task was started with another AppKey or endpoint. Set those again: a "not found" would be wrong."""


class RoomExists(RtcAiError):
    """The room is open already, and this stack did not open it. Use another name, or adopt the room."""


class RoomInUse(RtcAiError):
    """Someone is in the room and would be disconnected by the change. Wait until it is empty, or set force=True."""


class EndPassed(RtcAiError):
    """The end of an agent or a room, ``ends_at``, has passed, so it is not started. Set a later end, or none."""


class NotReplaced(RtcAiError):
    """Another resource of the run has failed, so this agent keeps running and is not replaced. Fix that error first."""


class EndBeforeStart(RtcAiError):
    """The end of an agent, ``ends_at``, is before its start. Correct the time."""


class ConnectionFailed(RtcAiError):
    """No connection was made, so nothing was sent. Check the network and the endpoint, then run again."""


class UntrustedCertificate(ConnectionFailed):
    """The server's certificate is not trusted. Set SSL_CERT_FILE to the certificates of its authority."""


class TakenOver(RtcAiError):
    """A later run manages this agent now, or no engine waits for it any more. This run leaves no agent of its own."""


class Interrupted(TakenOver):
    """The run was interrupted before the request was sent. Run it again."""


class Refused(RtcAiError):
    """The service responded that it did not do it."""


class InvalidRequest(Refused):
    """The service does not accept the body (400, 601). Check the values against the API page."""


class NotAuthenticated(Refused):
    """The service does not accept the signature (402, 414). Check AppKey, AppSecret or token, and the clock."""


class NotPermitted(Refused):
    """The app lacks a permission (611, 612). Ask the service's support to enable it."""


class RateLimited(Refused):
    """Too many requests per second (429, 416). Set RTCAI_MAX_RPS to a lower number and run again."""


class RoomNotFound(Refused):
    """The room does not exist. Have someone join it, declare a Room, or set wait_for_room."""


class TaskNotFound(Refused):
    """The task does not exist. For a close this counts as success."""


class WrongEndpoint(Refused):
    """A server responded that is not the service. Check the endpoint."""


class OutcomeUnknown(RtcAiError):
    """The service may or may not have done it. A create is never repeated after this: there could be two agents."""


class AnswerLost(OutcomeUnknown):
    """The connection broke, or the request timed out, before the response was complete."""


class AnswerUnreadable(OutcomeUnknown):
    """The response does not have the form that the API page documents."""


class ServerFailed(OutcomeUnknown):
    """The service failed on its side (408, 5xx)."""


class DuplicateRequest(OutcomeUnknown):
    """The service has already received this request (417, 431). Check the room for the agent of the first request."""
