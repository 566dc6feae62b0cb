"""Options that a transform sets on the agent, its parent or its event; and what `ignore_changes` applies to."""

import json

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import assert_settled
from tests.engine.test_retention import marks, replaying
from tests.engine.test_rooms import opened
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("more options and places of a transform; `retain_on_delete` by the stack's is tried every day"),
    pytest.mark.shows("promise 6", "promise 8"),
]

__all__ = ["replaying"]

PROGRAM = """
import pulumi
from rtcai_pulumi import Agent, EventRooms, RealtimeConversation, Room
DATA = {{"asr": {{"asrVendor": 6}}, "tts": {{"ttsVendor": 6}},
    "llm": {{"llmVendor": 1, "role": 0, "customPrompt": {prompt!r}}}}}
{before}
def changed(args):
    if args.type_.endswith("RealtimeConversation"):
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions({opts}))
        return pulumi.ResourceTransformResult(args.props, opts)
    return None
"""
WAYS = {
    "agent": """
host = RealtimeConversation("host", cname={cname!r}, **DATA,
    opts=pulumi.ResourceOptions(transforms=[changed]{options}))
""",
    "component": """
wing = pulumi.ComponentResource("test:index:Wing", "wing", opts=pulumi.ResourceOptions(transforms=[changed]{options}))
host = RealtimeConversation("host", cname={cname!r}, **DATA, opts=pulumi.ResourceOptions(parent=wing))
""",
    "event": """
event = EventRooms("event", {{"agent": DATA, "rooms": {{"main": {{"cname": {cname!r}}}}}}},
    opts=pulumi.ResourceOptions(transforms=[changed]{options}))
host = event.conversations["main"]
""",
}
IN_ORDER = {"agent": "", "component": "", "event": ", depends_on=[hall]"}
"""For each way, how the agent is declared after its room. The agents of an event wait for the event's dependencies."""


def program(
    way: str, opts: str, *, prompt: str = "one", cname: str = "keynote", before: str = "", options: str = ""
) -> str:
    """A program with an agent whose options a transform changes."""
    return PROGRAM.format(opts=opts, prompt=prompt, before=before) + WAYS[way].format(cname=cname, options=options)


each_way = pytest.mark.parametrize("way", some_of(WAYS))
some_ways = pytest.mark.parametrize("way", some_of(["agent", "event", "component"]))


@each_way
def test_deleted_with_of_a_transform_stops_the_agent_first(stack: Stack, emulator: Emulator, way: str) -> None:
    emulator.change_settings(rooms="required", tasks_end_with_room=False)
    stack.program(
        program(way, "deleted_with=hall", before='hall = Room("hall", cname="keynote")', options=IN_ORDER[way])
    )
    stack.up().succeeded()
    assert "unchanged" in stack.preview("--expect-no-changes").succeeded().output
    assert "warning" not in stack.destroy().succeeded().output
    assert (live(emulator), opened(emulator)) == ([], {})
    assert calls(emulator) == ["create", "close"]


@each_way
def test_retain_on_delete_of_a_transform_keeps_the_agent(stack: Stack, emulator: Emulator, way: str) -> None:
    stack.program(program(way, "retain_on_delete=True"))
    stack.up().succeeded()
    (retained,) = live(emulator)
    stack.program("")
    stack.up().succeeded()
    assert marks(stack) == {"keynote": "retained"}
    stack.program(program(way, "retain_on_delete=True", cname="elsewhere"))
    stack.up().succeeded()
    assert retained in live(emulator)
    assert rooms(emulator) == ["elsewhere", "keynote"]


# The result of a transform passes through the SDK, which drops a delete_before_replace that is False.
ORDERS = [
    *((way, "transformations", False, "", ["create", "close"]) for way in WAYS),
    ("agent", "transforms", True, ", delete_before_replace=False", ["close", "create"]),
]


