"""States that an older release stored: they load, show no difference, and can be destroyed."""

import json
from pathlib import Path

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.service.client import Client
from rtcai_pulumi.service.settings import Settings
from tests.engine.service import calls, live
from tests.engine.stack import TYPE, Stack
from tests.samples import SERVICE

pytestmark = [
    pytest.mark.full("one state of each older release; the newest is tried every day"),
    pytest.mark.shows("promise 4", "safety old-states"),
]

STATES = SERVICE.parent / "states"
PROGRAM = """
from rtcai_pulumi import Agent, Asr, Llm, Pipeline, RealtimeConversation, Role, Tts
RealtimeConversation("parameters", cname="old-parameters", asr=Asr(asr_vendor=6, src_lan="AUTO"),
    llm=Llm(llm_vendor=1, role=Role.CUSTOM, custom_prompt="Be kind.", context_size=10),
    tts=Tts(tts_vendor=6, speed=1.2),
    pipeline=Pipeline(interrupt_mode=4, interrupt_words=["停止", "打断"]), request_id="r-1")
RealtimeConversation("agent", cname="old-agent", agent=Agent(agent_id="a", user_id="u"), replace_strategy="start-first")
"""


def brought_here(state: Path, emulator: Emulator) -> str:
    """A stored state, changed so its agents run in this emulator."""
    text = state.read_text(encoding="utf-8")
    settings = Settings(emulator.app_key, app_secret=emulator.app_secret, endpoint=emulator.url)
    with Client(settings, transport=httpx.HTTPTransport()) as client:
        for resource in json.loads(text)["deployment"]["resources"]:
            if resource["type"] == TYPE:
                outputs = resource["outputs"]
                data = {"agent": {"agentId": "a", "userId": "u"}}
                body = {"cname": outputs["cname"], "requestId": "r", "taskType": 7, "data": data}
                task = client.create_task(body, trace_id=f"old-{outputs['cname']}")
                text = text.replace(outputs["cid"], str(task.cid)).replace(outputs["taskId"], task.task_id)
                text = text.replace(outputs["endpoint"], emulator.url)
    return text


@pytest.mark.everyday
@pytest.mark.parametrize("state", sorted(STATES.glob("*.json")), ids=lambda state: state.stem)
def test_a_state_of_an_older_release_differs_in_nothing_and_is_destroyed(
    stack: Stack, emulator: Emulator, tmp_path: Path, state: Path
) -> None:
    (tmp_path / "state.json").write_text(brought_here(state, emulator), encoding="utf-8")
    stack.pulumi("stack", "import", "--file", str(tmp_path / "state.json")).succeeded()
    assert len(stack.conversations()) == 2
    stack.program(PROGRAM)
    assert "3 unchanged" in stack.up("--refresh").succeeded().output
    assert calls(emulator) == ["create", "create"]
    stack.destroy().succeeded()
    assert live(emulator) == []
