"""Event files: what is read, and which mistake is reported for which line."""

from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.events.document import InvalidEvent
from rtcai_pulumi.events.loader import load_event, plan_file
from rtcai_pulumi.events.secrets import NOT_HERE, Reference
from tests.unit.events.files import DEFAULT, default, event, written


def inputs(file: Path) -> dict[str, Any]:
    found = plan_file(file)
    assert found.mistakes == ()
    return {room.key: room.inputs for room in found.rooms}


def mistakes(folder: Path, content: Any) -> dict[str, str]:
    """The mistakes, by path."""
    return {mistake.path: mistake.reason for mistake in plan_file(written(folder, content)).mistakes}


def told(folder: Path, content: Any) -> list[str]:
    return [
        str(mistake).removeprefix(f"{folder}/event.yaml:") for mistake in plan_file(written(folder, content)).mistakes
    ]


def test_a_room_has_the_default_agent_with_its_changes(tmp_path: Path) -> None:
    rooms = {
        "a": None,
        "b": {"agent": {"llm": {"temperature": 0.2}, "pipeline": {"interruptWords": ["x"]}}},
        "c": {"cname": "other", "adopt": "7/task", "agent": {"pipeline": None, "replaceStrategy": "start-first"}},
    }
    agent = default(pipeline={"interruptWords": ["y", "z"]}) | {"waitForRoom": 5, "replaceStrategy": "stop-first"}
    found = inputs(written(tmp_path, event(agent, rooms, roomPrefix="staging-")))
    assert found["a"] == {**agent, "cname": "staging-a"}
    assert found["b"] == {
        **agent,
        "cname": "staging-b",
        "llm": {"llmVendor": 1, "temperature": 0.2},
        "pipeline": {"interruptWords": ["x"]},
    }
    assert found["c"] == {
        **DEFAULT,
        "waitForRoom": 5,
        "replaceStrategy": "start-first",
        "cname": "other",
        "adopt": "7/task",
    }


def test_a_room_ends_with_its_event_unless_it_has_an_end_of_its_own(tmp_path: Path) -> None:
    rooms = {"a": None, "b": {"endsAt": "2026-10-13T20:00:00+08:00"}, "c": {"endsAt": None}}
    found = inputs(written(tmp_path, event(rooms=rooms, endsAt="2026-10-13T18:00:00+08:00")))
    assert {key: room.get("endsAt") for key, room in found.items()} == {
        "a": "2026-10-13T18:00:00+08:00",
        "b": "2026-10-13T20:00:00+08:00",
        "c": None,
    }
    assert "endsAt" not in inputs(written(tmp_path, event()))["a"]


def test_a_wrong_end_is_reported_once_where_it_was_written(tmp_path: Path) -> None:
    rooms = {"a": None, "b": None, "c": {"endsAt": "18:00"}}
    found = mistakes(tmp_path, event(rooms=rooms, endsAt="2026-10-13T18:00:00"))
    assert found == {
        "endsAt": "has no offset from UTC; add one, as in 2026-10-13T18:00:00+08:00, or Z for UTC",
        "rooms.c.endsAt": "must be a date and a time in ISO 8601 with an offset, as in 2026-10-13T18:00:00+08:00",
    }
    assert mistakes(tmp_path, event(endsAt=None)) == {"endsAt": "must not be null; leave it out"}


def test_a_room_of_another_mode_takes_the_default_s_blocks_away(tmp_path: Path) -> None:
    changes = {"agent": {"agentId": "a", "userId": "9527"}, "asr": None, "llm": None, "tts": None}
    found = inputs(written(tmp_path, event(rooms={"a": {"agent": changes}})))
    assert found["a"] == {"cname": "a", "agent": {"agentId": "a", "userId": "9527"}}


def test_what_is_loaded_is_the_event(tmp_path: Path) -> None:
    loaded = load_event(written(tmp_path, event(name="staging", createRooms=True, rooms={"a": {"cname": "x"}})))
    assert (loaded.name, loaded.create_rooms, loaded.agent) == ("staging", True, DEFAULT)
    assert loaded.rooms == {"a": {"cname": "x", "agent": {}}}


