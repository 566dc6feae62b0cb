"""Pulumi options that name properties, and options that a dynamic provider cannot support."""

import json
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import calls, live
from tests.engine.stack import Stack
from tests.engine.test_rooms import opened
from tests.engine.test_sequences import URN
from tests.engine.test_up import one_room
from tests.tiers import some_of

pytestmark = [
    pytest.mark.full("each name of each option; tests/unit tries how a name is read"),
    pytest.mark.shows("promise 6"),
]

HOST = """
import pulumi
from rtcai_pulumi import Llm, RealtimeConversation, Role
host = RealtimeConversation("host", cname="keynote", asr={{"asrVendor": 6}}, tts={{"ttsVendor": 6}},
    llm=Llm(llm_vendor=1, role=Role.CUSTOM, custom_prompt_format="{{{{asr_vendor}}}} {{{{voice}}}}",
        custom_prompt_key_word={{"asr_vendor": {prompt!r}, "voice": "v"}}, temperature={temperature}),
    {more}opts=pulumi.ResourceOptions({opts}))
pulumi.export("task", host.task_id)
"""


def host(prompt: str = "one", temperature: float = 0.5, more: str = "", **opts: Any) -> str:
    options = ", ".join(f"{name}={value!r}" for name, value in opts.items())
    return HOST.format(prompt=prompt, temperature=temperature, more=more, opts=options)


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("llm.temperature", {"temperature": 0.9}),
        ("llm.custom_prompt_key_word", {"prompt": "two"}),
        pytest.param("llm.customPromptKeyWord", {"prompt": "two"}, marks=pytest.mark.exhaustive),
        pytest.param("llm.custom_prompt_key_word.asr_vendor", {"prompt": "two"}, marks=pytest.mark.exhaustive),
        ('llm.customPromptKeyWord["asr_vendor"]', {"prompt": "two"}),
        pytest.param("llm", {"prompt": "two", "temperature": 0.1}, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize("way", some_of(["option", "transformation"]))
def test_ignore_changes_takes_the_names_of_the_program(
    stack: Stack, emulator: Emulator, path: str, ignored: dict[str, Any], way: str
) -> None:
    def program(**values: Any) -> str:
        if way == "option":
            return host(**values, ignore_changes=[path])
        return host(**values).replace(
            "host = ",
            "pulumi.runtime.register_stack_transformation(lambda args: pulumi.ResourceTransformationResult(args.props, "
            f"pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(ignore_changes=[{path!r}]))))\nhost = ",
        )

    stack.program(program())
    stack.up().succeeded()
    (task,) = live(emulator)
    assert task["data"]["llm"]["customPromptKeyWord"] == {"asr_vendor": "one", "voice": "v"}, "these are not our names"
    stack.program(program(**ignored))
    assert "2 unchanged" in stack.up().succeeded().output
    assert calls(emulator) == ["create"]


@pytest.mark.parametrize("name", some_of(["task_id", "taskId"]))
def test_additional_secret_outputs_takes_the_names_of_the_program(stack: Stack, emulator: Emulator, name: str) -> None:
    stack.program(host(additional_secret_outputs=[name]))
    stack.up().succeeded()
    (task,) = live(emulator)
    outputs = json.loads(stack.pulumi("stack", "output", "--json").succeeded().output)
    assert outputs == {"task": "[secret]"}
    assert f'"taskId":"{task["taskId"]}"' not in stack.state_text()


def test_hide_diffs_takes_the_names_of_the_program(stack: Stack) -> None:
    stack.program(host(hide_diffs=["llm.temperature"]))
    stack.up().succeeded()
    stack.program(host(temperature=0.9, hide_diffs=["llm.temperature"]))
    assert "temperature: 0.9" not in stack.preview("--diff").succeeded().output


@pytest.mark.parametrize(
    "option", some_of(["ignore_changes", "additional_secret_outputs", "replace_on_changes", "hide_diffs"])
)
def test_a_name_that_is_none_is_refused_with_the_nearest(stack: Stack, emulator: Emulator, option: str) -> None:
    opts: dict[str, Any] = {option: ["llm.temprature"]}
    stack.program(host(**opts))
    run = stack.preview().failed()
    assert (
        f"{option}: unknown property 'temprature' in the path 'llm.temprature'; did you mean 'temperature'?"
        in run.output
    )
    assert "Traceback" not in run.output
    assert emulator.requests() == []


def test_a_room_s_options_take_its_names(stack: Stack, emulator: Emulator) -> None:
    source = """
import pulumi
from rtcai_pulumi import Room
Room("hall", cname="hall", force={force}, opts=pulumi.ResourceOptions({opts}))
"""
    stack.program(source.format(force=False, opts="replace_on_changes=['adopt_existin']"))
    assert "did you mean 'adopt_existing'?" in stack.preview().failed().output
    opts = "ignore_changes=['force'], additional_secret_outputs=['cid', 'app_key']"
    stack.program(source.format(force=False, opts=opts))
    stack.up().succeeded()
    assert emulator.app_key not in stack.state_text()
    stack.program(source.format(force=True, opts=opts))
    assert "2 unchanged" in stack.up().succeeded().output
    assert list(opened(emulator)) == ["hall"]


CANNOT: dict[str, tuple[str, str]] = {
    "import_": ("import_='7/task'", "use adopt='cid/taskId' to manage a running agent"),
    "id": ("id='7/task'", "use adopt='cid/taskId' to manage a running agent"),
    "version": ("version='1.2.3'", "remove the option, and pin rtcai-pulumi in the program's requirements"),
    "plugin_download_url": ("plugin_download_url='https://example.com'", "remove the option"),
    "provider": (
        "provider=other",
        "not supported: a dynamic resource always uses the program's own rtcai-pulumi package",
    ),
    "env_var_mappings": ("env_var_mappings={'A': 'B'}", "only a provider resource has it"),
}


@pytest.mark.parametrize("option", some_of(CANNOT, often=3))
@pytest.mark.parametrize("resource", some_of(["conversation", "room"]))
def test_what_a_dynamic_provider_cannot_do_is_one_sentence_at_preview(
    stack: Stack, emulator: Emulator, option: str, resource: str
) -> None:
    value, sentence = CANNOT[option]
    other = "other = pulumi.ProviderResource('other', 'other', {})\n" if option == "provider" else ""
    room = "from rtcai_pulumi import Room\nRoom('hall', cname='hall', opts=pulumi.ResourceOptions(OPTS))\n"
    source = room if resource == "room" else one_room(more=", opts=pulumi.ResourceOptions(OPTS)")
    stack.program(f"import pulumi\n{other}{source.replace('OPTS', value)}")
    run = stack.preview().failed()
    assert f"has a problem: {option}: " in run.output
    if resource == "room" and option in {"import_", "id"}:
        sentence = "use adopt_existing=True to manage an open room"
    assert sentence in run.output
    assert "Traceback" not in run.output
    assert emulator.requests() == []


@pytest.mark.everyday
@pytest.mark.parametrize("type_", ["RealtimeConversation", "Room"])
def test_pulumi_import_says_how_to_adopt(stack: Stack, type_: str) -> None:
    stack.program("")
    arguments = ["import", f"pulumi-python:dynamic/rtcai:{type_}", "host", "7/task", "--yes", "--skip-preview"]
    run = stack.pulumi(*arguments).failed()
    option = "adopt_existing=True" if type_ == "Room" else "adopt='cid/taskId'"
    assert f"use {option} to manage" in run.output
    assert "KeyError" not in run.output
    assert "Traceback" not in run.output


def test_the_time_of_a_create_is_bounded(stack: Stack, emulator: Emulator) -> None:
    emulator.change_settings(rooms="required")
    bounded = ", wait_for_room=600, opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='3s'))"
    stack.program(f"import pulumi\n{one_room(more=bounded)}")
    run = stack.up().failed()
    assert "the room does not exist. The time limit of custom_timeouts has passed." in run.output
    emulator.open_room("keynote")
    stack.up().succeeded()
    emulator.fault("close", "answer", status=503, times=None)
    stack.program("import pulumi\n" + one_room(more=bounded.replace("create='3s'", "create='3s', delete='2s'")))
    stack.up().succeeded()
    assert "The time limit of custom_timeouts has passed." in stack.destroy().failed().output
    emulator.clear_faults()
    stack.destroy().succeeded()


@pytest.mark.parametrize("changed", some_of([True, False]))
def test_another_account_is_named_at_preview(stack: Stack, emulator: Emulator, changed: bool) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    if changed:
        stack.program(one_room(tts=", speed=2"))
    run = stack.preview(RTCAI_APP_KEY="another-key")
    assert (run.failed() if changed else run.succeeded()).code in {0, 255, 1}
    assert "another-key" in run.output
    assert emulator.app_key in run.output
    assert calls(emulator) == ["create"]
    endpoint = stack.preview(RTCAI_ENDPOINT="http://127.0.0.1:9").output
    assert "http://127.0.0.1:9" in endpoint
    assert emulator.url in endpoint


def test_another_account_is_named_at_the_preview_of_a_replace(stack: Stack, emulator: Emulator) -> None:
    stack.program(one_room())
    stack.up().succeeded()
    run = stack.preview("--replace", URN, RTCAI_APP_KEY="another-key")
    assert "another-key" in run.output
    assert emulator.app_key in run.output
    assert "Traceback" not in run.output
    assert calls(emulator) == ["create"]
