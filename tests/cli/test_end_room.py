"""``rtcai end-room``: the last resort for an agent whose task id was never received."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import RecordState
from tests.cli.journals import note, start_agent
from tests.cli.service import Service

END_ROOM_RESULT: Any = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cname", "cid", "tasks", "outcome"],
    "properties": {
        "cname": {"type": "string"},
        "cid": {"type": ["string", "null"], "pattern": "^[0-9]+$"},
        "tasks": {"type": "array", "items": {"type": "string"}},
        "outcome": {"enum": ["ended", "was gone", "not confirmed"]},
    },
}


def end_room(service: Service, *arguments: str, code: int = 0) -> dict[str, Any]:
    run = service.run("end-room", *arguments, "--json")
    assert run.exit_code == code, run.output
    report: dict[str, Any] = json.loads(run.stdout)
    Draft202012Validator(END_ROOM_RESULT).validate(report)
    return report


def test_it_ends_a_room_and_what_the_journal_knows_in_it(service: Service) -> None:
    start_agent(service.emulator, "keynote")  # its task id was never received
    task, _ = service.leave_agent(), service.leave_agent("other")
    run = service.run("end-room", "keynote", "--yes")
    assert (run.exit_code, run.stdout) == (0, "Room keynote: ended.\n")
    assert f"task {task} is running in it" in run.stderr
    assert service.rooms == ["other"]
    assert [record.state for record in service.records] == [RecordState.CLOSED, RecordState.OPEN]
    assert service.run("end-room", "keynote").stdout == "Room keynote does not exist; nothing was ended.\n"
    assert end_room(service, "keynote", "--yes") == {
        "cname": "keynote",
        "cid": None,
        "tasks": [],
        "outcome": "was gone",
    }


def test_it_works_without_a_journal_and_tells_what_it_noted(service: Service) -> None:
    start_agent(service.emulator, "keynote")
    assert end_room(service, "keynote", "--yes")["tasks"] == []
    task = service.leave_agent()
    report = end_room(service, "keynote", "--yes")
    assert (report["cid"], report["tasks"], report["outcome"]) == (task.partition("/")[0], [task], "ended")


def test_without_confirmation_the_room_stays(service: Service) -> None:
    service.leave_agent()
    before = service.records
    assert end_room(service, "keynote", code=2)["outcome"] == "not confirmed"
    assert (service.rooms, service.records) == (["keynote"], before)


def test_what_another_account_has_in_a_room_of_that_number_stays_known(service: Service) -> None:
    task = service.leave_agent()
    with Journal(service.journal) as journal:
        note(journal, f"{task.partition('/')[0]}/another", url=service.emulator.url, app_key="another-key")
    assert end_room(service, "keynote", "--yes")["tasks"] == [task]
    assert [record.state for record in service.records] == [RecordState.CLOSED, RecordState.OPEN]


def test_a_lost_create_of_the_room_is_named(service: Service) -> None:
    start_agent(service.emulator, "keynote")
    trace = service.lose_create()
    run = service.run("end-room", "keynote", "--yes")
    assert run.exit_code == 0
    assert f"`rtcai forget {trace}`" in run.stderr


def test_another_account_s_lost_create_for_a_room_of_that_name_is_not(service: Service) -> None:
    """Its room is a different one and still open. To forget its create would start a second agent there."""
    start_agent(service.emulator, "keynote")
    with Journal(service.journal) as journal:
        note(journal, None, url=service.emulator.url, app_key="another-key")
    assert "rtcai forget" not in service.run("end-room", "keynote", "--yes").stderr


@pytest.mark.parametrize("environment", [{"RTCAI_APP_SECRET": "wrong"}, {"RTCAI_APP_SECRET": None}])
def test_a_room_that_cannot_be_ended_is_one_clear_error(service: Service, environment: dict[str, str | None]) -> None:
    service.leave_agent()
    run = service.run("end-room", "keynote", "--yes", **environment)
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr.startswith("rtcai end-room: ")
    assert service.records[0].state is RecordState.OPEN
