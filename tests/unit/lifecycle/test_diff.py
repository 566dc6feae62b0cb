from typing import Any

import pytest

from rtcai_pulumi.config.unknown import UNKNOWN
from rtcai_pulumi.lifecycle.diff import Difference, diff
from tests.samples import parameters

OUTPUTS = {"cid": "7", "taskId": "t", "traceId": "x", "createdAt": "…", "appKey": "k", "endpoint": "e", "mode": "m"}


def changed(olds: dict[str, Any], news: dict[str, Any]) -> Difference:
    """The difference between what an engine stored and what the program states now."""
    return diff({**olds, **OUTPUTS, "requestId": "made up"}, news)


def test_an_unchanged_program_changes_nothing() -> None:
    assert changed(parameters(), parameters()).replaces == ()


@pytest.mark.parametrize("news", [parameters(requestId="mine"), parameters(replaceStrategy="start-first")])
def test_what_only_the_provider_reads_replaces_nothing(news: dict[str, Any]) -> None:
    assert changed(parameters(), news).replaces == ()


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
def test_anything_else_replaces_and_is_named(
    olds: dict[str, Any], news: dict[str, Any], replaces: tuple[str, ...] | None
) -> None:
    found = changed(olds, news).replaces
    assert found == replaces if replaces else set(found) == {"agent", "asr", "llm", "tts", "pipeline"}


def test_in_the_same_room_the_old_agent_stops_first() -> None:
    assert changed(parameters(), parameters(tts={"speed": 2})).stop_first


def test_into_another_room_the_new_agent_starts_first() -> None:
    assert not changed(parameters(), parameters(cname="other")).stop_first


def test_start_first_starts_the_new_agent_first() -> None:
    assert not changed(parameters(), parameters(tts={"speed": 2}, replaceStrategy="start-first")).stop_first


@pytest.mark.parametrize("news", [parameters(llm=UNKNOWN), parameters(llm={"customPrompt": UNKNOWN})])
def test_an_unknown_value_counts_as_a_change(news: dict[str, Any]) -> None:
    assert changed(parameters(), news).replaces == ("llm",)
