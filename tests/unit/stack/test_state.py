"""What an exported stack contains about agents and rooms."""

from typing import Any

import pytest

from rtcai_pulumi.plugin_process import Cli
from rtcai_pulumi.stack.state import stack_state

AGENT = "pulumi-python:dynamic/rtcai:RealtimeConversation"
ROOM = "pulumi-python:dynamic/rtcai:Room"


def export(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"version": 3, "deployment": {"resources": list(resources)}}


def test_agents_and_rooms_are_found_and_nothing_else() -> None:
    found = stack_state(
        export(
            {"urn": "stack", "type": "pulumi:pulumi:Stack"},
            {"urn": "host", "type": AGENT, "id": "7/task", "outputs": {"cname": "hall"}, "deletedWith": "hall"},
            {"urn": "hall", "type": ROOM, "id": "7", "outputs": {"owner": "digest:hall"}},
            {"urn": "hall", "type": ROOM, "id": "6", "outputs": {"owner": "digest:hall"}, "delete": True},
            {"urn": "other", "type": "aws:s3/bucket:Bucket", "id": "7/no-task"},
        )
    )
    assert found is not None
    assert [(agent.task, agent.cid, agent.urn, agent.deleted_with) for agent in found.agents] == [
        ("7/task", 7, "host", "hall")
    ]
    assert found.rooms == [(7, "digest:hall")]


@pytest.mark.parametrize("said", [None, [], {}, {"deployment": None}, {"deployment": {"resources": [7]}}, "text"])
def test_what_is_no_export_is_not_known(said: Any) -> None:
    assert stack_state(said) is None


def test_an_empty_stack_has_nothing() -> None:
    found = stack_state({"deployment": {}})
    assert found is not None
    assert (found.agents, found.rooms) == ([], [])


@pytest.mark.parametrize(
    ("typed", "all_go"),
    [
        ("destroy --yes --skip-preview", True),
        ("-C folder destroy -y", True),
        ("down", True),
        ("destroy --target urn", False),
        ("destroy --target=urn", False),
        ("destroy -t urn", False),
        ("destroy --exclude urn", False),
        ("destroy --exclude-protected", False),
        ("up --yes", False),
        ("", False),
    ],
)
def test_a_destroy_that_leaves_nothing_out_takes_all(tmp_path: Any, typed: str, all_go: bool) -> None:
    assert Cli(tmp_path, None, tuple(typed.split())).destroys_all is all_go