@pytest.mark.parametrize(
    ("way", "kind", "value", "options", "order"),
    [
        pytest.param(*order, marks=[pytest.mark.exhaustive] if 0 < number < len(WAYS) else [])
        for number, order in enumerate(ORDERS)
    ],
)
def test_delete_before_replace_of_a_transform_decides_the_order(
    stack: Stack, emulator: Emulator, way: str, kind: str, value: bool, options: str, order: list[str]
) -> None:
    for prompt in ("one", "two"):
        source = program(way, f"delete_before_replace={value}", prompt=prompt, options=options)
        if kind == "transformations":
            source = source.replace("transforms=", "transformations=").replace(
                "TransformResult", "TransformationResult"
            )
        stack.program(source)
        stack.up().succeeded()
    assert calls(emulator) == ["create", *order]
    assert rooms(emulator) == ["keynote"]


@some_ways
def test_ignore_changes_of_a_transform_takes_the_names_of_python(stack: Stack, emulator: Emulator, way: str) -> None:
    stack.program(program(way, "ignore_changes=['llm.custom_prompt']"))
    stack.up().succeeded()
    stack.program(program(way, "ignore_changes=['llm.custom_prompt']", prompt="two"))
    assert "replaced" not in stack.up().succeeded().output
    assert calls(emulator) == ["create"]


@some_ways
def test_additional_secret_outputs_of_a_transform_are_secrets(stack: Stack, emulator: Emulator, way: str) -> None:
    stack.program(program(way, "additional_secret_outputs=['task_id']") + '\npulumi.export("task", host.task_id)\n')
    stack.up().succeeded()
    (task,) = live(emulator)
    assert json.loads(stack.pulumi("stack", "output", "--json").succeeded().output) == {"task": "[secret]"}
    assert f'"taskId":"{task["taskId"]}"' not in stack.state_text()


@some_ways
def test_a_misspelt_name_of_a_transform_is_refused_with_the_nearest(stack: Stack, emulator: Emulator, way: str) -> None:
    stack.program(program(way, "ignore_changes=['llm.temprature']"))
    run = stack.preview().failed()
    assert "unknown property 'temprature' in the path 'llm.temprature'; did you mean 'temperature'?" in run.output
    assert emulator.requests() == []


@some_ways
def test_a_transform_may_take_retention_away(stack: Stack, emulator: Emulator, way: str) -> None:
    stack.program(program(way, "retain_on_delete=False", options=", retain_on_delete=True"))
    stack.up().succeeded()
    assert marks(stack) == {"keynote": "in state"}
    stack.program("")
    stack.up().succeeded()
    assert live(emulator) == []


IGNORING = """
import pulumi
from rtcai_pulumi import Agent, RealtimeConversation
RealtimeConversation({name!r}, cname="keynote", agent=Agent(agent_id="a", user_id="u"),
    opts=pulumi.ResourceOptions(ignore_changes=["*"]{more}))
"""
ELSEWHERE = """
from rtcai_pulumi import Agent, RealtimeConversation
RealtimeConversation("host", cname="elsewhere", agent=Agent(agent_id="a", user_id="u"))
"""


def test_a_renamed_agent_of_which_all_changes_are_ignored_is_known(stack: Stack, emulator: Emulator) -> None:
    stack.program(IGNORING.format(name="host", more=""))
    stack.up().succeeded()
    (agent,) = live(emulator)
    stack.program(IGNORING.format(name="mod", more=', aliases=[pulumi.Alias(name="host")]'))
    assert "1 updated" in stack.up().succeeded().output
    assert "2 unchanged" in stack.up().succeeded().output
    stack.program(IGNORING.format(name="mod", more="") + ELSEWHERE)
    stack.up().succeeded()
    assert agent in live(emulator)
    assert calls(emulator) == ["create", "create"]
    assert_settled(stack, emulator, ["elsewhere", "keynote"])


def test_an_agent_of_which_all_changes_are_ignored_may_be_retained_later(stack: Stack, emulator: Emulator) -> None:
    stack.program(IGNORING.format(name="host", more=""))
    stack.up().succeeded()
    (agent,) = live(emulator)
    stack.program(IGNORING.format(name="host", more=", retain_on_delete=True"))
    assert "1 updated" in stack.up().succeeded().output
    stack.program("")
    stack.up().succeeded()
    assert marks(stack) == {"keynote": "retained"}
    stack.program(ELSEWHERE)
    stack.up().succeeded()
    assert agent in live(emulator)


