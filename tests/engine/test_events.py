"""Events under the real engine: many rooms from one file, or from a program."""

import json
import re
import shutil
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import bodies, calls, live, rooms
from tests.engine.stack import PROJECT, Run, Stack

pytestmark = pytest.mark.full(
    "the example event-yaml runs an event every day; tests/unit/events tests the rest of the file format"
)

EXAMPLE = PROJECT / "examples" / "event-yaml"
ONE_LINE = "from rtcai_pulumi.events import run\nrun()\n"
SMALL = """\
name: staging
agent:
  asr: {asrVendor: 6}
  llm: {llmVendor: 1}
  tts: {ttsVendor: 6}
rooms:
  a:
  b: {agent: {llm: {temperature: 0.2}}}
"""


def event(stack: Stack, text: str, name: str = "event.yaml") -> None:
    """Set another event, with the program of a team that uses only YAML."""
    stack.program(ONE_LINE)
    (stack.folder / "program" / name).write_text(text, encoding="utf-8")


def example(stack: Stack) -> str:
    """Copy the example's event of forty rooms into the stack's folder."""
    shutil.copytree(EXAMPLE / "prompts", stack.folder / "program" / "prompts")
    text = (EXAMPLE / "event.yaml").read_text(encoding="utf-8")
    event(stack, text)
    stack.program((EXAMPLE / "__main__.py").read_text(encoding="utf-8"))
    return text


def output(stack: Stack, name: str) -> Any:
    return json.loads(stack.pulumi("stack", "output", name, "--json").succeeded().output)


def resources(stack: Stack) -> dict[str, dict[str, Any]]:
    """All resources in the state, by type and name."""
    deployment = json.loads(stack.state_text())["checkpoint"]["latest"]
    return {
        f"{resource['type'].rpartition(':')[2]} {resource['urn'].rpartition('::')[2]}": resource
        for resource in deployment["resources"]
    }


def changed(run: Run) -> set[str]:
    """The conversations that a preview would change, or that an `up` has changed."""
    return set(re.findall(r"RealtimeConversation\s+(\S+)\s+(?:creat|replac|updat|delet)", run.output))


def told(run: Run) -> str:
    """The messages at the end of a run. The same lines appear earlier in its progress."""
    return run.output.partition("Diagnostics:")[2]


def test_forty_rooms_come_up_from_one_file_and_change_one_by_one(stack: Stack, emulator: Emulator) -> None:
    text = example(stack)
    preview = stack.preview().succeeded().output
    assert "+ 42 to create" in preview
    assert emulator.requests() == []
    stack.up().succeeded()
    assert len(rooms(emulator)) == len(set(rooms(emulator))) == 40
    sent = {body["cname"]: body["data"] for body in bodies(emulator, "create")}
    host = (EXAMPLE / "prompts" / "host.md").read_text(encoding="utf-8").strip()
    assert sent["staging-hall-01"]["llm"] == {"llmVendor": 1, "role": 0, "customPrompt": host, "temperature": 0.6}
    assert sent["press-conference"]["llm"] == {"llmVendor": 1, "role": 11, "temperature": 0.6}
    assert sent["staging-interpreting"]["llm"]["customPrompt"].startswith("You interpret")
    assert "pipeline" not in sent["staging-interpreting"]

    tasks = {task["cname"]: f"{task['cid']}/{task['taskId']}" for task in live(emulator)}
    exported = output(stack, "tasks")
    assert len(exported) == 40
    assert exported["press"] == tasks["press-conference"]
    readme = output(stack, "readme")
    assert f"| keynote | staging-keynote | {tasks['staging-keynote']} | [open](<https://meet." in readme

    def step(new: str) -> tuple[set[str], list[str]]:
        event(stack, new)
        before = len(calls(emulator))
        touched = changed(stack.up().succeeded())
        assert len(rooms(emulator)) == len(set(rooms(emulator))) == 40
        return touched, sorted(calls(emulator)[before:])

    # The same file again.
    assert step(text) == (set(), [])
    # The prompt of one room.
    text = text.replace("hall-07:\n", "hall-07: {agent: {llm: {customPrompt: Be brief., role: 0}}}\n")
    assert step(text) == ({"staging-hall-07"}, ["close", "create"])
    # The name of one room.
    text = text.replace("hall-08:", "workshop:")
    assert step(text) == ({"staging-hall-08", "staging-workshop"}, ["close", "create"])
    # A different order.
    head, _, listed = text.partition("rooms:\n")
    items = re.findall(r"^  \S.*\n(?:    .*\n)*", listed, re.MULTILINE)
    text = f"{head}rooms:\n{''.join(reversed(items))}"
    assert step(text) == (set(), [])
    # A prompt file: all rooms that use it, which are the 40 rooms except press, interpreting and hall-07.
    (stack.folder / "program" / "prompts" / "host.md").write_text("Be kind.\n", encoding="utf-8")
    touched, asked = step(text)
    assert len(touched) == 37
    assert asked == ["close"] * 37 + ["create"] * 37
    # The default agent.
    touched, asked = step(text.replace("asrVendor: 6", "asrVendor: 7"))
    assert len(touched) == 40
    assert asked == ["close"] * 40 + ["create"] * 40

    stack.destroy().succeeded()
    assert live(emulator) == []


