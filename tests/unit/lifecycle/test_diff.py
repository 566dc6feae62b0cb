from typing import Any

import pytest

from rtcai_pulumi.config.values import UNKNOWN
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.lifecycle.context import Run
from rtcai_pulumi.lifecycle.create import create
from rtcai_pulumi.lifecycle.diff import Difference, diff
from rtcai_pulumi.lifecycle.update import update
from tests.samples import parameters
from tests.unit.lifecycle.fakes import Runs, Service, add_open_task, reply

OUTPUTS = {"cid": "7", "taskId": "t", "traceId": "x", "createdAt": "…", "appKey": "k", "endpoint": "e", "mode": "m"}


@pytest.fixture
def run(runs: Runs) -> Run:
    return runs.next(Service())


def changed(run: Run, olds: dict[str, Any], news: dict[str, Any]) -> Difference:
    """The difference between the stored outputs and the inputs that the program declares now."""
    return diff("7/t", {**olds, **OUTPUTS, "requestId": "made up"}, news, run)


def test_an_unchanged_program_changes_nothing(run: Run) -> None:
    assert changed(run, parameters(), parameters()).replaces == ()


@pytest.mark.parametrize("news", [parameters(requestId="mine"), parameters(replaceStrategy="start-first")])
def test_inputs_of_the_provider_alone_replace_nothing(run: Run, news: dict[str, Any]) -> None:
    assert changed(run, parameters(), news).replaces == ()


@pytest.mark.parametrize(
    ("olds", "news", "replaces"),
    [
        (parameters(), parameters(llm={"temperature": 0.1}), ("llm",)),
        (parameters(), parameters(llm={"extra": {"new": 1}}), ("llm",)),
        (parameters(), parameters(extra={"newBlock": {}}), ("extra",)),
        (parameters(pipeline={"welcomeMessage": "hi"}), parameters(), ("pipeline",)),
        (parameters(), parameters(cname="other", tts={"speed": 2}), ("cname", "tts")),
        (parameters(), {"cname": "keynote", "agent": {"agentId": "a", "userId": "u"}}, None),
    ],
)
def test_any_other_change_replaces_and_is_named(
    run: Run, olds: dict[str, Any], news: dict[str, Any], replaces: tuple[str, ...] | None
) -> None:
    found = changed(run, olds, news).replaces
    assert found == replaces if replaces else set(found) == {"agent", "asr", "llm", "tts", "pipeline"}


def test_in_the_same_room_the_old_agent_stops_first(run: Run) -> None:
    assert changed(run, parameters(), parameters(tts={"speed": 2})).stop_first


def test_into_another_room_the_new_agent_starts_first(run: Run) -> None:
    assert not changed(run, parameters(), parameters(cname="other")).stop_first


def test_start_first_starts_the_new_agent_first(run: Run) -> None:
    assert not changed(run, parameters(), parameters(tts={"speed": 2}, replaceStrategy="start-first")).stop_first


@pytest.mark.parametrize("news", [parameters(llm=UNKNOWN), parameters(llm={"customPrompt": UNKNOWN})])
def test_an_unknown_value_counts_as_a_change(run: Run, news: dict[str, Any]) -> None:
    assert changed(run, parameters(), news).replaces == ("llm",)


OWNED = parameters(owner="backend:urn:pulumi:dev::rooms::type::host")


def started(runs: Runs, task: str) -> dict[str, Any]:
    """The outputs of an agent that an earlier run started."""
    answer = reply(code=200, requestId="r", cid=7, result={"taskId": task})
    return create(OWNED, runs.next(Service(create=answer))).outputs


@pytest.mark.parametrize("state", [RecordState.CLOSING, RecordState.CLOSED])
def test_a_task_that_the_journal_has_as_closed_is_replaced(runs: Runs, state: RecordState) -> None:
    outputs = started(runs, "old")
    run = runs.next(Service())
    run.journal.begin_close(run.journal.records()[0])
    if state is RecordState.CLOSED:
        run.journal.record_close("7/old")
    assert diff("7/old", outputs, OWNED, run) == Difference(("taskId",), stop_first=True)


def outputs_with_another_agent(runs: Runs) -> dict[str, Any]:
    """An agent that the engine knows, and a second one that a killed run left."""
    outputs = started(runs, "known")
    add_open_task(runs.next(Service()), "left", OWNED["owner"])
    return outputs


def test_an_update_closes_only_the_agents_next_to_the_task(runs: Runs) -> None:
    outputs = outputs_with_another_agent(runs)
    service = Service(close=reply(code=200, errmsg=""))
    run = runs.next(service)
    assert diff("7/known", outputs, OWNED, run) == Difference(needs_recovery=True)
    news = {**OWNED, "requestId": "another", "replaceStrategy": "start-first"}
    assert update("7/known", outputs, news, run) == {**outputs, "replaceStrategy": "start-first"}
    assert service.bodies == [{"cid": 7, "taskType": 7, "taskId": "left"}]
    assert diff("7/known", outputs, OWNED, runs.next(service)) == Difference()


def test_an_unknown_owner_recovers_nothing(runs: Runs) -> None:
    outputs = outputs_with_another_agent(runs)
    assert diff("7/known", outputs, {**OWNED, "owner": UNKNOWN}, runs.next(Service())) == Difference()
