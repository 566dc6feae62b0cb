import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.admin.routes import FAULT_AND_SETTING_PATHS
from tests.emulator.api import Api, body, close_body

EVERY_PATH = [
    ("GET", "/-/health"),
    ("GET", "/-/tasks"),
    ("GET", "/-/rooms"),
    ("GET", "/-/requests"),
    ("POST", "/-/reset"),
    ("POST", "/-/seed"),
    ("PUT", "/-/rooms/r"),
    ("DELETE", "/-/rooms/r"),
    ("DELETE", "/-/tasks/1/t"),
    ("GET", "/-/stats"),
    *((method, f"/-{path.replace('{number:int}', '1')}") for method, path, _ in FAULT_AND_SETTING_PATHS),
    ("GET", "/-/nowhere"),
]


def get(api: Api, path: str) -> Any:
    return api.http.get(path).json()


def test_health_names_the_process_and_the_instance(api: Api) -> None:
    health = get(api, "/-/health")
    assert (health["status"], health["pid"]) == ("ok", os.getpid())
    assert get(api, "/-/health")["instance"] == health["instance"]


def test_two_emulators_have_different_instances(api: Api) -> None:
    with Emulator() as other:
        theirs = api.http.get(f"{other.url}/-/health").json()["instance"]
    assert theirs != get(api, "/-/health")["instance"]