TEN_MISTAKES = """\
name: staging
roomPrefx: staging-
agent:
  asr: {asrVendor: six}
  llm: {llmVendor: 1, role: 0, customPromptFile: prompts/missing.md, temprature: CANARY}
  tts: {ttsVendor: 6, speed: 9, voice: {$evn: VOICE}}
rooms:
  a:
  b: {cname: a}
  c: {agent: {llm: {contextSize: 0}}}
  d: {cname: {$env: NAME}}
  a: {}
"""


@pytest.mark.everyday
@pytest.mark.shows("verb check")
def test_ten_mistakes_in_a_file_are_ten_errors_with_lines_and_no_request(stack: Stack, emulator: Emulator) -> None:
    event(stack, TEN_MISTAKES)
    for run in (stack.preview().failed(), stack.up().failed()):
        errors = re.findall(r"error: (event\.yaml:\d+: [\w.]+): ", told(run))
        assert errors == [
            "event.yaml:2: roomPrefx",
            "event.yaml:4: agent.asr.asrVendor",
            "event.yaml:5: agent.llm.customPromptFile",
            "event.yaml:5: agent.llm.temprature",
            "event.yaml:6: agent.tts.voice",
            "event.yaml:6: agent.tts.speed",
            "event.yaml:9: rooms.b.cname",
            "event.yaml:10: rooms.c.agent.llm.contextSize",
            "event.yaml:11: rooms.d.cname",
            "event.yaml:12: rooms.a",
        ]
        assert "10 problems in the conversations and rooms of this program" in run.output
        assert "CANARY" not in run.output
    assert emulator.requests() == []


def test_a_file_that_became_wrong_touches_no_room_that_runs(stack: Stack, emulator: Emulator) -> None:
    event(stack, SMALL)
    stack.up().succeeded()
    for wrong in (SMALL.replace("temperature: 0.2", "temperature: 2"), "rooms: [", ""):
        event(stack, wrong)
        stack.up().failed()
    (stack.folder / "program" / "event.yaml").unlink()
    assert "event.yaml: (root): the event file cannot be read" in stack.up().failed().output
    assert calls(emulator) == ["create", "create"]
    assert set(stack.conversations()) == {"staging-a", "staging-b"}


