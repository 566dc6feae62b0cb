"""What a script would do: `python -m tools.bench.raw create` and `close`, with as many concurrent requests as our
provider, but without state and journal.

It imports nothing of the package, which would take longer than the requests.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

TASKS: Final = Path("tasks.json")
CONCURRENCY: Final = 32


def sign_headers(app_key: str, app_secret: str) -> dict[str, str]:
    """Return the headers of a request that is made without our client."""
    nonce, now = uuid4().hex, str(int(time.time()))
    return {
        "AppKey": app_key,
        "Nonce": nonce,
        "CurTime": now,
        "CheckSum": hashlib.sha1(f"{app_secret}{nonce}{now}".encode()).hexdigest(),  # noqa: S324  the service's choice
        "Content-Type": "application/json;charset=UTF-8",
    }


async def send_all(verb: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send signed requests and return the answers."""
    places, url = asyncio.Semaphore(CONCURRENCY), f"{os.environ['RTCAI_ENDPOINT']}/v1/api/task/{verb}"
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:

        async def send(body: dict[str, Any]) -> dict[str, Any]:
            headers = sign_headers(os.environ["RTCAI_APP_KEY"], os.environ["RTCAI_APP_SECRET"])
            async with places:
                response = await http.post(url, json={"taskType": 7, **body}, headers=headers)
            answer: dict[str, Any] = response.raise_for_status().json()
            return answer

        return await asyncio.gather(*map(send, bodies))


def main(verb: str) -> None:
    """Start BENCH_ROOMS agents, or stop those that were started in this folder."""
    if verb == "close":
        asyncio.run(send_all(verb, json.loads(TASKS.read_text())))
        return
    inputs = json.loads(Path(os.environ["BENCH_CONVERSATION"]).read_text())["inputs"]
    data = {name: inputs[name] for name in ("asr", "llm", "tts", "pipeline")}
    rooms = range(int(os.environ["BENCH_ROOMS"]))
    bodies = [{"cname": f"raw-{number}", "requestId": f"raw-{number}", "data": data} for number in rooms]
    answers = asyncio.run(send_all(verb, bodies))
    TASKS.write_text(json.dumps([{"cid": each["cid"], "taskId": each["result"]["taskId"]} for each in answers]))


if __name__ == "__main__":
    main(sys.argv[1])
