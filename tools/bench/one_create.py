"""The cost of one create in addition to the plain HTTP call: the journal, and the rest of the provider."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.settings import Settings
from tools.bench.raw import sign_headers

INPUTS = {
    "cname": "bench",
    "asr": {"asrVendor": 6},
    "llm": {"llmVendor": 1, "role": 1},
    "tts": {"ttsVendor": 6, "speed": 1.2},
    "pipeline": {"interruptMode": 4, "interruptWords": ["stop"]},
}


def compare(folder: Path, rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each way, measured in turns so that a slow moment of the machine affects all of
    them.
    """
    with Emulator() as emulator, httpx.Client() as http, Journal(folder / "journal.db") as journal:
        settings = Settings(emulator.app_key, app_secret=emulator.app_secret, endpoint=emulator.url, max_rps=1e6)
        with Client(settings) as client:
            run = Run(lambda: client, lambda: journal)
            ways: dict[str, Callable[[], object]] = {
                "call": lambda: _bare_call(http, emulator),
                "provider": lambda: create({**INPUTS, "owner": f"bench:{uuid4()}"}, run),
                "journal": lambda: _journal_alone(journal),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(rounds + 5):
                for name, way in ways.items():
                    began = time.perf_counter()
                    way()
                    if number >= 5:  # the first requests open connections
                        times[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(taken) for name, taken in times.items()}


def _bare_call(http: httpx.Client, emulator: Emulator) -> None:
    headers = {**sign_headers(emulator.app_key, emulator.app_secret), "X-custom-traceid": uuid4().hex}
    body = json.dumps(DesiredAgent(INPUTS).body("bench"))
    http.post(f"{emulator.url}/v1/api/task/create", content=body, headers=headers).raise_for_status()


def _journal_alone(journal: Journal) -> None:
    record = Record(
        trace_id=uuid4().hex, owner="bench", app_key="key", endpoint="endpoint", room_endpoint="endpoint",
        cname="bench", request_id="bench", digest="digest", process=journal.process,
    )  # fmt: skip
    record = journal.add(record)
    journal.record(record.trace_id)
    answered = journal.record_response(record, 1, record.trace_id)
    if answered:
        journal.record_return(answered, kept=answered.kept)