def test_a_hidden_input_cannot_be_ignored_by_its_name(stack: Stack, emulator: Emulator) -> None:
    stack.program(IGNORING.replace('"*"', '"owner"').format(name="host", more=""))
    assert "ignore_changes: unknown property 'owner'" in stack.preview().failed().output
    assert emulator.requests() == []


@pytest.mark.parametrize("way", some_of(["option", "event", "agent", "component"]))
def test_a_secret_part_makes_its_whole_output_a_secret(stack: Stack, emulator: Emulator, way: str) -> None:
    option = "additional_secret_outputs=['llm.custom_prompt']"
    source = program("agent", "", options=f", {option}") if way == "option" else program(way, option)
    stack.program(source.replace("'one'", "'CANARY prompt'") + '\npulumi.export("llm", host.llm)\n')
    stack.up().succeeded()
    assert json.loads(stack.pulumi("stack", "output", "--json").succeeded().output) == {"llm": "[secret]"}
    assert live(emulator)[0]["data"]["llm"]["customPrompt"] == "CANARY prompt"
    resources = json.loads(stack.state_text())["checkpoint"]["latest"]["resources"]
    assert "CANARY" not in json.dumps([resource.get("outputs") for resource in resources])


@pytest.mark.parametrize(("opts", "servers"), [("protect=False", 1), ("depends_on=[]", 0)])
def test_the_options_of_many_rooms_are_read_by_one_transform_or_by_none_if_nothing_changes_them(
    stack: Stack, emulator: Emulator, opts: str, servers: int
) -> None:
    stack.program(
        PROGRAM.format(opts="", prompt="one", before="from pulumi.runtime import _callbacks")
        + f"""
rooms = {{f"room-{{number}}": {{}} for number in range(12)}}
event = EventRooms("event", {{"agent": DATA, "rooms": rooms}}, opts=pulumi.ResourceOptions({opts}))
event.tasks.apply(lambda _: pulumi.log.info(f"{{len(_callbacks._CallbackServicer._servicers)}} servers of callbacks"))
"""
    )
    assert f"{servers} servers of callbacks" in stack.up().succeeded().output
    assert len(live(emulator)) == 12


def test_a_transform_of_the_stack_counts_for_the_rooms_of_an_event_without_options(
    stack: Stack, emulator: Emulator
) -> None:
    before = "pulumi.runtime.register_resource_transform(lambda args: changed(args))"
    stack.program(
        PROGRAM.format(opts="retain_on_delete=True", prompt="one", before="")
        + f"""
{before}
EventRooms("event", {{"agent": DATA, "rooms": {{"main": {{}}}}}})
"""
    )
    stack.up().succeeded()
    assert [each["inputs"]["options"] for each in stack.conversations().values()] == [{"retainOnDelete": True}]
    stack.destroy().succeeded()
    assert len(live(emulator)) == 1


def test_a_transform_that_is_registered_in_the_middle_of_a_program_counts_for_what_follows(
    stack: Stack, emulator: Emulator
) -> None:
    stack.program(
        PROGRAM.format(opts="retain_on_delete=True", prompt="one", before="")
        + """
wing = pulumi.ComponentResource("test:index:Wing", "wing")
below = pulumi.ResourceOptions(parent=wing)
RealtimeConversation("before", cname="before", **DATA, opts=below)
pulumi.runtime.register_resource_transform(changed)
RealtimeConversation("after", cname="after", **DATA, opts=below)
"""
    )
    stack.up().succeeded()
    inputs = {name: resource["inputs"] for name, resource in stack.conversations().items()}
    assert "options" not in inputs["before"]
    assert inputs["after"]["options"] == {"retainOnDelete": True}
    assert len(live(emulator)) == 2
