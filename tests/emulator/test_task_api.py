from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from tests.emulator.api import Api, assert_form, body, close_body
from tests.samples import INVALID, VALID, invalid_paths, load


def states(api: Api) -> list[str]:
    return [task["state"] for task in api.emulator.tasks()]


@pytest.mark.parametrize("name", VALID)
def test_every_good_sample_starts_a_task(api: Api, name: str) -> None:
    answer = api.create(body(name))
    assert_form(answer, "createSuccess")
    (task,) = api.emulator.tasks()
    assert task["data"] == load(f"samples/{name}.json")["data"]
    assert (task["cid"], task["taskId"]) == (answer["cid"], answer["result"]["taskId"])


@pytest.mark.parametrize("name", INVALID)
def test_every_wrong_sample_is_refused_at_its_path_and_starts_nothing(api: Api, name: str) -> None:
    response = api.post("/v1/api/task/create", load(f"samples/invalid/{name}.json"))
    answer = response.json()
    assert response.status_code == 200
    assert_form(answer, "error")
    assert answer["code"] in {400, 601}
    assert f"{invalid_paths()[name]}: " in answer["errmsg"]
    assert api.emulator.tasks() == []
    assert api.emulator.rooms() == []


def test_all_problems_of_a_body_are_named_together(api: Api) -> None:
    wrong = body()
    wrong["data"]["tts"]["speed"] = 9
    wrong["data"]["llm"]["temperature"] = 2
    answer = api.create(wrong)
    assert answer["code"] == 601
    assert "data.tts.speed: " in answer["errmsg"]
    assert "data.llm.temperature: " in answer["errmsg"]


def test_a_problem_outside_data_is_an_invalid_request(api: Api) -> None:
    wrong = body(cname="")
    wrong["data"]["tts"]["speed"] = 9
    assert api.create(wrong)["code"] == 400


@pytest.mark.parametrize(
    ("block", "field"),
    [("llm", "role"), ("llm", "temperature"), ("tts", "gender"), ("asr", "asrVendor"), ("pipeline", "interruptWords")],
)
def test_a_refusal_never_repeats_a_value(api: Api, block: str, field: str) -> None:
    wrong = body()
    wrong["data"][block][field] = "canary-5b1f"
    response = api.post("/v1/api/task/create", wrong)
    assert response.json()["code"] == 601
    assert "canary" not in response.text


@pytest.mark.parametrize(
    ("name", "mode"),
    [("parameters", "parameters"), ("agent", "agent"), ("agent-and-parameters", "agent+parameters")],
)
def test_a_task_shows_the_mode_that_its_body_asks_for(api: Api, name: str, mode: str) -> None:
    api.create(body(name))
    assert [task["mode"] for task in api.emulator.tasks()] == [mode]


def test_the_answer_repeats_the_request_id(api: Api) -> None:
    assert api.create(body(requestId="mine"))["requestId"] == "mine"


def test_a_request_without_an_id_gets_one_of_its_own(api: Api) -> None:
    first, second = (api.create(body(requestId=None))["requestId"] for _ in range(2))
    assert first
    assert first != second


def test_a_refusal_repeats_the_request_id(api: Api) -> None:
    assert api.create(body(requestId="mine", cname=None))["requestId"] == "mine"


def test_a_task_shows_the_trace_id_of_its_create(api: Api) -> None:
    api.create(headers=api.signed(**{"X-custom-traceid": "trace"}))
    assert [task["traceId"] for task in api.emulator.tasks()] == ["trace"]


def test_a_second_create_in_a_room_starts_a_second_agent(api: Api) -> None:
    first, second = api.create(), api.create()
    assert first["cid"] == second["cid"]
    assert first["result"]["taskId"] != second["result"]["taskId"]
    assert states(api) == ["running", "running"]


def test_the_number_of_a_room_does_not_fit_a_float(api: Api) -> None:
    cids = [api.create(body(cname=f"room-{number}"))["cid"] for number in range(20)]
    assert all(2**53 < cid < 2**63 for cid in cids)
    assert any(int(float(cid)) != cid for cid in cids)
    assert len(set(cids)) == 20


def test_a_room_that_ended_and_is_opened_again_has_another_number(api: Api) -> None:
    first = api.create()
    api.emulator.end_room(body()["cname"])
    assert api.create()["cid"] != first["cid"]


