"""What the targets report about stacks after a run that did not end normally."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.stack.export import CONVERSATION as TYPE
from tools.dev import __main__ as commands
from tools.dev import target

CREDENTIALS = {"RTCAI_APP_KEY": "k", "RTCAI_APP_SECRET": "s"}


@dataclass
class Checkout:
    """A state folder with stacks in it; nothing runs."""

    environ: dict[str, str]

    def checkpoint(self, name: str) -> Path:
        file = {"dev": target.dev, "live": target.live}[name](self.environ).checkpoint
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def has_agents(self, name: str, *rooms: str) -> None:
        resources = [{"type": TYPE, "outputs": {"cname": room, "taskId": f"t-{room}", "cid": "7"}} for room in rooms]
        self.checkpoint(name).write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))

    def has_journaled(self, room: str, state: RecordState) -> None:
        """A task, or a request, of an earlier run of stack `live`."""
        asked = Record(
            trace_id=room, owner="x", app_key="k", endpoint="e", room_endpoint="r", cname=room, request_id="x",
            digest="x", process=1, state=state,
        )  # fmt: skip
        record = asked if state is RecordState.ASKED else replace(asked, cid=7, task_id=f"t-{room}")
        with Journal(target.live(self.environ).folder / "journal.db") as journal:
            journal.add(record)


@pytest.fixture
def checkout(tmp_path: Path, environ: dict[str, str]) -> Checkout:
    return Checkout({**environ, "RTCAI_DEV_DIR": str(tmp_path / "state")})


def test_down_of_the_service_tells_of_agents_on_the_emulator(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.has_agents("dev", "a", "b", "c")
    assert commands.down({**checkout.environ, **CREDENTIALS}) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Nothing to stop: stack live is empty.",
        "Stack dev still has 3 agents: unset all RTCAI_ credentials and run `make down`.",
    ]


def test_down_of_the_emulator_tells_of_agents_on_the_service(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.has_agents("live", "a")
    assert commands.down(checkout.environ) == 0
    assert "Stack live still has 1 agent: set the RTCAI_ credentials" in capsys.readouterr().out


def test_down_does_not_fail_where_the_other_stack_cannot_be_read(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in (".json", ".json.bak"):
        checkout.checkpoint("live").with_suffix(ending).write_text("{")
    assert commands.down(checkout.environ) == 0
    assert "The state of stack live cannot be read" in capsys.readouterr().out


def test_status_shows_the_one_stack_where_the_other_cannot_be_read(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in (".json", ".json.bak"):
        checkout.checkpoint("dev").with_suffix(ending).write_text("{")
    checkout.has_agents("live", "keynote")
    assert commands.status(checkout.environ) == 1
    shown = capsys.readouterr().out
    assert "The state of stack dev cannot be read" in shown
    assert "t-keynote" in shown


def test_status_of_a_first_state_that_was_half_written_has_no_agents(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.checkpoint("dev").write_text('{"version": 3, "check')
    assert commands.status(checkout.environ) == 0
    assert capsys.readouterr().out.count("no agents") == 2


@pytest.mark.parametrize(
    ("state", "task", "said"),
    [
        (RecordState.ASKED, [], "lost"),
        (RecordState.OPEN, ["t-lost"], "open"),
        (RecordState.CLOSING, ["t-lost"], "closing"),
    ],
)
def test_down_is_no_success_while_an_agent_may_run_that_only_the_journal_knows(
    checkout: Checkout, capsys: pytest.CaptureFixture[str], state: RecordState, task: list[str], said: str
) -> None:
    checkout.has_journaled("lost", state)
    assert commands.down({**checkout.environ, **CREDENTIALS}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("The journal lists 1 agent that `pulumi destroy` cannot stop")
    assert lines[4].split() == ["lost", *task, f"{said},", "not", "in", "the", "stack"]
    assert lines[6] == "Run `make up`, which stops them before it starts a new agent, then `make down`."


def test_an_agent_of_the_state_or_one_that_is_stopped_is_not_beside_it(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.has_agents("live", "keynote")
    checkout.has_journaled("keynote", RecordState.OPEN)
    checkout.has_journaled("over", RecordState.CLOSED)
    assert commands.status(checkout.environ) == 0
    shown = capsys.readouterr().out
    assert shown.count("t-keynote") == 1
    assert "over" not in shown


def test_a_journal_that_cannot_be_read_is_told_and_not_passed_over(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.checkpoint("live")
    (target.live(checkout.environ).folder / "journal.db").write_text("no database, and long enough to be looked at")
    assert commands.status(checkout.environ) == 1
    assert f"{target.live(checkout.environ).folder / 'journal.db'}" in capsys.readouterr().out
