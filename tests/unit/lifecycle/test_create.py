from datetime import UTC, datetime

import httpx
import pytest
from jsonschema import Draft202012Validator

from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.service.errors import AnswerLost, OutcomeUnknown, RateLimited, RtcAiError
from tests.samples import load, parameters
from tests.unit.lifecycle.fakes import CREATED, Service, reply


def test_the_outputs_repeat_the_inputs_and_add_what_stops_the_agent() -> None:
    service = Service(create=reply(**CREATED))
    inputs = parameters(requestId="r-1")
    created = create(
        inputs, service.client(), now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), new_id=lambda: "a-b-c"
    )
    assert created.id == "1144707127429101/2a78"
    assert created.outputs == {
        **inputs,
        "cid": "1144707127429101",
        "taskId": "2a78",
        "requestId": "r-1",
        "traceId": "abc",
        "createdAt": "2026-01-02T03:04:05.000Z",
        "appKey": "the-key",
        "endpoint": "http://service.test",
        "mode": "parameters",
    }
    assert service.traces == ["abc"]


def test_the_body_is_what_the_service_s_schema_asks_for() -> None:
    service = Service(create=reply(**CREATED))
    created = create(parameters(asr={"asrVendor": 6.0}, replaceStrategy="start-first"), service.client())
    Draft202012Validator(load("create.schema.json")).validate(service.bodies[0])
    assert service.bodies[0]["requestId"] == created.outputs["requestId"]


@pytest.mark.parametrize(
    ("inputs", "mode"),
    [
        (parameters(), "parameters"),
        ({"cname": "r", "agent": {"agentId": "a", "userId": "u"}}, "agent"),
        ({"cname": "r", "llm": {"enableAgent": True, "agentParam": {}}}, "agent+parameters"),
    ],
)
def test_the_mode_is_told(inputs: dict[str, object], mode: str) -> None:
    assert create(inputs, Service(create=reply(**CREATED)).client()).outputs["mode"] == mode


@pytest.mark.parametrize("answer", [httpx.ReadTimeout, httpx.ReadError, reply(500), reply(code=200), reply(code=431)])
def test_a_lost_create_names_room_request_and_trace_and_is_not_repeated(answer: httpx.Response) -> None:
    service = Service(create=answer)
    with pytest.raises(OutcomeUnknown) as caught:
        create(parameters(requestId="r-1"), service.client())
    text = str(caught.value)
    assert "An agent may be in the room that no state knows of." in text
    assert "room: keynote" in text
    assert "request id: r-1" in text
    assert f"trace id: {service.traces[0]}" in text
    assert "end the room" in text
    assert service.asked == ["create"]


def test_a_timed_out_create_says_how_long_it_waited() -> None:
    with pytest.raises(AnswerLost, match="within 10 seconds"):
        create(parameters(), Service(create=httpx.ReadTimeout).client())


@pytest.mark.parametrize("answer", [reply(429), reply(code=402), httpx.ConnectError])
def test_a_create_that_was_not_done_does_not_speak_of_an_agent(answer: httpx.Response) -> None:
    with pytest.raises(RtcAiError) as caught:
        create(parameters(), Service(create=answer).client())
    assert "An agent may be" not in str(caught.value)
    assert not isinstance(caught.value, OutcomeUnknown)


def test_too_many_requests_are_told_as_such() -> None:
    with pytest.raises(RateLimited, match="too many requests"):
        create(parameters(), Service(create=reply(429)).client())
