"""The floor with the requests, and nothing else: what any provider costs that starts and stops agents through httpx.

It keeps no journal, checks nothing, and repeats no request. What ours costs beyond it is what its safety costs.
"""

import os
import threading
from typing import Any, Final

from pulumi.dynamic import CreateResult

from tools.bench.floor import CONVERSATION, FloorProvider

_THREAD: Final = threading.local()


class BareProvider(FloorProvider):
    """Sends one request for each create and each delete."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start an agent; return the outputs of a conversation."""
        data = {block: props[block] for block in ("asr", "llm", "tts", "pipeline")}
        answer = _send("create", {"cname": props["cname"], "requestId": props["cname"], "data": data})
        return CreateResult(f"{answer['cid']}/{answer['result']['taskId']}", {**CONVERSATION["outputs"], **props})

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Stop the agent."""
        cid, _, task = id_.partition("/")
        _send("close", {"cid": int(cid), "taskId": task})


def _send(verb: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a signed request through a transport of this thread, the cheapest way that httpx has."""
    import httpx  # noqa: PLC0415  only the plugin needs it, and it takes long to load

    from tools.bench.raw import sign_headers  # noqa: PLC0415  it imports httpx, too

    if not hasattr(_THREAD, "transport"):
        _THREAD.transport = httpx.HTTPTransport(verify=False)
    headers = sign_headers(os.environ["RTCAI_APP_KEY"], os.environ["RTCAI_APP_SECRET"])
    url = f"{os.environ['RTCAI_ENDPOINT']}/v1/api/task/{verb}"
    request = httpx.Request("POST", url, json={"taskType": 7, **body}, headers=headers)
    response = _THREAD.transport.handle_request(request)
    response.request = request
    response.read()
    answer: dict[str, Any] = response.raise_for_status().json()
    return answer
