"""The examples in docs/events.md are correct."""

import re
from pathlib import Path

import mypy.api

from rtcai_pulumi.events.agent import PROMPT_FILES
from rtcai_pulumi.events.loader import plan_file
from rtcai_pulumi.events.model import Event, EventRoom
from tests.unit.events.files import written

TEXT = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_event_file_is_a_right_one(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    found = plan_file(written(tmp_path, text))
    assert found.mistakes == ()
    assert [room.inputs["cname"] for room in found.rooms] == ["staging-keynote", "staging-hall-1", "press-conference"]


def test_the_mistakes_are_those_that_are_shown(tmp_path: Path) -> None:
    (text,), (output,) = blocks("yaml"), blocks("console")
    wrong = text.replace("{ttsVendor: 6,", "{ttsVendor: 6, speed: 9,").replace(
        "      pipeline: null", "      llm: {temprature: 1}\n      pipeline: null"
    )
    told = [
        re.sub(r"^.*/event\.yaml:\d+", "", str(mistake)) for mistake in plan_file(written(tmp_path, wrong)).mistakes
    ]
    assert told == [re.sub(r"^event\.yaml:\d+", "", line) for line in output.splitlines() if line.startswith("event.")]


def test_the_programs_pass_mypy(tmp_path: Path) -> None:
    for number, program in enumerate(blocks("python")):
        file = tmp_path / f"program_{number}.py"
        file.write_text(program, encoding="utf-8")
        output, errors, code = mypy.api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(file)])
        assert (code, errors) == (0, ""), output


def test_every_field_is_named() -> None:
    names = [*Event.wire_names(), *EventRoom.wire_names(), *PROMPT_FILES]
    assert not [name for name in names if f"`{name}" not in TEXT and f".{name}`" not in TEXT]