def test_tasks_are_shown_in_order_of_start_with_all_that_is_known(api: Api) -> None:
    first = api.create(body("agent", cname="one"), api.signed(**{"X-custom-traceid": "trace"}))
    api.create(body(cname="two"))
    api.close(close_body(first))
    ended, running = get(api, "/-/tasks")["tasks"]
    assert ended == {
        "taskId": first["result"]["taskId"],
        "cid": first["cid"],
        "cname": "one",
        "appKey": api.emulator.app_key,
        "mode": "agent",
        "state": "ended",
        "startedAt": ended["startedAt"],
        "endedAt": ended["endedAt"],
        "endedBy": "close",
        "requestId": first["requestId"],
        "traceId": "trace",
        "data": body("agent")["data"],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", ended["startedAt"])
    assert ended["startedAt"] <= ended["endedAt"]
    assert (running["cname"], running["state"], running["endedAt"]) == ("two", "running", None)


def test_rooms_are_shown_while_they_are_open(api: Api) -> None:
    cid = api.create(body(cname="one"))["cid"]
    (room,) = get(api, "/-/rooms")["rooms"]
    assert (room["cid"], room["cname"]) == (cid, "one")
    api.http.delete("/-/rooms/one")
    assert get(api, "/-/rooms") == {"rooms": []}


def test_reset_forgets_tasks_rooms_requests_and_nonces(api: Api) -> None:
    headers = api.signed()
    api.create(headers=headers)
    assert api.http.post("/-/reset").status_code == 200
    assert get(api, "/-/tasks") == {"tasks": []}
    assert get(api, "/-/rooms") == {"rooms": []}
    assert get(api, "/-/requests") == {"requests": []}
    assert api.create(headers=headers)["code"] == 200


def test_a_room_can_be_opened_by_anyone_on_this_machine(api: Api) -> None:
    cid = api.http.put("/-/rooms/keynote").json()["cid"]
    assert api.get("/v3/api/rooms", cname="keynote")["cid"] == cid


def test_ending_a_room_ends_its_tasks(api: Api) -> None:
    api.create()
    assert api.http.delete(f"/-/rooms/{body()['cname']}").status_code == 200
    assert [task["state"] for task in get(api, "/-/tasks")["tasks"]] == ["ended"]


def test_ending_a_room_can_leave_its_tasks_running(api: Api) -> None:
    api.create()
    api.http.delete(f"/-/rooms/{body()['cname']}?endTasks=false")
    assert [task["state"] for task in get(api, "/-/tasks")["tasks"]] == ["running"]
    assert get(api, "/-/rooms") == {"rooms": []}


@pytest.mark.parametrize("query", ["endTasks=False", "endTasks=", "endTask=false", "app_key=first"])
def test_a_query_of_a_room_that_makes_no_sense_is_an_error_and_nothing_ends(api: Api, query: str) -> None:
    api.create()
    answer = api.http.delete(f"/-/rooms/{body()['cname']}?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]
    assert [task["state"] for task in get(api, "/-/tasks")["tasks"]] == ["running"]
    assert len(get(api, "/-/rooms")["rooms"]) == 1
    assert api.http.put("/-/rooms/another?appkey=first").status_code == 400
    assert len(get(api, "/-/rooms")["rooms"]) == 1


@pytest.mark.parametrize("cname", ["", "r" * 65, "%E4%BC%9A" * 22])
def test_what_cannot_be_a_room_s_name_opens_none(api: Api, cname: str) -> None:
    answer = api.http.put(f"/-/rooms/{cname}")
    assert answer.status_code == 400
    assert answer.json()["error"] == "cname: must be 1 to 64 bytes of UTF-8"
    assert get(api, "/-/rooms") == {"rooms": []}


def test_a_task_can_be_ended_behind_the_clients_back(api: Api) -> None:
    created = api.create()
    api.http.delete(f"/-/tasks/{created['cid']}/{created['result']['taskId']}")
    assert api.close(close_body(created))["errmsg"] == "任务不存在"


@pytest.mark.parametrize("path", ["/-/rooms/nobody", "/-/tasks/1/t", "/-/tasks/x/t", f"/-/tasks/{'9' * 5000}/t"])
def test_what_is_not_there_cannot_be_ended(api: Api, path: str) -> None:
    answer = api.http.delete(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize("cname", ["a/b", "a b", "会议室1", "?#%"])
def test_any_room_name_can_stand_in_the_path(api: Api, cname: str) -> None:
    api.create(body(cname=cname))
    quoted = "".join(f"%{byte:02X}" for byte in cname.encode())
    assert api.http.delete(f"/-/rooms/{quoted}").status_code == 200


@pytest.mark.parametrize(("method", "path"), EVERY_PATH)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.2", "127.0.0.1@evil", ""]
)
def test_a_foreign_host_is_refused_on_every_path(api: Api, method: str, path: str, host: str) -> None:
    api.create()
    answer = api.http.request(method, path, headers={"Host": host})
    assert answer.status_code == 403
    assert [task["state"] for task in api.emulator.tasks()] == ["running"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost", "LocalHost:8907", "[::1]", "[::1]:8907"])
def test_every_name_of_this_machine_is_accepted(api: Api, host: str) -> None:
    assert api.http.get("/-/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(("method", "path"), EVERY_PATH)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_is_refused_on_every_path(api: Api, method: str, path: str, origin: str) -> None:
    api.create()
    answer = api.http.request(method, path, headers={"Origin": origin})
    assert answer.status_code == 403
    assert [task["state"] for task in api.emulator.tasks()] == ["running"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/-/nowhere"),
        ("POST", "/-/health"),
        ("GET", "/-/reset"),
        ("PATCH", "/-/faults"),
        ("HEAD", "/-/x"),
        ("GET", "/-/"),
    ],
)
def test_what_is_not_there_is_said_with_the_emulators_date(api: Api, method: str, path: str) -> None:
    api.emulator.clock.offset = 86400.0
    answer = api.http.request(method, path)
    assert answer.status_code == 404
    assert method == "HEAD" or "no such path" in answer.json()["error"]
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time() > 86000


def test_stats_are_those_since_the_last_reset(api: Api) -> None:
    api.create()
    api.get("/v3/api/rooms", cname="r")
    assert get(api, "/-/stats") == {
        "inFlight": 0,
        "maxInFlight": 1,
        "requests": 1,
        "byVerb": {"create": 1, "query": 1},
        "throttled": 0,
    }
    assert get(api, "/-/stats") == api.emulator.stats()
    api.http.post("/-/reset")
    assert get(api, "/-/stats") == {"inFlight": 0, "maxInFlight": 0, "requests": 0, "byVerb": {}, "throttled": 0}


def test_a_page_of_its_own_may_ask(api: Api) -> None:
    assert api.http.post("/-/reset", headers={"Origin": api.emulator.url}).status_code == 200


FOLLOWED_LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(("method", "path"), EVERY_PATH)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of"])
def test_what_a_browser_says_is_of_another_site_is_refused_on_every_path(
    api: Api, method: str, path: str, site: str
) -> None:
    api.create()
    answer = api.http.request(method, path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
    assert answer.status_code == 403
    assert [task["state"] for task in api.emulator.tasks()] == ["running"]


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_a_browser_says_is_the_page_s_own_or_a_person_s_is_accepted(api: Api, site: str) -> None:
    assert api.http.post("/-/reset", headers={"Sec-Fetch-Site": site}).status_code == 200


def test_a_person_may_follow_a_link_of_another_site_to_look(api: Api) -> None:
    assert api.http.get("/-/tasks", headers=FOLLOWED_LINK).status_code == 200


@pytest.mark.parametrize(
    ("method", "change"),
    [("POST", {}), ("GET", {"Sec-Fetch-Dest": "iframe"}), ("GET", {"Sec-Fetch-Mode": "cors"})],
)
def test_a_form_a_frame_or_a_script_of_another_site_is_no_link(api: Api, method: str, change: dict[str, str]) -> None:
    assert api.http.request(method, "/-/tasks", headers={**FOLLOWED_LINK, **change}).status_code == 403