def test_problems_of_an_event_and_of_others_are_reported_together(stack: Stack, emulator: Emulator) -> None:
    event(stack, SMALL.replace("temperature: 0.2", "temperature: 2"))
    stack.program(
        """
from rtcai_pulumi import Agent, EventRooms, RealtimeConversation
EventRooms.from_file("event.yaml")
EventRooms("other", {"agent": {"tts": {"ttsVendor": 6, "speed": 9}}, "rooms": {"a": {}, "b": {}}})
RealtimeConversation("host", cname="keynote", agent=Agent(agent_id="", user_id="u"))
"""
    )
    printed = told(stack.preview().failed())
    for problem in (
        "error: event.yaml:8: rooms.b.agent.llm.temperature: out of range (0 to 1)",
        "error: EventRooms 'other' has a problem: agent.tts.speed: out of range (0.8 to 2)",
        "error: EventRooms 'other' has a problem: agent.llm: required, because neither agent nor llm.enableAgent",
        "error: RealtimeConversation 'host' has a problem: agent.agentId: must not be empty",
    ):
        assert printed.count(problem) == 1, problem
    assert "5 problems in the conversations and rooms" in printed
    assert emulator.requests() == []


def test_load_gives_a_program_the_event_and_lists_all_mistakes_without_frames(stack: Stack, emulator: Emulator) -> None:
    event(stack, SMALL)
    stack.program(
        """
from rtcai_pulumi import EventRooms
from rtcai_pulumi.events import load
EventRooms("mine", load("event.yaml"))
"""
    )
    stack.up().succeeded()
    assert set(stack.conversations()) == {"mine-a", "mine-b"}
    (stack.folder / "program" / "event.yaml").write_text(TEN_MISTAKES, encoding="utf-8")
    run = stack.preview().failed()
    assert "error: the event file event.yaml has 10 problems:" in run.output
    assert "event.yaml:10: rooms.c.agent.llm.contextSize: out of range (1 to 20)" in run.output


def test_the_same_event_in_a_program_has_the_same_rooms(stack: Stack, emulator: Emulator) -> None:
    event(stack, SMALL)
    stack.up().succeeded()
    stack.program(
        """
import pulumi
from rtcai_pulumi import Asr, EventRooms, Llm, Pipeline, Tts
from rtcai_pulumi.events import AgentSettings, Event, EventRoom
late = pulumi.Output.from_input
event = EventRooms("staging", Event(
    agent=AgentSettings(asr=Asr(asr_vendor=6), llm=Llm(llm_vendor=1), tts=Tts(tts_vendor=late(6)), wait_for_room=None,
        pipeline=Pipeline(welcome_message="hello")),
    rooms={
        "b": EventRoom(agent=AgentSettings(llm=Llm(temperature=late(0.2)), pipeline=None)),
        "a": {"cname": late("a"), "agent": {"pipeline": None}},
    }))
pulumi.export("tasks", event.tasks)
pulumi.export("readme", event.readme)
"""
    )
    assert changed(stack.preview().succeeded()) == set()
    assert "4 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create", "create"]


SECRETS = """\
agent:
  asr: {asrVendor: 6}
  llm: {llmVendor: 1, role: 0, customPrompt: {$config: prompt}}
  tts: {ttsVendor: 6, voice: {$env: VOICE}}
rooms:
  a:
  b: {agent: {llm: {customPrompt: {$config: "other:prompt"}}}}
"""


def test_secrets_come_by_reference_and_are_nowhere_but_in_ciphertext(stack: Stack, emulator: Emulator) -> None:
    event(stack, SECRETS)
    missing = told(stack.preview().failed())
    for place, what in (
        (
            "3: agent.llm.customPrompt",
            "the stack's config has no prompt; set it with `pulumi config set --secret",
        ),
        ("4: agent.tts.voice", "the environment variable VOICE is not set or is empty"),
        ("7: rooms.b.agent.llm.customPrompt", "the stack's config has no other:prompt"),
    ):
        assert missing.count(f"error: event.yaml:{place}: {what}") == 1
    stack.pulumi("config", "set", "--secret", "prompt", "CANARY-1").succeeded()
    stack.pulumi("config", "set", "--secret", "other:prompt", "CANARY-2").succeeded()
    stack.environment["VOICE"] = "CANARY-3"
    printed = [stack.preview("--diff").succeeded().output, stack.up().succeeded().output]
    sent = {body["cname"]: body["data"] for body in bodies(emulator, "create")}
    assert sent["a"]["llm"]["customPrompt"] == "CANARY-1"
    assert sent["b"]["llm"]["customPrompt"] == "CANARY-2"
    assert sent["a"]["tts"]["voice"] == sent["b"]["tts"]["voice"] == "CANARY-3"
    assert not any("CANARY" in text for text in (*printed, stack.state_text()))
    assert set(output(stack, "tasks")) == {"a", "b"}
    assert "| a | a | " in output(stack, "readme")
    assert changed(stack.preview().succeeded()) == set()