def test_prompts_come_from_files_next_to_the_event(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "host.md").write_bytes("\ufeffYou host.\r\nBe kind.\r\n\n".encode())
    (tmp_path / "format.md").write_text("You are {{who}}.")
    agent = default(llm={"role": 0, "customPromptFile": "prompts/host.md"})
    own = {"customPromptFormatFile": "format.md", "customPromptKeyWord": {"who": "B"}, "customPrompt": None}
    rooms = {
        "a": {},
        "b": {"agent": {"llm": own}},
        "c": {"agent": {"llm": {"customPrompt": "short"}}},
        "d": {"agent": {"llm": {"customPromptFile": None, "role": 1}}},
        "e": {"agent": {"llm": {"customPrompt": None, "customPromptFile": "format.md"}}},
    }
    found = {key: room["llm"] for key, room in inputs(written(tmp_path, event(agent, rooms))).items()}
    assert found == {
        "a": {"llmVendor": 1, "role": 0, "customPrompt": "You host.\nBe kind."},
        "b": {
            "llmVendor": 1,
            "role": 0,
            "customPromptFormat": "You are {{who}}.",
            "customPromptKeyWord": {"who": "B"},
        },
        "c": {"llmVendor": 1, "role": 0, "customPrompt": "short"},
        "d": {"llmVendor": 1, "role": 1},
        "e": {"llmVendor": 1, "role": 0, "customPrompt": "You are {{who}}."},
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.md", "no such file"),
        ("prompts", "no such file"),
        ("../outside.md", "inside the event file's folder"),
        ("link.md", "inside the event file's folder"),
        ("/etc/hostname", "inside the event file's folder"),
        ("empty.md", "the file is empty"),
        ("latin.md", "not valid UTF-8"),
        ("null\0.md", "cannot be read"),
        ("", "must be the path"),
        (7, "must be the path"),
        ({"$env": "FILE"}, "must be the path"),
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_reported(tmp_path: Path, name: Any, reason: str) -> None:
    folder = tmp_path / "event"
    (folder / "prompts").mkdir(parents=True)
    (tmp_path / "outside.md").write_text("outside")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    (folder / "empty.md").write_text(" \n")
    (folder / "latin.md").write_bytes("é".encode("latin-1"))
    found = mistakes(folder, event(default(llm={"role": 0, "customPromptFile": name})))
    assert list(found) == ["agent.llm.customPromptFile"]
    assert reason in found["agent.llm.customPromptFile"]


def test_a_prompt_is_written_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    found = mistakes(tmp_path, event(default(llm={"role": 0, "customPrompt": "x", "customPromptFile": None})))
    assert found == {"agent.llm.customPromptFile": "must not be null; leave it out"}
    found = mistakes(tmp_path, event(default(llm={"role": 0, "customPrompt": "x", "customPromptFile": "a.md"})))
    assert found == {"agent.llm.customPromptFile": "set customPrompt or customPromptFile, not both"}


def test_a_problem_of_a_prompt_s_text_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "format.md").write_text("You are {{who}}, {{age}}.")
    own = {"role": 0, "customPromptFormatFile": "format.md", "customPromptKeyWord": {"who": "B"}}
    found = mistakes(tmp_path, event(default(llm=own)))
    assert found == {
        "agent.llm.customPromptFormatFile": "no keyword for the placeholder {{age}}; add it to customPromptKeyWord"
    }


