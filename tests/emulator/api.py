"""A client with its own signing, so a test does not check the emulator's code with the same code."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from jsonschema import Draft202012Validator

from rtcai_pulumi.emulator import Emulator
from tests.samples import load

JSON = "application/json;charset=UTF-8"


def body(name: str = "parameters", **changes: Any) -> dict[str, Any]:
    """A valid create body. A change to None removes the field."""
    changed = {**load(f"samples/{name}.json"), **changes}
    return {field: value for field, value in changed.items() if value is not None}


def assert_form(answer: Any, definition: str) -> None:
    """Check an answer against one definition of the service's schema."""
    schema = load("responses.schema.json")
    Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{definition}"}).validate(answer)


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def token_of(signature: str, cur_time_ms: int, ttl: int) -> str:
    content = {"signature": signature, "curTime": cur_time_ms, "ttl": ttl}
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


@dataclass(frozen=True)
class Api:
    """Calls one emulator. Headers are correct unless a test changes them (None omits a header)."""

    emulator: Emulator
    http: httpx.Client

    def signed(self, **changes: str | None) -> dict[str, str]:
        nonce = changes.get("Nonce") or uuid4().hex
        cur_time = changes.get("CurTime") or str(int(self.emulator.clock.now()))
        headers = {
            "AppKey": self.emulator.app_key,
            "Nonce": nonce,
            "CurTime": cur_time,
            "CheckSum": sha1(self.emulator.app_secret + nonce + cur_time),
            **changes,
        }
        return {name: value for name, value in headers.items() if value is not None}

    def with_token(self, cname: str, *, made_for: str | None = None, **changes: Any) -> dict[str, str]:
        """Headers of the client API. `made_for` is the room of the token if it differs from Cname."""
        app_key, app_secret, uid = self.emulator.app_key, self.emulator.app_secret, "10000"
        room, ttl = cname if made_for is None else made_for, changes.pop("ttl", 600)
        now_ms = changes.pop("cur_time_ms", self.emulator.clock.now_ms())
        token = token_of(sha1(f"{app_key}{uid}{now_ms}{ttl}{room}{app_secret}"), now_ms, ttl)
        headers = {"AppKey": app_key, "Token": token, "Cname": cname, "Uid": uid, **changes}
        return {name: value for name, value in headers.items() if value is not None}

    def post(self, path: str, content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """A POST of JSON, or of bytes without any change."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        own = {"Content-Type": JSON, **(self.signed() if headers is None else headers)}
        return self.http.post(path, content=raw, headers=httpx.Headers(own, encoding="utf-8"))

    def create(self, content: Any = None, headers: dict[str, str] | None = None) -> Any:
        return self.post("/v1/api/task/create", body() if content is None else content, headers).json()

    def close(self, content: Any, headers: dict[str, str] | None = None) -> Any:
        return self.post("/v1/api/task/close", content, headers).json()

    def get(self, path: str, **query: str) -> Any:
        return self.http.get(path, params=query, headers=self.signed()).json()

    def delete(self, path: str, **query: str) -> Any:
        return self.http.delete(path, params=query, headers=self.signed()).json()


def close_body(created: Any, **changes: Any) -> dict[str, Any]:
    """The close body for the answer of a create."""
    return {"cid": created["cid"], "taskType": 7, "taskId": created["result"]["taskId"], **changes}
