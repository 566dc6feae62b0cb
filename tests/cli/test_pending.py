"""``rtcai pending`` distinguishes creates that the journal knows, does not know, or has only in an older version."""

import json
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.config.canonical import DesiredAgent
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import RecordState
from tests.cli.journals import export, note, resource, urn
from tests.cli.service import Service

pytestmark = pytest.mark.shows("safety older-journal")

ASKED_FOR = {"cname": "keynote", "tts": {"ttsVendor": 6}}
OTHER = {"cname": "keynote", "tts": {"ttsVendor": 6, "speed": 2}}
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:canary"}
SEALED = {"cname": "keynote", "llm": {"llmVendor": SECRET}}


class Pending:
    """A state with a create that has not ended, and a journal."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.file = folder / "state.json"

    def state(self, inputs: dict[str, Any], *resources: Any) -> None:
        """The create that a killed run had begun, in addition to the resources in the state."""
        # The engine adds the provider's reference, which is not part of the request.
        create = {"urn": urn(), "type": resource(None)["type"], "inputs": {**inputs, "__provider": "reference"}}
        export(self.file, resources, pending=[create])

    def knows(self, inputs: dict[str, Any], task: str | None = None, *, handed: bool = False, **how: Any) -> None:
        """A record of an earlier run's request."""
        with Journal(self.service.journal) as journal:
            record = note(journal, task, digest=DesiredAgent(inputs).digest, **how)
            if handed:
                journal.record_return(record, kept=record.kept)

    @property
    def rooms(self) -> list[str]:
        """The rooms that the command names. Its exit code must agree."""
        run = self.service.run("pending", "--stack-export", str(self.file), "--json")
        found = [each["cname"] for each in json.loads(run.stdout)]
        assert run.exit_code == int(bool(found)), run.output
        return found


@pytest.fixture
def pending(service: Service, tmp_path: Path) -> Pending:
    return Pending(service, tmp_path)


@pytest.mark.parametrize("state", list(RecordState))
def test_a_record_of_the_same_configuration_speaks_for_the_create(pending: Pending, state: RecordState) -> None:
    pending.state(ASKED_FOR)
    pending.knows(ASKED_FOR, None if state is RecordState.ASKED else "1/a", state=state)
    assert pending.rooms == []


@pytest.mark.parametrize("state", list(RecordState))
def test_a_record_of_another_configuration_does_not(pending: Pending, state: RecordState) -> None:
    pending.state(ASKED_FOR)
    pending.knows(OTHER, None if state is RecordState.ASKED else "1/a", state=state)
    assert pending.rooms == ["keynote"]


def test_another_resource_s_record_does_not(pending: Pending) -> None:
    pending.state(ASKED_FOR)
    pending.knows(ASKED_FOR, "1/a", of=urn("another"))
    assert pending.rooms == ["keynote"]


@pytest.mark.parametrize("stored", ["gone", "stopped"])
def test_a_journal_in_which_a_stopped_agent_still_runs_speaks_for_nothing(pending: Pending, stored: str) -> None:
    pending.state(ASKED_FOR, *([resource("1/b", pendingReplacement=True)] if stored == "stopped" else []))
    pending.knows(ASKED_FOR, "1/a", state=RecordState.CLOSED, handed=True)
    assert pending.rooms == []
    pending.knows(OTHER, "1/b", handed=True)
    assert pending.rooms == ["keynote"]


def test_an_agent_that_a_killed_run_had_returned_is_known(pending: Pending) -> None:
    pending.state(ASKED_FOR)
    pending.knows(ASKED_FOR, "1/a", handed=True)
    assert pending.rooms == []


def test_a_create_with_a_known_outcome_is_not_pending(pending: Pending) -> None:
    pending.state(ASKED_FOR, resource("1/a"))
    pending.knows(ASKED_FOR, "1/a", handed=True)
    assert pending.rooms == []


def test_for_a_secret_configuration_a_create_without_an_answer_speaks(pending: Pending) -> None:
    pending.state(SEALED)
    assert pending.rooms == ["keynote"]
    pending.knows(OTHER, "1/a")
    assert pending.rooms == ["keynote"]
    pending.knows(OTHER)
    assert pending.rooms == []


@pytest.mark.parametrize(
    ("modified", "rooms"), [("2026-01-01T00:00:00.123456789Z", []), ("2999-01-01T00:00:00Z", ["keynote"])]
)
def test_for_a_secret_configuration_a_record_speaks_that_is_newer_than_the_state(
    pending: Pending, modified: str, rooms: list[str]
) -> None:
    times = {"created": "2025-01-01T00:00:00Z", "modified": modified}
    pending.state(SEALED, resource("2/else", urn("else"), **times))
    pending.knows(OTHER, "1/a")
    assert pending.rooms == rooms


def test_two_creates_of_one_room_are_named_once(pending: Pending) -> None:
    creates = [{"urn": urn(), "type": resource(None)["type"], "inputs": inputs} for inputs in (ASKED_FOR, OTHER)]
    export(pending.file, pending=creates)
    assert pending.rooms == ["keynote"]


def test_the_people_s_lines_say_what_to_do(pending: Pending) -> None:
    pending.state(ASKED_FOR)
    run = pending.service.run("pending", "--stack-export", str(pending.file))
    assert (run.exit_code, run.stdout) == (1, "room keynote (host)\n")
    assert "it is unknown whether they were started:\n" in run.stderr
    assert "  to do: restore the journal of that run" in run.stderr
    assert "then repeat this command\n" in run.stderr


def test_a_time_that_is_none_is_refused(pending: Pending) -> None:
    pending.state(SEALED, {**resource("2/else", urn("else")), "modified": "yesterday"})
    run = pending.service.run("pending", "--stack-export", str(pending.file))
    assert run.exit_code == 1
    assert '"modified" of a resource is not a time' in run.stderr
