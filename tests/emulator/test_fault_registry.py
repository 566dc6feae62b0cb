from typing import Any

import pytest

from rtcai_pulumi.emulator.api.rate_limit import Verb
from rtcai_pulumi.emulator.faults.model import parse_fault
from rtcai_pulumi.emulator.faults.registry import ActiveFault, FaultList


@pytest.fixture
def faults() -> FaultList:
    return FaultList()


def add(faults: FaultList, kind: str = "reset", verb: str = "create", **parts: Any) -> ActiveFault:
    return faults.add(parse_fault({"verb": verb, "kind": kind, **parts}))


def taken(faults: FaultList, verb: Verb = "create", cname: str | None = "r") -> list[int]:
    return [fault["id"] for fault in faults.take(verb, lambda: cname).to_json()]


def test_without_faults_nothing_is_taken(faults: FaultList) -> None:
    took = faults.take("create", lambda: "r")
    assert (took.outcome, took.seconds("arrived"), took.gate("worked"), took.to_json()) == (None, 0.0, None, [])


def test_faults_of_one_sort_are_taken_in_order_of_setting(faults: FaultList) -> None:
    first, second = add(faults, "reset", times=2), add(faults, "half")
    assert [taken(faults) for _ in range(4)] == [[first.number], [first.number], [second.number], []]


def test_a_fault_without_end_is_taken_until_it_is_removed(faults: FaultList) -> None:
    fault = add(faults, times=None)
    assert all(taken(faults) == [fault.number] for _ in range(50))
    faults.remove(fault.number)
    assert taken(faults) == []


def test_a_request_takes_one_fault_of_each_sort(faults: FaultList) -> None:
    outcome, stop, delay = add(faults), add(faults, "hold"), add(faults, "latency", before=1, after=2)
    others = add(faults, "half"), add(faults, "hang"), add(faults, "latency", after=3)
    took = faults.take("create", lambda: None)
    assert took.outcome == outcome.fault
    assert (took.gate("arrived"), took.gate("worked")) == (stop.gate, None)
    assert (took.seconds("arrived"), took.seconds("worked")) == (1, 2)
    assert [fault["id"] for fault in took.to_json()] == [delay.number, stop.number, outcome.number]
    assert taken(faults) == [others[2].number, others[1].number, others[0].number]


def test_the_first_requests_can_be_let_pass(faults: FaultList) -> None:
    fault = add(faults, skip=2, times=2)
    assert [taken(faults) for _ in range(5)] == [[], [], [fault.number], [fault.number], []]


def test_who_is_let_pass_comes_to_the_next_fault(faults: FaultList) -> None:
    first, second = add(faults, skip=1), add(faults, "half")
    assert [taken(faults) for _ in range(3)] == [[second.number], [first.number], []]


def test_what_an_earlier_fault_took_does_not_count_as_passed(faults: FaultList) -> None:
    first, second = add(faults), add(faults, "half", skip=1)
    assert [taken(faults) for _ in range(3)] == [[first.number], [], [second.number]]


def test_requests_of_other_verbs_and_rooms_are_neither_taken_nor_counted(faults: FaultList) -> None:
    fault = add(faults, cname="r", skip=1)
    for verb, cname in (("close", "r"), ("create", "other"), ("create", None)):
        assert taken(faults, verb, cname) == []  # type: ignore[arg-type]  # verbs, one by one
    assert [taken(faults), taken(faults)] == [[], [fault.number]]


def test_the_room_is_asked_for_only_where_a_fault_wants_to_know(faults: FaultList) -> None:
    add(faults)

    def room() -> str | None:
        raise AssertionError

    assert faults.take("create", room).outcome
    assert faults.take("create", room).outcome is None


def test_a_released_fault_takes_nothing_more(faults: FaultList) -> None:
    fault = add(faults, "hold", times=5)
    faults.get(fault.number).release()
    assert taken(faults) == []
    assert fault.to_json()["left"] == 0


def test_a_fault_is_listed_as_it_was_set_and_with_its_progress(faults: FaultList) -> None:
    add(faults, "answer", status=503, headers={"Retry-After": "1"}, times=3, cname="r")
    add(faults, "hold", "*", times=None)
    taken(faults)
    assert faults.to_json() == [
        {
            "id": 1,
            "verb": "create",
            "kind": "answer",
            "cname": "r",
            "status": 503,
            "headers": {"Retry-After": "1"},
            "times": 3,
            "left": 2,
            "applied": 1,
        },
        {"id": 2, "verb": "*", "kind": "hold", "times": None, "left": None, "applied": 1, "held": 0},
    ]


def test_a_fault_that_is_used_up_stays_to_be_looked_at(faults: FaultList) -> None:
    add(faults)
    taken(faults)
    assert [(fault["left"], fault["applied"]) for fault in faults.to_json()] == [(0, 1)]


def test_numbers_are_never_used_again(faults: FaultList) -> None:
    first = add(faults).number
    faults.clear()
    assert faults.to_json() == []
    assert add(faults).number > first


@pytest.mark.parametrize("verb", ["get", "remove"])
def test_a_fault_that_is_not_there_is_named(faults: FaultList, verb: str) -> None:
    with pytest.raises(LookupError, match="fault 7 does not exist"):
        getattr(faults, verb)(7)
