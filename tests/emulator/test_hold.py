from concurrent.futures import Executor
from threading import Barrier, Thread

import httpx
import pytest

from rtcai_pulumi.emulator import Emulator
from tests.emulator.api import Api, body, close_body
from tests.emulator.raw import logged, sent, until


def test_a_request_that_arrived_is_held_before_anything_is_done(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("create")
    created = apart.submit(api.create)
    hold.wait()
    assert (hold.count_held(), api.emulator.tasks(), api.emulator.rooms()) == (1, [], [])
    assert api.emulator.requests()[0]["end"] is None
    hold.release()
    assert created.result(30)["code"] == 200
    assert (hold.count_held(), len(api.emulator.tasks())) == (0, 1)


def test_a_request_whose_work_is_done_is_held_before_its_answer(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("create", at="worked")
    created = apart.submit(api.create)
    hold.wait()
    (task,) = api.emulator.tasks()
    assert not created.done()
    hold.release()
    assert created.result(30)["result"]["taskId"] == task["taskId"]


@pytest.mark.parametrize(("at", "tasks"), [("arrived", 0), ("worked", 1)])
def test_a_held_request_whose_client_goes_away_is_over_and_its_work_stays_as_it_is(
    api: Api, at: str, tasks: int
) -> None:
    hold = api.emulator.hold("create", at=at)  # type: ignore[arg-type]  # one of the two
    with logged("no answer, client gone") as gone:
        with sent(api):
            hold.wait()
        assert gone.wait(30)
    assert (hold.count_held(), api.emulator.stats()["inFlight"]) == (0, 0)
    hold.wait()  # it was held in spite of that
    hold.release()
    assert len(api.emulator.tasks()) == tasks
    assert api.emulator.requests()[0]["end"] == "client gone"


def test_a_close_can_be_held_too(api: Api, apart: Executor) -> None:
    created = api.create()
    with api.emulator.hold("close", at="worked") as hold:
        closed = apart.submit(api.close, close_body(created))
        hold.wait()
        assert [task["state"] for task in api.emulator.tasks()] == ["ended"]
        assert not closed.done()
    assert closed.result(30)["code"] == 200


def test_one_request_is_held_and_the_next_is_not(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("create")
    held = apart.submit(api.create)
    hold.wait()
    assert api.create()["code"] == 200
    assert not held.done()
    hold.release()
    assert held.result(30)["code"] == 200


def test_many_can_be_waited_for(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("create", at="worked", times=None)
    created = [apart.submit(api.create, body(cname=f"room-{number}")) for number in range(20)]
    hold.wait(20)
    assert hold.count_held() == 20
    assert len(api.emulator.tasks()) == 20
    hold.release()
    assert {result.result(30)["code"] for result in created} == {200}


def test_a_released_hold_holds_nothing_more(api: Api) -> None:
    hold = api.emulator.hold("create", times=None)
    hold.release()
    hold.release()
    assert api.create()["code"] == 200


def test_holds_of_one_verb_take_one_request_after_the_other(api: Api, apart: Executor) -> None:
    holds = [api.emulator.hold("create", at="worked") for _ in range(2)]
    created = []
    for hold in holds:
        created.append(apart.submit(api.create))
        hold.wait()
    assert [hold.count_held() for hold in holds] == [1, 1]
    holds[1].release()
    assert created[1].result(30)["code"] == 200
    assert not created[0].done()
    holds[0].release()
    assert created[0].result(30)["code"] == 200


def test_only_one_room_can_be_held(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("create", cname="held", times=None)
    held = apart.submit(api.create, body(cname="held"))
    hold.wait()
    assert api.create(body(cname="other"))["code"] == 200
    hold.release()
    assert held.result(30)["code"] == 200


def test_waiting_in_vain_tells_how_many_there_were(api: Api, apart: Executor) -> None:
    hold = api.emulator.hold("create", times=3)
    apart.submit(api.create)
    hold.wait()
    with pytest.raises(TimeoutError, match=r"1 of 2 requests were held within 0\.05 seconds"):
        hold.wait(2, timeout=0.05)


@pytest.mark.parametrize("over", ["release", "remove", "clear", "reset"])
def test_waiting_ends_when_the_hold_is_over(api: Api, apart: Executor, over: str) -> None:
    hold = api.emulator.hold("create", times=2)
    held, waiting = apart.submit(api.http.get, "/-/health"), apart.submit(hold.wait, 2)
    held.result(30)
    match over:
        case "release":
            hold.release()
        case "remove":
            api.emulator.remove_fault(hold.fault)
        case "clear":
            api.emulator.clear_faults()
        case _:
            api.emulator.reset()
    with pytest.raises(LookupError, match=r"when the fault was released|was reset|does not exist"):
        waiting.result(30)


@pytest.mark.parametrize("over", ["remove", "clear"])
def test_removing_a_hold_releases_what_it_holds(api: Api, apart: Executor, over: str) -> None:
    hold = api.emulator.hold("create")
    held = apart.submit(api.create)
    hold.wait()
    if over == "remove":
        api.emulator.remove_fault(hold.fault)
    else:
        api.emulator.clear_faults()
    assert held.result(30)["code"] == 200
    hold.release()  # already released


@pytest.mark.parametrize("at", ["arrived", "worked"])
def test_a_reset_hangs_up_on_what_is_held_and_leaves_no_task(api: Api, apart: Executor, at: str) -> None:
    hold = api.emulator.hold("create", at=at, times=None)  # type: ignore[arg-type]  # one of the two
    held = apart.submit(api.create)
    hold.wait()
    api.emulator.reset()
    assert isinstance(held.exception(30), httpx.RemoteProtocolError)
    assert (api.emulator.tasks(), api.emulator.faults(), api.emulator.requests()) == ([], [], [])
    hold.release()
    assert api.create()["code"] == 200


@pytest.mark.parametrize("kind", ["hold", "hang", "latency", "duplicate"])
def test_stopping_hangs_up_on_every_request_that_waits_at_once(kind: str) -> None:
    errors: list[BaseException] = []

    def create(api: Api) -> None:
        try:
            api.create(headers=api.signed(**{"X-custom-traceid": "trace"}))
        except httpx.TransportError as error:
            errors.append(error)

    with logged("no answer, dropped", 2) as dropped, httpx.Client(trust_env=False, timeout=60) as http:
        with Emulator(dedup="replay") as emulator:
            http.base_url = httpx.URL(emulator.url)
            if kind == "latency":
                emulator.fault("create", "latency", before=3600, times=2)
            else:
                emulator.fault("create", "hang" if kind == "hang" else "hold", times=1 if kind == "duplicate" else 2)
            threads = [Thread(target=create, args=(Api(emulator, http),)) for _ in range(2)]
            for thread in threads:
                thread.start()
            until(lambda: emulator.stats()["inFlight"] == 2)
        # They were dropped, not disconnected after the grace period as clients with incomplete requests are.
        assert dropped.is_set()
        for thread in threads:
            thread.join()
    assert len(errors) == 2


def test_who_waits_for_a_hold_hears_of_the_end() -> None:
    heard: list[str] = []
    waiting = Barrier(2)

    def wait() -> None:
        waiting.wait()
        with pytest.raises(LookupError) as error:
            hold.wait()
        heard.append(str(error.value))

    with Emulator() as emulator:
        hold = emulator.hold("create")
        thread = Thread(target=wait)
        thread.start()
        waiting.wait()
    thread.join()
    assert len(heard) == 1
    assert "stopped" in heard[0]
    hold.release()
    with pytest.raises(LookupError, match="stopped"):
        hold.wait()


def test_a_block_that_ends_after_its_emulator_is_no_mistake() -> None:
    with Emulator() as emulator:
        hold = emulator.hold("create")
    with hold:
        pass