def test_the_event_file_is_named_by_the_stack_s_config(stack: Stack, emulator: Emulator) -> None:
    event(stack, SMALL, "autumn.yaml")
    stack.pulumi("config", "set", "rtcai:eventFile", "autumn.yaml").succeeded()
    stack.up().succeeded()
    assert rooms(emulator) == ["a", "b"]


@pytest.mark.everyday
def test_rooms_are_opened_and_ended_with_their_agents(stack: Stack) -> None:
    with Emulator(rooms="required") as emulator:
        stack.environment["RTCAI_ENDPOINT"] = emulator.url
        event(stack, SMALL + "createRooms: true\nroomPrefix: staging-\n")
        assert "+ 6 to create" in stack.preview().succeeded().output
        stack.up().succeeded()
        assert rooms(emulator) == ["staging-a", "staging-b"]
        opened = resources(stack)
        for key in "ab":
            assert opened[f"Room staging-{key}"]["outputs"]["cname"] == f"staging-{key}"
            assert opened[f"Room staging-{key}"]["urn"] in opened[f"RealtimeConversation staging-{key}"]["dependencies"]
        assert "6 unchanged" in stack.up().succeeded().output
        stack.destroy().succeeded()
        assert live(emulator) == []


WITH_OPTIONS = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from rtcai_pulumi.events import run
class Keeper(ResourceProvider):
    def create(self, props):
        {create}
        return CreateResult("door", {{}})
class Door(Resource, module="test", name="Door"):
    pass
door = Door(Keeper(), "door", {{}})
run(opts=pulumi.ResourceOptions(depends_on=[door], protect={protect}))
"""


@pytest.mark.parametrize("create_rooms", ["false", "true"])
def test_what_an_event_depends_on_comes_before_its_agents_and_goes_after_them(
    stack: Stack, emulator: Emulator, create_rooms: str
) -> None:
    event(stack, f"{SMALL}createRooms: {create_rooms}\n")
    stack.program(WITH_OPTIONS.format(create="raise RuntimeError('shut')", protect=False))
    assert "shut" in stack.up().failed(frames=True).output
    assert emulator.requests() == []
    stack.program(WITH_OPTIONS.format(create="pass", protect=False))
    stack.up().succeeded()
    found = resources(stack)
    door = found["Door door"]["urn"]
    children = [one for name, one in found.items() if name.split()[0] in {"RealtimeConversation", "Room"}]
    assert len(children) == (4 if create_rooms == "true" else 2)
    assert all(door in child["dependencies"] for child in children)
    gone = stack.destroy().succeeded().output
    assert gone.rindex("RealtimeConversation staging-") < gone.index("Door door deleting")
    assert live(emulator) == []


def test_a_protected_event_has_protected_agents(stack: Stack, emulator: Emulator) -> None:
    event(stack, SMALL)
    stack.program(WITH_OPTIONS.format(create="pass", protect=True))
    stack.up().succeeded()
    assert all(room["protect"] for room in stack.conversations().values())
    event(stack, SMALL.replace("  a:\n", ""))
    stack.program(WITH_OPTIONS.format(create="pass", protect=True))
    assert "protected" in stack.up().failed().output
    assert rooms(emulator) == ["a", "b"]
