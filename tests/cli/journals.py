"""Journals and exports that the tests of ``rtcai ls`` and ``rtcai sweep`` create."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.owner import make_owner
from rtcai_pulumi.journal.record import KeepReason, Record, RecordState
from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.settings import Settings
from rtcai_pulumi.stack.export import CONVERSATION
from rtcai_pulumi.stack.owner import owner_prefix
from tests.emulator.api import body

BACKEND = "file:///state"
PREFIX = owner_prefix({"PULUMI_BACKEND_URL": BACKEND}, None)


def urn(name: str = "host", stack: str = "test", project: str = "rooms") -> str:
    return f"urn:pulumi:{stack}::{project}::{CONVERSATION}::{name}"


def start_agent(emulator: Emulator, cname: str) -> str:
    """Start an agent, as a run that was killed later did; returns ``{cid}/{taskId}``."""
    settings = Settings(emulator.app_key, emulator.app_secret, endpoint=emulator.url, room_endpoint=emulator.url)
    with Client(settings) as client:
        task = client.create_task({**body(), "cname": cname, "requestId": uuid4().hex}, trace_id=uuid4().hex)
    return f"{task.cid}/{task.task_id}"


def note(
    journal: Journal,
    task: str | None,
    *,
    of: str | None = None,
    state: RecordState | None = None,
    prefix: str = PREFIX,
    url: str = "http://127.0.0.1:1",
    app_key: str = "emulator-app-key",
    cname: str = "keynote",
    digest: str = "0",
    ends_at: str = "",
    kept: KeepReason = KeepReason.NO,
    stored: bool = False,
) -> Record:
    """Write what a run knew about a task. Without a task, its create was never answered."""
    cid, _, task_id = (task or "").partition("/")
    record = Record(
        trace_id=uuid4().hex,
        owner=make_owner(prefix, of or urn()),
        app_key=app_key,
        endpoint=url,
        room_endpoint=url,
        cname=cname,
        request_id=uuid4().hex,
        digest=digest,
        process=journal.process,
        state=state or (RecordState.OPEN if task else RecordState.ASKED),
        cid=int(cid) if task else None,
        task_id=task_id or None,
        ends_at=ends_at,
        kept=kept,
        stored=stored,
    )
    return journal.add(record)


def resource(task: str | None, of: str | None = None, **more: Any) -> dict[str, Any]:
    return {"urn": of or urn(), "type": CONVERSATION, "id": task or "", "outputs": {"cname": "keynote"}, **more}


def export(file: Path, resources: Sequence[Any] = (), pending: Sequence[Any] = (), *, stack: str = "test") -> str:
    """Write the JSON of `pulumi stack export`. The stack itself is also a resource."""
    root = f"urn:pulumi:{stack}::rooms::pulumi:pulumi:Stack::rooms-{stack}"
    deployment = {
        "manifest": {},
        "resources": [{"urn": root, "type": "pulumi:pulumi:Stack"}, *resources],
        "pending_operations": [{"type": "creating", "resource": each} for each in pending],
    }
    return write(file, {"version": 3, "deployment": deployment})


def write(file: Path, content: Any) -> str:
    file.write_text(json.dumps(content), encoding="utf-8")
    # The kernel's clock for file times is some milliseconds late, so a record just written would seem newer than the
    # file.
    os.utime(file, ns=(time.time_ns(), time.time_ns()))
    return str(file)
