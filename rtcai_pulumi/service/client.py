"""The client of the task API and the room API: one method per call, one attempt per method call.

Every attempt has its own nonce, time and CheckSum. The caller gives the trace id, which is the same for all attempts of
one logical call.
"""

import json
import os
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Self
from urllib.parse import quote

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.config.wire import close_body
from rtcai_pulumi.service import errors
from rtcai_pulumi.service.answers import Answer, error_of_answer, parse_whole_number
from rtcai_pulumi.service.errors import Facts, RateLimited, RtcAiError
from rtcai_pulumi.service.http_library import httpx
from rtcai_pulumi.service.network import Route, drop_user, how_to_trust, load_trusted, route_to
from rtcai_pulumi.service.rate import Pace
from rtcai_pulumi.service.redaction import redact, texts_in
from rtcai_pulumi.service.settings import Settings, name_setting
from rtcai_pulumi.service.signing import check_sum

_CONTENT_TYPE: Final = "application/json;charset=UTF-8"
_HEADERS: Final = ((b"User-Agent", b"rtcai-pulumi"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"gzip, deflate"))
"""Of every request: a gateway may refuse one without the first two, and may choose any encoding without the last."""
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.LocalProtocolError,
    httpx.PoolTimeout,
    httpx.ProxyError,  # the tunnel through the proxy was never established
    httpx.UnsupportedProtocol,
)
# Shorter than the limit of any server: a request on a connection that the server has just closed makes a create look
# lost.
_IDLE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """What the room API returns about a room."""

    cid: int
    """The room's number; a room that ended and was opened again has another."""
    ended: bool
    """Whether ``stats`` is 3 or 4, which an older version documented as ended."""
    members: int | None = None
    """The number of members; None if the service does not return it. Whether an agent counts is not documented."""
    creator: int | None = None
    """The user who counts as its creator; None if the service does not return it."""


