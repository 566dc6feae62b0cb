"""What an exported stack contains about agents and rooms."""

import sys
from pathlib import Path
from typing import Any

import pytest

from rtcai_pulumi.stack.command import Cli, exported_state
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
        ("destroy -yt urn", False),
        ("destroy -turn", False),
        ("destroy -yx=urn", False),
        ("destroy -sprotest -Ctx -mtext", True),
        ("destroy -y=true -r=true", True),
        ("destroy --yes -m -test --color -text", True),
        ("--color never destroy -f", True),
        ("up -s destroy", False),
        ("destroy --exclude urn", False),
        ("destroy --exclude-protected", False),
        ("up --yes", False),
        ("", False),
    ],
)
def test_a_destroy_that_leaves_nothing_out_takes_all(tmp_path: Any, typed: str, all_go: bool) -> None:
    assert Cli(tmp_path, None, tuple(typed.split())).destroys_all is all_go


@pytest.mark.parametrize(
    ("variable", "value", "all_go"),
    [("TARGET", "urn", False), ("EXCLUDE_PROTECTED", "true", False), ("PREVIEW_ONLY", "false", True)],
)
def test_a_destroy_may_leave_something_out_by_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, variable: str, value: str, all_go: bool
) -> None:
    monkeypatch.setenv(f"PULUMI_OPTION_{variable}", value)
    assert Cli(tmp_path, None, ("destroy", "--yes")).destroys_all is all_go


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("up --yes", []),
        ("up --stack acme/rooms/dev --yes", ["--stack", "acme/rooms/dev"]),
        ("up -ys dev --stack=acme/dev", ["--stack", "acme/dev"]),
        ("up -sdev", ["--stack", "dev"]),
        ("", []),
    ],
)
def test_the_state_is_read_of_the_stack_that_the_command_works_on(
    tmp_path: Any, typed: str, options: list[str]
) -> None:
    """A stack's name alone would mean the stack of the user's own organization."""
    assert Cli(tmp_path, None, tuple(typed.split())).select_stack() == options


PREFIX = "urn:pulumi:test::rooms::"


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"": [f"{PREFIX}own"]}, "own"),
        ({"": [f"{PREFIX}own"], "test": [f"{PREFIX}namesake"]}, "own"),
        ({"": None, "test": [f"{PREFIX}named"]}, "named"),
        ({"": ["urn:pulumi:other::rooms::x"], "test": [f"{PREFIX}named"]}, "named"),
        ({"": ["urn:pulumi:other::rooms::x"], "test": ["urn:pulumi:test::other::x"]}, None),
        ({"": ["urn:pulumi:other::rooms::x"], "test": None}, None),
    ],
    ids=["selected", "selected before named", "chosen at a prompt", "another was selected", "another project", "gone"],
)
def test_the_state_is_that_of_the_stack(
    tmp_path: Path, answers: dict[str, list[str] | None], found: str | None
) -> None:
    """The program stands in for the CLI: what it knows is the selected stack, and stacks by name."""
    exports = {
        name: urns and {"deployment": {"resources": [{"urn": urn} for urn in urns]}} for name, urns in answers.items()
    }
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "name = sys.argv[sys.argv.index('--stack') + 1] if '--stack' in sys.argv else ''\n"
        f"export = {exports!r}.get(name)\n"
        "print(json.dumps(export))\n"
        "sys.exit(export is None)\n"
    )
    pulumi.chmod(0o755)
    export = exported_state(Cli(tmp_path, str(pulumi), ("up",)), f"{PREFIX}type::name")
    assert (export and export["deployment"]["resources"][0]["urn"].removeprefix(PREFIX)) == found
