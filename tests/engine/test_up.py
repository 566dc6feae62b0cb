"""`pulumi up`, `preview` and `destroy` of the real engine."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.service.signing import basic_token
from tests.engine.service import bodies, calls, live, rooms
from tests.engine.stack import PROJECT, Stack
from tests.samples import SERVICE, VALID, load

pytestmark = pytest.mark.full("more of what is sent; tests/plugin and tests/unit try it without the engine")

CREATE = Draft202012Validator(load("create.schema.json"))
CLOSE = Draft202012Validator(load("close.schema.json"))
THREE_ROOMS = (PROJECT / "__main__.py").read_text(encoding="utf-8")
SAMPLES = {"demo-parameters": "parameters", "demo-agent": "agent", "demo-agent-and-parameters": "agent-and-parameters"}
ONE_ROOM = """
from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Tts
RealtimeConversation("host", cname={cname!r}, asr=Asr(asr_vendor=6), llm=Llm(llm_vendor=1{llm}),
    tts=Tts(tts_vendor=6{tts}), pipeline=Pipeline(interrupt_mode=4, interrupt_words={words!r}){more})
"""


def one_room(
    cname: str = "keynote", llm: str = "", tts: str = "", words: tuple[str, ...] = ("a", "b"), more: str = ""
) -> str:
    return ONE_ROOM.format(cname=cname, llm=llm, tts=tts, words=list(words), more=more)


def integers(value: Any, path: str = "") -> set[str]:
    """The paths of the integers in a body."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {found for key, item in items for found in integers(item, f"{path}/{key}")}
    return {path} if isinstance(value, int) and not isinstance(value, bool) else set()


@pytest.mark.everyday
@pytest.mark.shows("promise 2", "verb create", "verb delete", "pulumi preview", "pulumi up", "pulumi destroy")
def test_the_program_of_make_up_starts_exactly_the_page_s_three_bodies(stack: Stack, emulator: Emulator) -> None:
    stack.program(THREE_ROOMS)
    assert "+ 4 to create" in stack.preview().succeeded().output
    assert emulator.requests() == []

    stack.up().succeeded()
    assert calls(emulator) == ["create"] * 3
    assert rooms(emulator) == sorted(SAMPLES)
    for body in bodies(emulator, "create"):
        CREATE.validate(body)
        sample = load(f"samples/{SAMPLES[body['cname']]}.json")
        assert body == {**sample, "cname": body["cname"], "requestId": body["requestId"]}
        assert integers(sample["data"]) <= integers(body["data"])

    assert "4 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create"] * 3

    stack.destroy().succeeded()
    assert live(emulator) == []
    assert calls(emulator) == ["create"] * 3 + ["close"] * 3
    for body in bodies(emulator, "close"):
        CLOSE.validate(body)


def test_the_outputs_are_what_the_service_answered(stack: Stack, emulator: Emulator) -> None:
    outputs = ("cid", "task_id", "request_id", "trace_id", "created_at", "app_key", "endpoint", "mode", "cname", "asr")
    exports = "".join(f"pulumi.export({name!r}, host.{name})\n" for name in outputs)
    room = one_room().replace("RealtimeConversation(", "host = RealtimeConversation(")
    stack.program(f"import pulumi\n{room}{exports}")
    stack.up().succeeded()
    (task,) = live(emulator)
    outputs = json.loads(stack.pulumi("stack", "output", "--json").succeeded().output)
    assert outputs == {
        "cid": str(task["cid"]),
        "task_id": task["taskId"],
        "request_id": task["requestId"],
        "trace_id": task["traceId"],
        "created_at": outputs["created_at"],
        "app_key": emulator.app_key,
        "endpoint": emulator.url,
        "mode": "parameters",
        "cname": "keynote",
        "asr": {"asrVendor": 6},
    }
    assert datetime.fromisoformat(outputs["created_at"]).tzinfo == UTC
    assert stack.conversations()["host"]["id"] == f"{task['cid']}/{task['taskId']}"


@pytest.mark.parametrize(
    "same",
    [
        one_room(llm=", temperature=0.8, context_size=3, role=1"),
        one_room(tts=", speed=1.0, volume=1"),
        one_room(words=("b", "a")),
        one_room(more=", request_id='another', replace_strategy='start-first', extra={}"),
    ],
    ids=["defaults", "numbers", "order", "provider-only"],
)
def test_another_spelling_changes_nothing(stack: Stack, emulator: Emulator, same: str) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    stack.program(same)
    assert "2 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create"]


