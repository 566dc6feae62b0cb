"""Each verb of the real plugin process."""

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as messages

from rtcai_pulumi.config.wire import flat_inputs
from rtcai_pulumi.emulator import Emulator
from tests.plugin.plugin import REFERENCE, UNKNOWN, Plugin, running_plugin
from tests.samples import INVALID, VALID, invalid_paths, load, parameters, path_in_program

# The states of every release contain this string: it must load forever.
STORED_REFERENCE = "gASVNQAAAAAAAACMFXJ0Y2FpX3B1bHVtaS5wcm92aWRlcpSMFENvbnZlcnNhdGlvblByb3ZpZGVylJOUKYGULg=="


def reported(plugin: Plugin, inputs: dict[str, Any]) -> list[str]:
    failures = plugin.check(inputs)
    assert all(name == "" for name, _ in failures), "with a property name the engine prints the property's value"
    return [reason.partition(": ")[0] for _, reason in failures]


@pytest.mark.parametrize("name", VALID)
def test_check_accepts_the_bodies_of_the_page(plugin: Plugin, name: str) -> None:
    assert plugin.check(flat_inputs(load(f"samples/{name}.json"))) == []


def expressible(name: str) -> bool:
    """Whether a program can express it: nulls are lost on the way, and a program sets no fields next to the blocks."""
    path = invalid_paths()[name]
    return (
        path not in {"(root)", "taskType", "roomName", "asr"}
        and not name.endswith("null")
        and name
        not in {
            "data-missing",
            "data-array",
        }
    )


@pytest.mark.parametrize("name", [name for name in INVALID if expressible(name)])
def test_check_reports_a_wrong_body_at_its_path(plugin: Plugin, name: str) -> None:
    inputs = flat_inputs(load(f"samples/invalid/{name}.json"))
    assert reported(plugin, inputs) == [path_in_program(invalid_paths()[name])]


@pytest.mark.parametrize(
    ("inputs", "paths"),
    [
        (parameters(cname=UNKNOWN), []),
        (parameters(llm=UNKNOWN), []),
        (parameters(llm={"llmVendor": UNKNOWN, "role": 0, "customPromptKeyWord": {"a": UNKNOWN}}), ["llm"]),
        (
            parameters(llm={"realTimeParam": {"vadThreshold": UNKNOWN, "vadSilenceDuration": -1}}),
            ["llm.realTimeParam.vadSilenceDuration"],
        ),
        (parameters(pipeline={"interruptMode": 4, "interruptWords": [UNKNOWN, 3]}), ["pipeline.interruptWords[1]"]),
    ],
)
def test_check_leaves_unknowns_alone_at_any_depth(plugin: Plugin, inputs: dict[str, Any], paths: list[str]) -> None:
    assert reported(plugin, inputs) == paths
    assert plugin.checked_inputs(inputs) == inputs


def test_check_takes_the_floats_that_integers_arrive_as(plugin: Plugin) -> None:
    assert plugin.check(parameters(asr={"asrVendor": 6.0, "maxSentenceSilence": 500.0})) == []


def test_an_agent_lives_from_create_to_delete(plugin: Plugin, emulator: Emulator) -> None:
    emulator.reset()
    inputs = parameters(llm={"role": 11, "contextSize": 10})
    assert plugin.check(inputs) == []
    id_, outputs = plugin.create(inputs)
    (task,) = emulator.tasks()
    assert id_ == f"{task['cid']}/{task['taskId']}"
    assert inputs.items() <= outputs.items()
    assert isinstance(task["data"]["llm"]["contextSize"], int)

    same = plugin.diff(id_, outputs, inputs)
    assert (same.changes, list(same.replaces)) == (messages.DiffResponse.DIFF_NONE, [])
    changed = plugin.diff(id_, outputs, {**inputs, "tts": {"ttsVendor": 7}})
    assert (changed.changes, list(changed.replaces)) == (messages.DiffResponse.DIFF_SOME, ["tts"])
    assert changed.deleteBeforeReplace
    assert not plugin.diff(id_, outputs, {**inputs, "cname": "other"}).deleteBeforeReplace
    unknown = plugin.diff(id_, outputs, {**inputs, "llm": {"llmVendor": UNKNOWN}})
    assert list(unknown.replaces) == ["llm"]

    assert plugin.read(id_, outputs) == (id_, outputs)
    plugin.delete(id_, outputs)
    assert [task["state"] for task in emulator.tasks()] == ["ended"]
    plugin.delete(id_, outputs)
    emulator.end_room("keynote")
    assert plugin.read(id_, outputs) == ("", {})


def test_an_error_has_no_frames_and_no_cause(plugin: Plugin, emulator: Emulator) -> None:
    emulator.reset()
    _, outputs = plugin.create(parameters())
    with pytest.raises(grpc.RpcError) as caught:
        plugin.delete("7/of-another-account", {**outputs, "appKey": "another-key"})
    text = caught.value.details() or ""
    assert text.startswith(
        "rtcai_pulumi.OtherAccount: The settings belong to another account than the agent in room keynote"
    )
    assert "another-key" in text
    assert "Traceback" not in text
    assert "File " not in text
    assert emulator.app_secret not in text


def test_config_serves_where_the_environment_says_nothing(emulator: Emulator, tmp_path: Path) -> None:
    emulator.reset()
    with running_plugin(tmp_path / "journal.db") as plugin:
        plugin.configure(
            **{
                "rtcai:appKey": emulator.app_key,
                "rtcai:appSecret": emulator.app_secret,
                "rtcai:endpoint": emulator.url,
            }
        )
        plugin.create(parameters())
    assert len(emulator.tasks()) == 1


def test_the_stored_reference_is_pinned_and_short() -> None:
    assert REFERENCE == STORED_REFERENCE
    assert len(base64.b64decode(REFERENCE)) <= 72


def test_the_stored_reference_loads_in_a_clean_process_without_an_http_library() -> None:
    program = f"""
import base64, dill, sys
provider = dill.loads(base64.b64decode({STORED_REFERENCE!r}))
print(type(provider).__module__, type(provider).__name__, vars(provider), "httpx" in sys.modules)
"""
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["rtcai_pulumi.provider", "ConversationProvider", "{}", "False"]


def test_the_stored_reference_holds_nothing_but_a_name() -> None:
    assert b"rtcai_pulumi.provider" in base64.b64decode(STORED_REFERENCE)
