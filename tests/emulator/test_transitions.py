"""What a task does without a request, by the emulator's clock."""

from pathlib import Path

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.clock import Clock
from tests.emulator.api import Api, body, close_body


@pytest.fixture
def still(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """An emulator with a stopped clock. Its offset moves the time."""
    monkeypatch.setattr(api.emulator.clock, "source", lambda: 1_800_000_000.0)
    return api


def stages(api: Api) -> list[str]:
    return [task["state"] for task in api.emulator.tasks()]


def total(api: Api) -> int:
    members: int = api.get("/v3/api/rooms", cname=str(body()["cname"]))["total"]
    return members


def test_a_task_that_takes_time_to_start_is_not_in_its_room_before(still: Api) -> None:
    still.emulator.change_settings(start_seconds=2.5)
    still.create()
    assert (stages(still), total(still)) == (["starting"], 0)
    still.emulator.clock.offset = 2.4
    assert (stages(still), total(still)) == (["starting"], 0)
    still.emulator.clock.offset = 2.5
    assert (stages(still), total(still)) == (["running"], 1)


def test_a_member_is_there_since_its_task_has_started(still: Api) -> None:
    still.emulator.change_settings(start_seconds=2.0)
    still.create()
    still.emulator.clock.offset = 10.0
    (member,) = still.get("/v3/api/rooms/members", cname=str(body()["cname"]))["members"]
    assert member["starttime"] == 1_800_000_002_000


def test_a_task_that_is_starting_can_be_closed(still: Api) -> None:
    still.emulator.change_settings(start_seconds=5)
    created = still.create()
    assert still.close(close_body(created))["code"] == 200
    still.emulator.clock.offset = 10.0
    assert stages(still) == ["ended"]


def test_a_task_ends_by_itself_so_many_seconds_after_it_has_started(still: Api) -> None:
    still.emulator.change_settings(start_seconds=1, end_seconds=10)
    created = still.create()
    still.emulator.clock.offset = 10.9
    assert stages(still) == ["running"]
    still.emulator.clock.offset = 3600
    (task,) = still.emulator.tasks()
    assert (task["state"], task["endedBy"]) == ("ended", "itself")
    assert task["endedAt"] == "2027-01-15T08:00:11.000000Z"
    assert still.close(close_body(created))["errmsg"] == "任务不存在"


def test_a_close_notices_a_task_that_has_ended_by_itself(still: Api) -> None:
    still.emulator.change_settings(end_seconds=10)
    created = still.create()
    still.emulator.clock.offset = 11
    assert still.close(close_body(created))["errmsg"] == "任务不存在"


def test_a_change_is_for_the_tasks_that_are_created_after_it(still: Api) -> None:
    still.create()
    still.emulator.change_settings(end_seconds=1)
    still.create()
    still.emulator.clock.offset = 2
    assert stages(still) == ["running", "ended"]


@pytest.mark.parametrize("outliving", [False, True])
def test_the_end_of_a_room_ends_its_tasks_or_not(api: Api, outliving: bool) -> None:
    api.emulator.change_settings(tasks_end_with_room=not outliving)
    first = api.create()
    api.delete(f"/v2/api/rooms/{first['cid']}")
    api.create(body(cname="another"))
    api.emulator.end_room("another")
    assert stages(api) == (["running"] * 2 if outliving else ["ended"] * 2)
    assert {task["endedBy"] for task in api.emulator.tasks()} == ({None} if outliving else {"room"})


@pytest.mark.parametrize("outliving", [False, True])
def test_who_ends_a_room_behind_the_client_s_back_may_say_otherwise(api: Api, outliving: bool) -> None:
    api.emulator.change_settings(tasks_end_with_room=not outliving)
    api.create(body(cname="r"))
    api.emulator.end_room("r", end_tasks=outliving)
    assert stages(api) == (["ended"] if outliving else ["running"])


def test_who_ended_a_task_is_shown(api: Api) -> None:
    closed, ended = api.create(), api.create()
    api.close(close_body(closed))
    api.emulator.end_task(ended["cid"], ended["result"]["taskId"])
    assert [task["endedBy"] for task in api.emulator.tasks()] == ["close", "admin"]


def test_a_restarted_emulator_ends_a_task_at_the_time_that_was_set(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with Emulator(state=state, end_seconds=10, clock=Clock(lambda: 1000.0)) as first, httpx.Client() as http:
        Api(first, http).post(f"{first.url}/v1/api/task/create", body())
    with Emulator(state=state, clock=Clock(lambda: 1009.0)) as second:
        assert [task["state"] for task in second.tasks()] == ["running"]
    with Emulator(state=state, clock=Clock(lambda: 1011.0)) as third:
        assert [(task["state"], task["endedAt"]) for task in third.tasks()] == [
            ("ended", "1970-01-01T00:16:50.000000Z")
        ]