@pytest.mark.everyday
@pytest.mark.shows("verb diff", "promise 8")
def test_a_changed_field_replaces_exactly_that_agent_and_stops_the_old_one_first(
    stack: Stack, emulator: Emulator
) -> None:
    other = one_room(cname="other").replace('"host"', '"other"')
    stack.program(one_room() + other)
    stack.up().succeeded()
    (untouched,) = [task for task in live(emulator) if task["cname"] == "other"]

    stack.program(one_room(llm=", temperature=0.1") + other)
    assert "[diff: ~llm]" in stack.preview().succeeded().output
    stack.up().succeeded()
    assert calls(emulator)[2:] == ["close", "create"]
    assert rooms(emulator) == ["keynote", "other"]
    assert untouched in live(emulator)
    assert bodies(emulator, "create")[-1]["data"]["llm"] == {"llmVendor": 1, "temperature": 0.1}


@pytest.mark.parametrize(
    "changed",
    [one_room(cname="elsewhere"), one_room(tts=", speed=2", more=", replace_strategy='start-first'")],
    ids=["another room", "start-first"],
)
def test_a_new_agent_that_may_overlap_starts_before_the_old_one_stops(
    stack: Stack, emulator: Emulator, changed: str
) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    stack.program(changed)
    stack.up().succeeded()
    assert calls(emulator)[1:] == ["create", "close"]
    assert len(live(emulator)) == 1


def test_an_output_of_one_conversation_feeds_another(stack: Stack, emulator: Emulator) -> None:
    stack.program(
        """
import pulumi
from rtcai_pulumi import Agent, Asr, Llm, RealtimeConversation, Tts
first = RealtimeConversation("first", cname="one", agent=Agent(agent_id="a", user_id="u"))
RealtimeConversation("second", cname=first.task_id.apply(lambda task: f"after-{task[:4]}"),
    asr=Asr(asr_vendor=first.cid.apply(lambda cid: int(cid) % 7)), tts={"ttsVendor": 6, "voice": first.request_id},
    llm=first.task_id.apply(lambda task: Llm(llm_vendor=1, role=0, custom_prompt=f"Follow {task}.")))
"""
    )
    preview = stack.preview("--diff").succeeded().output
    assert "asrVendor: [unknown]" in preview
    assert emulator.requests() == []
    stack.up().succeeded()
    first, second = live(emulator)
    assert second["cname"] == f"after-{first['taskId'][:4]}"
    assert second["data"] == {
        "asr": {"asrVendor": first["cid"] % 7},
        "llm": {"llmVendor": 1, "role": 0, "customPrompt": f"Follow {first['taskId']}."},
        "tts": {"ttsVendor": 6, "voice": first["requestId"]},
    }
    assert "3 unchanged" in stack.up().succeeded().output


def test_from_body_takes_the_page_s_bodies(stack: Stack, emulator: Emulator) -> None:
    stack.program(
        f"""
import json, pathlib
from rtcai_pulumi import RealtimeConversation
for name in {VALID!r}:
    body = json.loads(pathlib.Path({str(SERVICE)!r}, "samples", name + ".json").read_text("utf-8"))
    RealtimeConversation.from_body(name, dict(body, cname=name))
"""
    )
    stack.up().succeeded()
    sent = {body["cname"]: body for body in bodies(emulator, "create")}
    assert sent == {name: load(f"samples/{name}.json") | {"cname": name} for name in VALID}


def test_extra_is_sent_with_the_other_fields(stack: Stack) -> None:
    with Emulator(allow_unknown_fields=True) as emulator:
        stack.environment["RTCAI_ENDPOINT"] = emulator.url
        stack.program(one_room(llm=", extra={'new': 3}", more=", extra={'newBlock': {'on': True}}"))
        stack.up().succeeded()
        (body,) = bodies(emulator, "create")
        assert body["data"]["llm"] == {"llmVendor": 1, "new": 3}
        assert body["data"]["newBlock"] == {"on": True}
        assert "2 unchanged" in stack.up().succeeded().output
        stack.program(one_room(llm=", extra={'new': 4}", more=", extra={'newBlock': {'on': True}}"))
        stack.up().succeeded()
        assert calls(emulator) == ["create", "close", "create"]


@pytest.mark.everyday
def test_the_client_flavour_starts_and_stops_an_agent(stack: Stack, emulator: Emulator) -> None:
    del stack.environment["RTCAI_APP_SECRET"]
    token = basic_token(
        emulator.app_key, emulator.app_secret, cname="keynote", uid=9527, ttl=600, now_ms=int(time.time() * 1000)
    )
    stack.environment |= {"RTCAI_TOKEN": token, "RTCAI_UID": "9527"}
    stack.program(one_room())
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote"]
    stack.destroy().succeeded()
    assert live(emulator) == []
    assert {request["path"] for request in emulator.requests()} == {"/ai/task/create", "/ai/task/close"}


@pytest.mark.everyday
def test_the_readme_s_program_is_the_example_and_starts_an_agent(stack: Stack, emulator: Emulator) -> None:
    program = (PROJECT / "examples" / "one-room" / "__main__.py").read_text(encoding="utf-8")
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## A program")[2]
    assert program.partition('"""\n\n')[2] in readme
    stack.program(program)
    stack.up().succeeded()
    assert rooms(emulator) == ["keynote"]