class Client:
    """Sends requests to the service; safe to share between threads.

    With an AppSecret it uses the server flavour, else the client flavour with token and uid.

    Raises:
        ConnectionFailed: no connection was made, nothing was sent.
        Refused: the service responded that it did not do it (or one of its subclasses).
        OutcomeUnknown: the service may have done it (or one of its subclasses).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
        env: Mapping[str, str] = os.environ,
    ) -> None:
        _require_urls(settings)
        self.settings = settings
        self._env = env
        self._clock = clock
        self._nonce = nonce
        self._pace = Pace(settings.max_rps)
        self._slots = threading.BoundedSemaphore(settings.concurrency)
        self.routes = {url: route_to(url, env) for url in (settings.endpoint, settings.room_endpoint)}
        """The route of the requests to each endpoint."""
        self._transport = transport
        self._of_thread = threading.local()
        self._transports: list[httpx.BaseTransport] = []
        self._limits = {"timeout": httpx.Timeout(settings.timeout).as_dict()}
        self._trusted = self._load_trusted()
        self._connect()  # a wrong proxy or certificate is an error here

    @property
    def proxy_warnings(self) -> list[str]:
        """Entries of ``no_proxy`` that cannot be parsed. The user is warned, because the proxy is used despite them."""
        return list(dict.fromkeys(entry for route in self.routes.values() for entry in route.invalid_entries))

    def close(self) -> None:
        """Close the connections."""
        for transport in self._transports:
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_task(
        self, body: Mapping[str, Any], *, trace_id: str, before_sending: Callable[[], None] = lambda: None
    ) -> TaskReference:
        """Start the agent that a create body describes (API page, "开启实时对话").

        Args:
            body: the create body.
            trace_id: identifies the logical call; the same for all its attempts.
            before_sending: called when it is this request's turn, immediately before its first byte; raises to stop it.

        Returns:
            The started task. The service returns its ids only here; they cannot be queried later.

        Raises:
            RoomNotFound: the room has not been opened yet.
            OutcomeUnknown: an agent may be in the room; the message has the ids to look for it.
        """
        facts = Facts(room=body["cname"], request_id=body["requestId"], trace_id=trace_id)
        answer = self._task_call("create", "start the agent", body, facts, before_sending)
        task = _task_of(answer.body or {})
        if task is None:
            raise self._failure("start the agent", answer, facts, texts_in(body["data"]))
        return task

    def close_task(self, cid: int, task_id: str, *, cname: str, trace_id: str) -> None:
        """Stop an agent (API page, "停止实时对话任务"); may be repeated safely.

        Raises:
            TaskNotFound: the task no longer exists, which counts as success.
        """
        facts = Facts(room=cname, cid=cid, task=task_id, trace_id=trace_id)
        self._task_call("close", "stop the agent", close_body(cid, task_id), facts)

    def query_room(self, cname: str) -> RoomInfo:
        """The room that has a name now (room API, ``GET /v3/api/rooms``).

        Raises:
            RoomNotFound: no room has that name.
            SettingsError: the AppSecret is not set; the room API requires it.
        """
        verb, facts = "find the room", Facts(room=cname)
        answer = self._room_call("GET", f"/v3/api/rooms?cname={quote(cname, safe='')}", verb, facts)
        body = answer.body or {}
        cid = _cid_of(body)
        if cid is None or body.get("cname", cname) != cname:
            raise self._failure(verb, answer, facts, ())
        members, creator = parse_whole_number(body.get("total")), parse_whole_number(body.get("uid"))
        return RoomInfo(cid, ended=body.get("stats") in {3, 4}, members=members, creator=creator)

    def open_room(self, cname: str, uid: int) -> int:
        """Create a room; no user has to join it first (room API, ``POST /v2/api/room``).

        Args:
            cname: the room's name.
            uid: the user who counts as its creator, an unsigned 64-bit number.

        Returns:
            The room's number. What the service does if the room is already open is not documented.

        Raises:
            OutcomeUnknown: the room may or may not exist; `query_room` shows which.
            SettingsError: the AppSecret is not set; the room API requires it.
        """
        verb, facts = "create the room", Facts(room=cname)
        answer = self._room_call("POST", "/v2/api/room", verb, facts, {"channelName": cname, "mode": 2, "uid": uid})
        cid = _cid_of(answer.body or {})
        if cid is None:
            raise self._failure(verb, answer, facts, ())
        return cid

    def end_room(self, cid: int, *, cname: str) -> None:
        """End a room, which disconnects everyone (room API, ``DELETE /v2/api/rooms/{cid}``); may be repeated safely.

        Args:
            cid: the room's number; a request by name would also end a room that was opened again since.
            cname: its name, for messages.

        Raises:
            RoomNotFound: the room no longer exists, which counts as success.
            SettingsError: the AppSecret is not set; the room API requires it.
        """
        self._room_call("DELETE", f"/v2/api/rooms/{cid}", "end the room", Facts(room=cname, cid=cid))

    def probe(self) -> Answer:
        """Send an unsigned request to the task API's endpoint: any response shows that the endpoint can be reached.

        Raises:
            ConnectionFailed: no connection was made.
            AnswerLost: a connection was made, but no response arrived.
        """
        url = f"{self.settings.endpoint}/v1/api/task/close"
        return self._send("GET", url, {}, Facts(endpoint=self.settings.endpoint))

    def _connect(self) -> dict[str, httpx.BaseTransport]:
        """The library's transport to each endpoint, of this thread alone.

        One that many threads share looks through all connections for each request: with 32 threads, a request took
        half as long again. A request through a transport takes half of the processor time of one through the library's
        client, which adds redirects, cookies and a login; none of them is used here.

        Raises:
            SettingsError: a proxy is wrong, or a package for it is missing.
        """
        known: dict[str, httpx.BaseTransport] | None = getattr(self._of_thread, "by_url", None)
        if known is None:
            by_proxy = {route.proxy: self._transport or self._open_transport(route) for route in self.routes.values()}
            self._transports += by_proxy.values()
            known = self._of_thread.by_url = {url: by_proxy[route.proxy] for url, route in self.routes.items()}
        return known

    def _open_transport(self, route: Route) -> httpx.HTTPTransport:
        """The library's transport for a route. The library reads no environment variables; `network` does that."""
        connections = len(self.routes)  # one thread sends one request at a time, to one of these endpoints
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE_SECONDS
        )
        try:
            return httpx.HTTPTransport(verify=self._trusted, limits=limits, proxy=route.proxy, trust_env=False)
        except ImportError:
            summary = f"The proxy in {route.reason} is a SOCKS proxy, but SOCKS support is not installed."
            advice = "run `pip install 'httpx[socks]'` in the program's environment, or set an HTTP proxy"
            raise errors.SettingsError(summary, advice=advice) from None
        except (ValueError, httpx.InvalidURL) as error:
            summary = f"The proxy in {route.reason} is not valid: {self._describe(error)}."
            raise errors.SettingsError(summary, advice="write it as http://host:port") from None

    def _load_trusted(self) -> ssl.SSLContext:
        """The trusted certificates; none are read if no connection of this client uses TLS, for example on loopback.

        Raises:
            SettingsError: the certificates cannot be read.
        """
        urls = (*self.routes, *(route.proxy or "" for route in self.routes.values()))
        if any(url.startswith("https://") for url in urls):
            return load_trusted(self._env)[0]
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def _room_call(
        self, method: str, path: str, verb: str, facts: Facts, body: Mapping[str, Any] | None = None
    ) -> Answer:
        facts = replace(facts, endpoint=self.settings.room_endpoint)
        secret = self.settings.app_secret
        if secret is None:
            setting = name_setting("appSecret")
            summary = "The room API cannot be called without an AppSecret."
            raise errors.SettingsError(summary, facts, f"set {setting.variable}", [setting])
        content = None if body is None else _encode(body)
        with self._wait_for_turn():
            headers = self._signature(secret) | ({"Content-Type": _CONTENT_TYPE} if content else {})
            answer = self._send(method, self.settings.room_endpoint + path, headers, facts, content)
        if not answer.is_success:
            raise self._failure(verb, answer, facts, ())
        return answer

    def _task_call(
        self,
        call: str,
        verb: str,
        body: Mapping[str, Any],
        facts: Facts,
        before_sending: Callable[[], None] = lambda: None,
    ) -> Answer:
        settings = self.settings
        facts = replace(facts, endpoint=settings.endpoint)
        content = _encode(body)
        with self._wait_for_turn():
            if settings.app_secret is not None:
                path, headers = f"/v1/api/task/{call}", self._signature(settings.app_secret)
            else:
                path, headers = f"/ai/task/{call}", self._token(facts.room or "")
            headers |= {"Content-Type": _CONTENT_TYPE, "X-custom-traceid": facts.trace_id or ""}
            before_sending()
            answer = self._send("POST", settings.endpoint + path, headers, facts, content)
        if not answer.is_success:
            raise self._failure(verb, answer, facts, texts_in(body.get("data")))
        return answer

    @contextmanager
    def _wait_for_turn(self) -> Iterator[None]:
        """Wait for a free connection and for the rate limit; sign only after that, because a signature expires."""
        with self._slots:
            self._pace.wait()
            yield

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], facts: Facts, content: bytes | None = None
    ) -> Answer:
        # The library only accepts ASCII strings as header values; the name of a room may have any characters.
        encoded = [*_HEADERS, *((name.encode(), value.encode()) for name, value in headers.items())]
        transport = self._connect()[str(facts.endpoint)]
        request = httpx.Request(method, _parse_url(url), headers=encoded, content=content, extensions=self._limits)
        try:
            response = transport.handle_request(request)
            try:
                content_back = self._read(response)
            finally:
                response.close()
        except _NOT_SENT as error:
            raise self._connection_error(error, facts) from None
        except httpx.HTTPError as error:
            summary = "The connection broke before the response was complete."
            if isinstance(error, httpx.TimeoutException):
                summary = f"The service did not respond within {self.settings.timeout:g} seconds."
            raise errors.AnswerLost(summary, replace(facts, reason=self._describe(error))) from None
        headers_back = response.headers
        return Answer(
            response.status_code, _json_object(content_back), headers_back.get("Date"), headers_back.get("Retry-After")
        )

    def _connection_error(self, error: Exception, facts: Facts) -> errors.ConnectionFailed:
        route = self.routes[str(facts.endpoint)]
        known = replace(facts, proxy=f"{drop_user(route.proxy)} ({route.reason})" if route.proxy else None)
        refusal = _refused_certificate(error)
        if refusal is not None:
            host = httpx.URL(str(facts.endpoint)).host
            summary = f"The certificate of {host} is not trusted; nothing was sent."
            known = replace(known, reason=refusal.verify_message.rstrip(".") or str(refusal))
            return errors.UntrustedCertificate(summary, known, how_to_trust(self._env))
        setting = name_setting("endpoint" if facts.endpoint == self.settings.endpoint else "roomEndpoint")
        proxy = route.reason if route.proxy else "whether a proxy is needed"
        advice = f"check the network, {proxy}, and {setting.variable}"
        via = f" through the proxy {known.proxy}" if known.proxy else ""
        summary = f"Could not connect to {facts.endpoint}{via}; nothing was sent."
        return errors.ConnectionFailed(summary, replace(known, reason=self._describe(error)), advice, [setting])

    def _read(self, response: httpx.Response) -> bytes:
        """The whole body of a response. The library's own time limit starts again with each piece.

        Raises:
            httpx.ReadTimeout: the body arrives so slowly that the attempt would exceed its time limit.
        """
        until, pieces = time.monotonic() + self.settings.timeout, []
        for piece in response.iter_bytes():
            pieces.append(piece)
            if time.monotonic() > until:
                raise httpx.ReadTimeout("the response came too slowly")
        return b"".join(pieces)

    def _failure(self, verb: str, answer: Answer, facts: Facts, inputs: Iterable[str]) -> RtcAiError:
        """The error of a response; the service's own text may repeat what was sent, so it is redacted."""
        text = redact(answer.text, [*self.settings.secrets, *inputs]) if answer.text else None
        error = error_of_answer(verb, answer, replace(facts, text=text), self._clock())
        if isinstance(error, RateLimited):
            self._pace.slow_down()
        return error

    def _signature(self, app_secret: str) -> dict[str, str]:
        nonce, cur_time = self._nonce(), str(int(self._clock()))
        sums = {"Nonce": nonce, "CurTime": cur_time, "CheckSum": check_sum(app_secret, nonce, cur_time)}
        return {"AppKey": self.settings.app_key, **sums}

    def _token(self, cname: str) -> dict[str, str]:
        token, uid = self.settings.token or "", self.settings.uid or ""
        return {"AppKey": self.settings.app_key, "Token": token, "Cname": cname, "Uid": uid}

    def _describe(self, error: Exception) -> str:
        if isinstance(error, httpx.ProtocolError):
            return type(error).__name__  # its text quotes the invalid part: a header, or the body sent back
        return redact(f"{type(error).__name__}: {error}", self.settings.secrets)


