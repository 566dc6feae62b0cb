"""``rtcai validate`` and ``rtcai schema``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtcai_pulumi.events.schema import event_schema

RTCAI = str(Path(sys.executable).with_name("rtcai"))
RIGHT = "agent: {agent: {agentId: a, userId: u}}\nrooms: {a: {}}\n"
WRONG = "agent: {agent: {agentId: {$env: NOT_SET}, userId: u}}\nrooms:\n  a: {cname: 7}\n  b: {adpot: '\x1b[31m'}\n"


def rtcai(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RTCAI_", "PULUMI_"))}
    command = [RTCAI, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_right_file_passes_without_credentials_and_without_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "event.yaml").write_text(RIGHT)
    done = rtcai(tmp_path, "validate")
    assert (done.returncode, done.stdout, done.stderr) == (0, "event.yaml: no problems; 1 room\n", "")


def test_every_mistake_is_listed_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(WRONG.replace("\x1b", "\\e"))
    done = rtcai(tmp_path, "validate", "other.yaml")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "other.yaml:3: rooms.a.cname: must be a string",
        "other.yaml:4: rooms.b.adpot: unknown field; did you mean adopt?",
    ]
    assert done.stderr == "rtcai validate: 2 problems in other.yaml\n"


def test_as_json_the_mistakes_are_objects(tmp_path: Path) -> None:
    (tmp_path / "event.yaml").write_text(WRONG)
    done = rtcai(tmp_path, "validate", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "file": "event.yaml",
        "rooms": 0,
        "mistakes": [
            {
                "file": "event.yaml",
                "line": 4,
                "path": "(root)",
                "reason": "contains a control character, which YAML does not allow",
            }
        ],
    }
    (tmp_path / "event.yaml").write_text(RIGHT)
    done = rtcai(tmp_path, "validate", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"file": "event.yaml", "rooms": 1, "mistakes": []})


def test_what_a_file_says_steers_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "event.yaml").write_text('rooms: {}\n"\\e[31m\\nx": 1\n')
    done = rtcai(tmp_path, "validate")
    assert done.stdout.startswith("event.yaml:2: \\x1b[31m\\nx: unknown field")
    assert done.stdout.count("\n") == 1


def test_a_missing_file_is_reported_and_two_files_are_wrong_usage(tmp_path: Path) -> None:
    done = rtcai(tmp_path, "validate")
    assert done.returncode == 1
    assert done.stdout.startswith("event.yaml: (root): the event file cannot be read: No such file")
    assert rtcai(tmp_path, "validate", "a", "b").returncode == 2


@pytest.mark.parametrize("arguments", [(), ("--output", "event.schema.json")])
def test_the_schema_is_printed_or_written(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = rtcai(tmp_path, "schema", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    written = (tmp_path / "event.schema.json").read_text("utf-8") if arguments else done.stdout
    assert json.loads(written) == event_schema()


def test_a_schema_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    done = rtcai(tmp_path, "schema", "--output", "missing/event.schema.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rtcai schema: missing/event.schema.json cannot be written: No such file")
