from typing import Any

import pytest

from rtcai_pulumi.emulator.errors import InvalidInput
from rtcai_pulumi.emulator.faults.model import KINDS, Fault, FaultArguments, Stop, parse_fault

LEAST: dict[str, dict[str, Any]] = {
    "answer": {"status": 503},
    "answer-after": {"code": 500},
    "latency": {"before": 1},
    "hang": {},
    "half": {},
    "reset": {},
    "garbage": {},
    "hold": {},
}


def test_every_kind_is_tried_here() -> None:
    assert LEAST.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", LEAST)
def test_a_fault_is_for_one_request_unless_it_says_otherwise(kind: str) -> None:
    fault = parse_fault({"verb": "create", "kind": kind, **LEAST[kind]})
    assert (fault.times, fault.skip, fault.cname, fault.kind) == (1, 0, None, kind)


@pytest.mark.parametrize("verb", ["create", "close", "query", "members", "room-create", "room-delete", "*"])
def test_a_fault_can_be_for_any_verb(verb: str) -> None:
    assert parse_fault({"verb": verb, "kind": "reset", "times": None, "skip": 3, "cname": "r"}).verb == verb


@pytest.mark.parametrize("kind", LEAST)
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"verb": "start"}, "verb: Input should be 'create', .*not 'start'"),
        ({"verb": None}, "verb: "),
        ({"times": 0}, "times: "),
        ({"times": True}, "times: "),
        ({"times": 1.5}, "times: "),
        ({"skip": -1}, "skip: "),
        ({"skip": None}, "skip: "),
        ({"cname": ""}, "cname: "),
        ({"latency": 1}, "latency: unknown field; the fields here are verb, kind, times, skip, cname"),
        ({"id": 1}, "id: unknown field"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_key(kind: str, wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_fault({"verb": "create", "kind": kind, **LEAST[kind], **wrong})


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"kind": "answer"}, "status, code: at least one must be set"),
        ({"kind": "answer-after"}, "status, code: at least one must be set"),
        ({"kind": "answer", "status": 503, "errmsg": "x"}, "errmsg: needs a code"),
        ({"kind": "answer", "status": 204, "code": 1}, "code: an answer with HTTP status 204 has no body"),
        ({"kind": "answer", "status": 100}, "status: "),
        ({"kind": "answer", "status": 600}, "status: "),
        ({"kind": "answer", "status": "503"}, "status: "),
        ({"kind": "answer", "code": "503"}, "code: "),
        ({"kind": "answer", "status": 503, "work": True}, "work: unknown field"),
        ({"kind": "answer", "status": 503, "headers": {"a b": "x"}}, "headers.a b: this header cannot be set"),
        (
            {"kind": "answer", "status": 503, "headers": {"Content-Length": "1"}},
            "Content-Length: this header cannot",
        ),
        (
            {"kind": "answer", "status": 503, "headers": {"transfer-encoding": "x"}},
            "transfer-encoding: this header",
        ),
        ({"kind": "answer", "status": 503, "headers": {"X": "a\r\nY: b"}}, "headers.X: must be printable ASCII"),
        ({"kind": "answer", "status": 503, "headers": {"X": " a"}}, "headers.X: must be printable ASCII"),
        ({"kind": "answer", "status": 503, "headers": {"X": "é"}}, "headers.X: must be printable ASCII"),
        ({"kind": "answer", "status": 503, "headers": {"X": 1}}, "headers.X: "),
        ({"kind": "answer", "status": 503, "headers": {"X": "1", "x": "2"}}, "headers.x: set more than once"),
        ({"kind": "latency"}, "before, after: at least one must be more than 0 seconds"),
        ({"kind": "latency", "before": -1}, "before: "),
        ({"kind": "latency", "after": 3601}, "after: "),
        ({"kind": "latency", "after": float("nan")}, "after: "),
        ({"kind": "latency", "after": float("inf")}, "after: "),
        ({"kind": "hang", "work": 1}, "work: "),
        (
            {"kind": "hang", "at": "worked"},
            "at: unknown field; the fields here are verb, kind, times, skip, cname, work",
        ),
        ({"kind": "half", "work": "yes"}, "work: "),
        ({"kind": "garbage", "form": "xml"}, "form: .*'html', 'broken' or 'empty', not 'xml'"),
        ({"kind": "hold", "at": "sent"}, "at: .*'arrived' or 'worked', not 'sent'"),
        ({"kind": "hold", "work": True}, "work: unknown field"),
        ({"kind": "rest"}, "kind: must be one of answer, .*; did you mean reset?"),
        ({"kind": "explosion"}, "kind: must be one of [^;]*$"),
        ({"kind": ["reset"]}, "kind: must be one of "),
        ({}, "kind: must be one of "),
    ],
)
def test_what_belongs_to_no_such_kind_is_refused_at_its_key(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_fault({"verb": "create", **keys})


@pytest.mark.parametrize("content", [None, [], "reset", 1])
def test_a_fault_is_an_object(content: Any) -> None:
    with pytest.raises(InvalidInput, match="must be an object"):
        parse_fault(content)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as error:
        parse_fault({"verb": "x", "kind": "reset", "times": 0, "wrok": True})
    assert all(f"{key}: " in str(error.value) for key in ("verb", "times", "wrok"))


def test_a_statement_that_makes_no_sense_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="kind"):
        parse_fault({})


@pytest.mark.parametrize(("keys", "point"), [({}, "arrived"), ({"work": True}, "worked")])
def test_a_hang_is_before_the_work_unless_it_says_otherwise(keys: dict[str, Any], point: str) -> None:
    fault = parse_fault({"verb": "create", "kind": "hang", **keys})
    assert isinstance(fault, Stop)
    assert fault.point == point


def test_the_keywords_of_a_fault_are_the_fields_of_all_kinds() -> None:
    fields = {name for kind in KINDS.values() for name in kind.model_fields} - Fault.model_fields.keys()
    assert FaultArguments.__annotations__.keys() == fields
