"""No room name can make a command print terminal control sequences, or a line that the name contains."""

import pytest

from rtcai_pulumi.cli.app import app
from rtcai_pulumi.journal.journal import Journal
from tests.cli.journals import export, note, resource, start_agent, urn
from tests.cli.service import Service

HOSTILE = "hall\x1b[2J\x07\nAgent of the hall is stopped.\x9b31m\u202e"
MADE_UP = "Agent of the hall is stopped."


def left(service: Service) -> str:
    """An agent in a room for which the journal has a different name than the service."""
    task = start_agent(service.emulator, "hall")
    with Journal(service.journal) as journal:
        note(journal, task, cname=HOSTILE, url=service.emulator.url)
    return task


def commands(service: Service) -> dict[str, list[str]]:
    """A call of each command that can print a name."""
    running, kept, state = left(service), left(service), str(service.journal.with_name("s.json"))
    lost = service.lose_create(cname=HOSTILE)
    export(service.journal.with_name("s.json"), pending=[resource(None, urn("other"), outputs={"cname": HOSTILE})])
    return {
        "ls": ["ls"],
        "show": ["show", running],
        "pending": ["pending", "--stack-export", state],
        "sweep": ["sweep", "--stack-export", state],
        "close": ["close", running, "--yes"],
        "release": ["release", kept, "--yes"],
        "forget": ["forget", lost, "--yes"],
        "end-room": ["end-room", HOSTILE, "--yes"],
        "token": ["token", HOSTILE, "1"],
        "validate": ["validate", f"{HOSTILE}.yaml"],
        "doctor": ["doctor", "--journal", f"/nonexistent/{HOSTILE}"],
        "schema": ["schema"],
        "emulator": ["emulator", "--state", f"/nonexistent/{HOSTILE}"],
    }


def test_every_command_is_tried(service: Service) -> None:
    known = {command.name or str(getattr(command.callback, "__name__", "")) for command in app.registered_commands}
    assert {name.replace("_", "-") for name in known} == set(commands(service))


@pytest.mark.parametrize(
    "name", ["ls", "show", "pending", "sweep", "close", "release", "forget", "end-room", "validate"]
)
def test_a_name_steers_no_terminal_and_makes_up_no_line(service: Service, name: str) -> None:
    run = service.run(*commands(service)[name])
    output = run.stdout + run.stderr
    assert [char for char in output if not char.isprintable() and char != "\n"] == []
    assert not any(line.strip().startswith(MADE_UP) for line in output.splitlines())


@pytest.mark.parametrize("name", ["token", "doctor", "emulator"])
def test_nor_does_what_is_typed(service: Service, name: str) -> None:
    run = service.run(*commands(service)[name])
    output = run.stdout + run.stderr
    assert [char for char in output if not char.isprintable() and char != "\n"] == []