def _refused_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The error that made the library refuse a certificate; None if the cause was something else."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _require_urls(settings: Settings) -> None:
    """Reject endpoints that the library cannot connect to, before any request.

    Raises:
        SettingsError: an endpoint is not a valid URL; some invalid characters are found only by the library.
    """
    for key, url in (("endpoint", settings.endpoint), ("roomEndpoint", settings.room_endpoint)):
        try:
            httpx.URL(url).host  # noqa: B018  reading it is what fails
        except (httpx.InvalidURL, UnicodeError) as error:
            setting = name_setting(key)
            summary = f"{setting.variable} is not a valid URL: {error}."
            advice = "correct it; it may contain an invisible character"
            raise errors.SettingsError(summary, advice=advice, settings=[setting]) from None


_parse_url: Final = lru_cache(maxsize=16)(httpx.URL)
"""Parses a URL; all task calls of a process use the same few."""


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):  # not valid JSON, or nested too deeply for the library
        return None
    return body if isinstance(body, dict) else None


def _task_of(body: Mapping[str, Any]) -> TaskReference | None:
    """The task in the response to a create; None if the response lacks what a success must have."""
    cid, result = _cid_of(body), body.get("result")
    task_id = result.get("taskId") if isinstance(result, dict) else None
    if cid is None or not isinstance(task_id, str) or not task_id.isprintable() or not task_id:
        return None
    return TaskReference(cid, task_id)


def _cid_of(body: Mapping[str, Any]) -> int | None:
    cid = parse_whole_number(body.get("cid"))
    return cid if cid is not None and 0 < cid < 2**63 else None