def test_secrets_are_references(tmp_path: Path) -> None:
    agent = default(
        llm={"role": 0, "customPrompt": {"$config": "prompt"}, "extra": {"deep": [{"key": {"$env": "KEY"}}]}},
        pipeline={"interruptMode": 4, "interruptWords": ["stop", {"$env": "WORD"}]},
    )
    found = inputs(written(tmp_path, event(agent, {"a": {"agent": {"tts": {"language": {"$config": "ns:key"}}}}})))
    at = f"{tmp_path}/event.yaml:1: "
    assert found["a"]["llm"]["customPrompt"] == Reference("$config", "prompt", f"{at}agent.llm.customPrompt")
    assert found["a"]["llm"]["extra"]["deep"][0]["key"] == Reference("$env", "KEY", f"{at}agent.llm.extra.deep[0].key")
    assert found["a"]["pipeline"]["interruptWords"][1].name == "WORD"
    assert found["a"]["tts"]["language"] == Reference("$config", "ns:key", f"{at}rooms.a.agent.tts.language")


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        (
            event(default(tts={"speed": {"$env": "X"}})),
            "agent.tts.speed",
            "because this field is not a string",
        ),
        (event({"llm": {"$config": "x"}}), "agent.llm", "because this field is not a string"),
        (
            event({**DEFAULT, "requestId": {"$env": "X"}}),
            "agent.requestId",
            NOT_HERE,
        ),
        (
            event({**DEFAULT, "waitForRoom": {"$env": "X"}}),
            "agent.waitForRoom",
            NOT_HERE,
        ),
        (event(rooms={"a": {"cname": {"$env": "X"}}}), "rooms.a.cname", NOT_HERE),
        (event(rooms={"a": {"adopt": {"$env": "X"}}}), "rooms.a.adopt", NOT_HERE),
        (event(name={"$config": "x"}), "name", NOT_HERE),
        (event(default(tts={"voice": {"$evn": "X"}})), "agent.tts.voice", "did you mean $env?"),
        (event(default(tts={"voice": {"$qqqqqq": "X"}})), "agent.tts.voice", "use $config or $env"),
        (event(default(tts={"voice": {"$env": "X", "$config": "y"}})), "agent.tts.voice", "must have exactly one key"),
        (event(default(tts={"voice": {"$env": "not a name"}})), "agent.tts.voice", "name of an environment variable"),
        (event(default(tts={"voice": {"$env": 7}})), "agent.tts.voice", "name of an environment variable"),
        (event(default(tts={"voice": {"$config": "a:b:c"}})), "agent.tts.voice", "a key of the stack's config"),
        (event(default(tts={"voice": {"env": "X"}})), "agent.tts.voice", "must be a string"),
    ],
)
def test_a_reference_that_is_not_valid_is_reported(tmp_path: Path, content: Any, path: str, reason: str) -> None:
    found = mistakes(tmp_path, content)
    assert reason in found.pop(path)
    assert not any("reference" in other for other in found.values())


def test_a_mistake_of_the_default_agent_is_reported_once(tmp_path: Path) -> None:
    rooms = {f"r{number}": {"agent": {"tts": {"volume": 1}}} for number in range(40)}
    found = mistakes(tmp_path, event(default(tts={"speed": 9}, llm={"role": 0}), rooms))
    assert list(found) == ["agent.tts.speed", "agent.llm"]


def test_a_missing_default_is_reported_there_if_every_room_lacks_it(tmp_path: Path) -> None:
    agent = {"asr": {"asrVendor": 6}, "llm": {"llmVendor": 1}}
    assert list(mistakes(tmp_path, event(agent, {"a": {}, "b": {}}))) == ["agent.tts"]
    changes = {"agent": {"tts": {"ttsVendor": 6}}}
    assert mistakes(tmp_path, event(agent, {"a": changes, "b": changes})) == {}
    assert list(mistakes(tmp_path, event(agent, {"a": changes, "b": {}}))) == ["rooms.b.agent.tts"]


def test_a_mistake_of_a_room_is_reported_at_the_room(tmp_path: Path) -> None:
    agent = default(llm={"role": 11}, pipeline={"interruptMode": 4, "interruptWords": ["x"]})
    rooms = {
        "fine": {},
        "prompt": {"agent": {"llm": {"customPrompt": "x"}}},
        "words": {"agent": {"pipeline": {"interruptWords": []}}},
        "without": {"agent": {"asr": None}},
        "vendor": {"agent": {"tts": {"ttsVendor": None}}},
    }
    content = event(agent, rooms)
    assert set(mistakes(tmp_path, content)) == {
        "rooms.prompt.agent.llm.role",
        "rooms.words.agent.pipeline.interruptWords",
        "rooms.without.agent.asr",
        "rooms.vendor.agent.tts.ttsVendor",
    }


def test_a_part_need_not_be_a_whole_agent(tmp_path: Path) -> None:
    agent, rest = {"agent": {"agentId": "a"}}, {"agent": {"userId": "u"}}
    assert mistakes(tmp_path, event(agent, {"a": {"agent": rest}})) == {}
    assert mistakes(tmp_path, event(agent, {})) == {}
    assert list(mistakes(tmp_path, event(agent, {"a": {}}))) == ["agent.agent.userId"]


def test_a_field_of_a_room_in_the_default_agent_is_reported_once(tmp_path: Path) -> None:
    agent = {**DEFAULT, "adopt": "x", "owner": 7}
    assert list(mistakes(tmp_path, event(agent, {"a": {}, "b": {}}))) == ["agent.adopt", "agent.owner"]


def test_a_wrong_default_is_reported_even_if_every_room_overrides_it(tmp_path: Path) -> None:
    found = mistakes(tmp_path, event(default(tts={"speed": 9}), {"a": {"agent": {"tts": {"speed": 1}}}}))
    assert list(found) == ["agent.tts.speed"]