def test_creates_at_once_in_one_room_start_as_many_agents_in_it(api: Api) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.create(), range(48)))
    assert len({answer["cid"] for answer in answers}) == 1
    assert {answer["result"]["taskId"] for answer in answers} == {task["taskId"] for task in api.emulator.tasks()}
    assert len(api.emulator.tasks()) == 48


def test_closing_ends_the_task_and_leaves_the_room_open(api: Api) -> None:
    created = api.create()
    assert_form(api.close(close_body(created)), "closeSuccess")
    assert states(api) == ["ended"]
    assert [room["cid"] for room in api.emulator.rooms()] == [created["cid"]]


def test_closing_ends_no_other_task(api: Api) -> None:
    first, _ = api.create(), api.create()
    api.close(close_body(first))
    assert states(api) == ["ended", "running"]


def test_closing_twice_answers_that_there_is_no_such_task(api: Api) -> None:
    created = api.create()
    api.close(close_body(created))
    answer = api.close(close_body(created))
    assert_form(answer, "error")
    assert (answer["code"], answer["errmsg"]) == (404, "任务不存在")


@pytest.mark.parametrize("change", [{"taskId": "another"}, {"cid": 1}])
def test_closing_under_a_wrong_id_answers_so_and_ends_nothing(api: Api, change: dict[str, Any]) -> None:
    created = api.create()
    answer = api.close(close_body(created, **change))
    assert (answer["code"], answer["errmsg"]) == (404, "任务不存在")
    assert states(api) == ["running"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"cid": "1144707127429101"}, "cid"),
        ({"cid": 1144707127429101.0}, "cid"),
        ({"cid": True}, "cid"),
        ({"cid": 0}, "cid"),
        ({"cid": 2**63}, "cid"),
        ({"cid": None}, "cid"),
        ({"taskType": 6}, "taskType"),
        ({"taskType": "7"}, "taskType"),
        ({"taskType": True}, "taskType"),
        ({"taskId": ""}, "taskId"),
        ({"taskId": 5}, "taskId"),
        ({"cname": "r"}, "cname"),
    ],
)
def test_a_wrong_close_body_is_refused_at_its_path(api: Api, change: dict[str, Any], path: str) -> None:
    answer = api.close(close_body(api.create(), **change))
    assert_form(answer, "error")
    assert answer["code"] == 400
    assert f"{path}: " in answer["errmsg"]
    assert states(api) == ["running"]


@pytest.mark.parametrize("missing", ["cid", "taskType", "taskId"])
def test_a_field_missing_from_a_close_body_is_named(api: Api, missing: str) -> None:
    content = {name: value for name, value in close_body(api.create()).items() if name != missing}
    assert f"{missing}: required" in api.close(content)["errmsg"]


def test_a_close_body_that_is_no_object_is_refused(api: Api) -> None:
    assert "(root)" in api.close([])["errmsg"]


def test_rooms_required_refuses_a_create_until_the_room_is_open() -> None:
    with Emulator(rooms="required") as emulator, httpx.Client(base_url=emulator.url, trust_env=False) as http:
        api = Api(emulator, http)
        refused = api.create()
        assert_form(refused, "error")
        assert (refused["code"], refused["errmsg"]) == (404, "房间不存在")
        assert emulator.tasks() == []
        cid = emulator.open_room(body()["cname"])
        assert api.create()["cid"] == cid


def test_unknown_fields_pass_where_that_is_allowed_and_nothing_else_does() -> None:
    new = body(newField=1)
    new["data"]["tts"]["newField"] = {"deep": [1]}
    new["data"]["newBlock"] = {}
    wrong = {**new, "taskType": 6}
    with (
        Emulator(allow_unknown_fields=True) as emulator,
        httpx.Client(base_url=emulator.url, trust_env=False) as http,
    ):
        api = Api(emulator, http)
        assert_form(api.create(new), "createSuccess")
        assert emulator.tasks()[0]["data"] == new["data"]
        refused = api.create(wrong)
    assert refused["code"] == 400
    assert "taskType" in refused["errmsg"]
    assert "newField" not in refused["errmsg"]


def test_the_codes_that_are_not_documented_can_be_chosen() -> None:
    with (
        Emulator(rooms="required", room_missing_code=1404, task_missing_code=2404) as emulator,
        httpx.Client(base_url=emulator.url, trust_env=False) as http,
    ):
        api = Api(emulator, http)
        assert api.create()["code"] == 1404
        assert api.close({"cid": 1, "taskType": 7, "taskId": "t"})["code"] == 2404
        assert api.get("/v3/api/rooms", cname="r")["code"] == 1404
