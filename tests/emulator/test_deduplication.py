import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from rtcai_pulumi.emulator.api.deduplication import Duplicates, Turn
from rtcai_pulumi.emulator.errors import Rejection
from rtcai_pulumi.emulator.faults.cancellation import Waits
from rtcai_pulumi.emulator.http.request import AuthScheme, Call
from rtcai_pulumi.emulator.http.response import EmulatedAnswer
from rtcai_pulumi.emulator.state.model import ServiceState
from tests.emulator.api import Api, assert_form, body, close_body
from tests.emulator.raw import logged, sent, until
from tests.emulator.test_cancellation import Somebody

Mode = Literal["ignore", "replay", "refuse"]


def create(api: Api, trace_id: str = "trace", content: Any = None) -> Any:
    return api.create(content, api.signed(**{"X-custom-traceid": trace_id}))


async def turns() -> None:
    """Let every task of the event loop run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def in_flight(api: Api, count: int) -> None:
    until(lambda: api.emulator.stats()["inFlight"] == count)


def test_a_trace_id_means_nothing_unless_it_is_configured(api: Api) -> None:
    assert create(api)["result"] != create(api)["result"]
    assert len(api.emulator.tasks()) == 2


def test_a_duplicate_gets_the_answer_of_the_first(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    first = create(api)
    again = create(api, content=body(requestId="another", cname="another"))
    assert_form(again, "createSuccess")
    assert again == first
    assert len(api.emulator.tasks()) == 1
    assert [room["cname"] for room in api.emulator.rooms()] == [body()["cname"]]


def test_a_duplicate_gets_the_same_answer_when_the_task_has_ended_since(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    first = create(api)
    api.close(close_body(first))
    assert create(api) == first
    assert [task["state"] for task in api.emulator.tasks()] == ["ended"]


def test_a_duplicate_is_refused_where_that_is_chosen(api: Api) -> None:
    api.emulator.change_settings(dedup="refuse")
    create(api)
    refused = create(api)
    assert_form(refused, "error")
    assert (refused["code"], refused["errmsg"]) == (431, "重复请求")
    assert len(api.emulator.tasks()) == 1


@pytest.mark.parametrize("dedup", ["replay", "refuse"])
def test_creates_with_other_ids_or_none_are_no_duplicates(api: Api, dedup: Mode) -> None:
    api.emulator.change_settings(dedup=dedup)
    answers = [create(api, "one"), create(api, "two"), api.create(), api.create(), create(api, ""), create(api, "")]
    assert {answer["code"] for answer in answers} == {200}
    assert len(api.emulator.tasks()) == 6


@pytest.mark.parametrize("dedup", ["replay", "refuse"])
@pytest.mark.parametrize("wrong", [{"cname": ""}, {"taskType": 6}])
def test_after_a_first_that_was_refused_the_second_is_as_new(api: Api, dedup: Mode, wrong: dict[str, Any]) -> None:
    api.emulator.change_settings(dedup=dedup)
    assert create(api, content=body(**wrong))["code"] == 400
    assert create(api)["code"] == 200
    assert len(api.emulator.tasks()) == 1


@pytest.mark.parametrize("dedup", ["replay", "refuse"])
def test_an_id_that_was_sent_with_a_wrong_signature_is_not_used_up(api: Api, dedup: Mode) -> None:
    api.emulator.change_settings(dedup=dedup)
    assert api.create(headers=api.signed(**{"X-custom-traceid": "trace", "CheckSum": "0"}))["code"] == 402
    assert create(api)["code"] == 200


def test_who_may_not_ask_gets_no_answer_of_another(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    create(api)
    assert api.create(headers=api.signed(**{"X-custom-traceid": "trace", "CheckSum": "0"}))["code"] == 402


@pytest.mark.parametrize(("kind", "code"), [("answer", 200), ("answer-after", 431)])
def test_a_first_with_another_answer_counts_where_its_work_was_done(
    api: Api, kind: Literal["answer", "answer-after"], code: int
) -> None:
    api.emulator.change_settings(dedup="refuse")
    api.emulator.fault("create", kind, code=500)
    assert [create(api)["code"], create(api)["code"]] == [500, code]


@pytest.mark.parametrize(("work", "code"), [(False, 200), (True, 431)])
def test_a_first_that_was_reset_counts_where_its_work_was_done(api: Api, work: bool, code: int) -> None:
    api.emulator.change_settings(dedup="refuse")
    api.emulator.fault("create", "reset", work=work)
    with pytest.raises(httpx.ReadError):
        create(api)
    assert create(api)["code"] == code


def test_a_lost_create_is_found_again_by_its_id(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    api.emulator.fault("create", "reset", work=True)
    with pytest.raises(httpx.ReadError):
        create(api)
    assert create(api)["result"]["taskId"] == api.emulator.tasks()[0]["taskId"]
    assert len(api.emulator.tasks()) == 1


def test_a_duplicate_waits_for_a_first_that_is_held_at_its_arrival(api: Api, apart: Executor) -> None:
    api.emulator.change_settings(dedup="replay")
    hold = api.emulator.hold("create")
    first = apart.submit(create, api)
    hold.wait()
    others = [apart.submit(create, api) for _ in range(5)]
    in_flight(api, 6)
    assert api.emulator.tasks() == []
    assert not any(other.done() for other in others)
    hold.release()
    assert all(other.result(30) == first.result(30) for other in others)
    assert len(api.emulator.tasks()) == 1


def test_a_duplicate_does_not_wait_for_an_answer_that_is_held(api: Api, apart: Executor) -> None:
    api.emulator.change_settings(dedup="replay")
    with api.emulator.hold("create", at="worked") as hold:
        first = apart.submit(create, api)
        hold.wait()
        again = create(api)
        assert not first.done()
    assert first.result(30) == again


def test_duplicates_of_a_first_that_comes_to_nothing_start_one_task(api: Api, apart: Executor) -> None:
    api.emulator.change_settings(dedup="replay")
    hold = api.emulator.hold("create")
    wrong = apart.submit(create, api, content=body(cname=""))
    hold.wait()
    others = [apart.submit(create, api) for _ in range(5)]
    in_flight(api, 6)
    hold.release()
    assert wrong.result(30)["code"] == 400
    answers = [other.result(30) for other in others]
    assert all(answer == answers[0] for answer in answers)
    assert len(api.emulator.tasks()) == 1


def test_of_the_duplicates_of_a_first_that_came_to_nothing_one_works_and_the_others_wait_for_it() -> None:
    app_key, trace_id = (b"key",), (b"trace",)
    call = Call(
        AuthScheme.SERVER, "POST", "/", (), {}, {"appkey": app_key, "x-custom-traceid": trace_id}, 0, None, None
    )

    async def scene() -> None:
        duplicates, working, on_the_disk = Duplicates(Waits()), [], asyncio.Event()
        first, *others = (duplicates.register(call) for _ in range(4))

        async def work() -> EmulatedAnswer:
            working.append(1)
            await on_the_disk.wait()
            raise Rejection(500, "a full disk")

        async def once(turn: Turn) -> EmulatedAnswer:
            try:
                return await duplicates.run_once(turn, ServiceState(), "replay", Somebody(), work)
            finally:
                duplicates.end(turn)

        waiting = [asyncio.create_task(once(turn)) for turn in others]
        await turns()
        assert working == []
        duplicates.end(first)
        await turns()
        assert len(working) == 1
        on_the_disk.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len(working) == 3

    asyncio.run(scene())


def test_a_duplicate_is_refused_at_once_while_the_first_is_held(api: Api, apart: Executor) -> None:
    api.emulator.change_settings(dedup="refuse")
    with api.emulator.hold("create") as hold:
        first = apart.submit(create, api)
        hold.wait()
        assert create(api)["code"] == 431
    assert first.result(30)["code"] == 200


def test_a_first_whose_client_went_away_before_the_work_is_as_if_it_had_not_been(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    hold = api.emulator.hold("create")
    with logged("no answer, client gone") as gone:
        with sent(api, headers=api.signed(**{"X-custom-traceid": "trace"})):
            hold.wait()
        assert gone.wait(30)
    assert create(api)["code"] == 200
    assert len(api.emulator.tasks()) == 1


def test_a_duplicate_that_waits_ends_when_its_client_goes_away(api: Api, apart: Executor) -> None:
    api.emulator.change_settings(dedup="replay")
    hold = api.emulator.hold("create")
    first = apart.submit(create, api)
    hold.wait()
    with logged("no answer, client gone") as gone:
        with sent(api, headers=api.signed(**{"X-custom-traceid": "trace"})):
            in_flight(api, 2)
        assert gone.wait(30)
    in_flight(api, 1)
    hold.release()
    assert first.result(30)["code"] == 200


def test_a_reset_forgets_the_ids(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    first = create(api)
    api.emulator.reset()
    assert create(api)["result"] != first["result"]


def test_ids_that_came_before_the_setting_was_changed_count_too(api: Api) -> None:
    first = create(api)
    create(api)
    api.emulator.change_settings(dedup="replay")
    assert create(api) == first


def test_both_flavours_have_their_ids_in_common(api: Api) -> None:
    api.emulator.change_settings(dedup="replay")
    first = create(api)
    headers = api.with_token(body()["cname"], **{"X-custom-traceid": "trace"})
    assert api.post("/ai/task/create", body(), headers).json() == first


def test_ids_are_kept_in_the_state_file(tmp_path: Path) -> None:
    state, first = tmp_path / "state.json", None
    for _ in range(2):
        with Emulator(state=state, dedup="replay") as emulator, httpx.Client(base_url=emulator.url) as http:
            first = first or create(Api(emulator, http))
            assert create(Api(emulator, http)) == first
            assert len(emulator.tasks()) == 1


def test_another_appkey_has_ids_of_its_own(tmp_path: Path) -> None:
    taken = []
    for app_key in ("one", "two", "one"):
        with (
            Emulator(state=tmp_path / "state.json", dedup="replay", app_key=app_key) as emulator,
            httpx.Client(base_url=emulator.url) as http,
        ):
            taken.append(create(Api(emulator, http))["result"]["taskId"])
    assert taken[0] == taken[2] != taken[1]