MANY = """\
name: two words
roomPrefix: 7
creatRooms: true
agent:
  asr: {asrVendor: six}
  llm:
    llmVendor: 1
    temprature: 2
    customPromptKeyWord: {age: null}
  tts: {ttsVendor: 6, speed: 9}
  cname: x
rooms:
  a:
    cname: b
  b:
  b: {}
  c/d: 7
  e:
    agnet: {}
    agent: null
"""


def test_all_mistakes_are_reported_together_with_their_lines(tmp_path: Path) -> None:
    fields = "agent, asr, llm, tts, pipeline, requestId, replaceStrategy, waitForRoom"
    not_listed = " (a field that the service's API documentation does not list belongs in extra)"
    assert told(tmp_path, MANY) == [
        "1: name: must be one word without the characters :, / or |, because it is part of resource names",
        "2: roomPrefix: must be a string",
        "3: creatRooms: unknown field; did you mean createRooms?",
        "5: agent.asr.asrVendor: must be a whole number",
        f"8: agent.llm.temprature: unknown field; did you mean temperature?{not_listed}",
        "9: agent.llm.customPromptKeyWord.age: must not be null; leave it out",
        "10: agent.tts.speed: out of range (0.8 to 2); the nearest valid value is 2",
        f"11: agent.cname: unknown field; the fields here are {fields}{not_listed}",
        "15: rooms.b.cname: the same room as rooms.a. Two agents in one room talk to each other. Set another cname",
        "16: rooms.b: already set in line 15; remove one of the two",
        "17: rooms.c/d: must be one word without the characters :, / or |, because it is part of resource names",
        "19: rooms.e.agnet: unknown field; did you mean agent?",
        "20: rooms.e.agent: must not be null; leave it out",
    ]


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        ("", "(root)", "must be an object"),
        ("[1]", "(root)", "must be an object"),
        ("agent: {}", "rooms", "required"),
        ("rooms: []", "rooms", "must be an object"),
        ("rooms: null", "rooms", "must be an object"),
        (event(agent=[]), "agent", "must be an object"),
        (event(rooms={"a": {"cname": "é" * 40}}), "rooms.a.cname", "must be 1 to 64 bytes"),
        (event(roomPrefix="x" * 64), "rooms.a.cname", "must be 1 to 64 bytes"),
        (event(rooms={"a": {"cname": ""}}), "rooms.a.cname", "must not be empty"),
        (event(rooms={"a": {"cname": None}}), "rooms.a.cname", "must not be null"),
        (event(rooms={"a": {"adopt": "7"}}), "rooms.a.adopt", "must be cid/taskId"),
        (event(rooms={"a": {"extra": {}}}), "rooms.a.extra", "unknown field"),
        (event(extra={}), "extra", "unknown field"),
        (event(link="meet.example.com"), "link", "begins with http"),
        (event(createRooms="yes"), "createRooms", "must be true or false"),
        (event(default(extra={"llm": {}})), "agent.extra.llm", "is a known field"),
    ],
)
def test_an_event_that_is_not_possible_is_reported(tmp_path: Path, content: Any, path: str, reason: str) -> None:
    assert reason in mistakes(tmp_path, content)[path]


def test_no_value_is_ever_shown(tmp_path: Path) -> None:
    wrong = {"asr": {"asrVendor": "SECRET"}, "llm": {"customPrompt": {"x": "SECRET"}}, "tts": {"language": "SECRET"}}
    rooms = {"a": {"cname": ["SECRET"], "agent": {"llm": {"role": "SECRET", "customPromptFile": "SECRET"}}}}
    content = event(wrong, rooms, link="SECRET", createRooms="SECRET", name="SECRET SECRET")
    assert "SECRET" not in "\n".join(told(tmp_path, content))


def test_an_event_without_rooms_has_none(tmp_path: Path) -> None:
    assert inputs(written(tmp_path, "rooms: {}")) == {}


def test_loading_a_bad_file_lists_everything(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match=r"event\.yaml has 13 problems:\n  .*event\.yaml:1: name: ") as raised:
        load_event(written(tmp_path, MANY))
    assert len(raised.value.mistakes) == 13


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (missing,) = plan_file(tmp_path / "missing.yaml").mistakes
    assert str(missing) == (
        f"{tmp_path}/missing.yaml: (root): the event file cannot be read: No such file or directory; check its path"
    )
    file = tmp_path / "latin.yaml"
    file.write_bytes("name: é".encode("latin-1"))
    assert [str(mistake) for mistake in plan_file(file).mistakes] == [f"{file}: (root): is not valid UTF-8"]
