"""What the targets report about agents that only the journal has, and about the other stack. No engine runs."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.service.errors import JournalError
from tools.dev import __main__ as commands
from tools.dev.stack import Stack, dev, live

CREDENTIALS = {"RTCAI_APP_KEY": "k", "RTCAI_APP_SECRET": "s"}


@dataclass
class Checkout:
    """A state folder with journals in it; nothing runs."""

    dev: Stack
    live: Stack

    def has_journaled(self, stack: Stack, room: str, state: RecordState = RecordState.OPEN) -> None:
        """A task, or a request, of an earlier run."""
        asked = Record(
            trace_id=room, owner="x", app_key="k", endpoint="e", room_endpoint="r", cname=room, request_id="x",
            digest="x", process=1, state=state,
        )  # fmt: skip
        record = asked if state is RecordState.ASKED else replace(asked, cid=7, task_id=f"t-{room}")
        with Journal(stack.folder / "journal.db") as journal:
            journal.add(record)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setenv("RTCAI_DEV_DIR", str(tmp_path / "state"))
    return Checkout(dev(os.environ), live({**os.environ, **CREDENTIALS}))


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    def text() -> str:
        commands.status()
        return capsys.readouterr().out

    return text


def test_down_reports_that_the_other_stack_has_agents(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.has_journaled(checkout.live, "keynote")
    commands.down(checkout.dev)
    assert capsys.readouterr().out.splitlines() == [
        "Nothing to stop: stack dev is empty.",
        "Stack live still has agents: `make status` lists them.",
    ]


def test_down_of_the_service_reports_agents_on_the_emulator(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.has_journaled(checkout.dev, "demo-agent")
    commands.down(checkout.live)
    assert "Stack dev still has agents" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (RecordState.ASKED, ["keynote", "lost"]),
        (RecordState.OPEN, ["keynote", "7/t-keynote", "open"]),
        (RecordState.CLOSING, ["keynote", "7/t-keynote", "closing"]),
    ],
)
def test_status_lists_each_agent_that_may_run(
    checkout: Checkout, status: Callable[[], str], state: RecordState, shown: list[str]
) -> None:
    checkout.has_journaled(checkout.live, "keynote", state)
    assert shown in [line.split() for line in status().splitlines()]


def test_status_does_not_list_an_agent_that_is_stopped(checkout: Checkout, status: Callable[[], str]) -> None:
    checkout.has_journaled(checkout.live, "over", RecordState.CLOSED)
    assert status().count("No agents.") == 2


def test_a_long_task_is_not_cut_and_a_room_takes_no_markup(checkout: Checkout, status: Callable[[], str]) -> None:
    room = f"[red]房间{'9' * 64}"
    checkout.has_journaled(checkout.live, room)
    assert [room, f"7/t-{room}", "open"] in [line.split() for line in status().splitlines()]


def test_a_journal_that_cannot_be_read_is_an_error_after_the_agents_of_the_service(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = checkout.dev.folder / "journal.db"
    journal.parent.mkdir(parents=True)
    journal.write_text("no database, and long enough to be looked at")
    checkout.has_journaled(checkout.live, "keynote")
    with pytest.raises(JournalError, match=str(journal)):
        commands.status()
    assert "t-keynote" in capsys.readouterr().out


@pytest.mark.parametrize("has_state", [True, False])
def test_down_does_not_take_an_agent_of_state_or_journal_for_nothing(checkout: Checkout, has_state: bool) -> None:
    if has_state:
        checkout.live.checkpoint.parent.mkdir(parents=True)
        checkout.live.checkpoint.write_text("{}")
    else:
        checkout.has_journaled(checkout.live, "keynote", RecordState.ASKED)
    with pytest.raises(CommandError, match="no terminal to ask on"):
        commands.down(checkout.live)
