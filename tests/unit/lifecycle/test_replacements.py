"""A room that fails silences no other room: the rules, without the engine."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from rtcai_pulumi.lifecycle.replacements import Replacements
from rtcai_pulumi.service.errors import NotReplaced
from tests.emulator.raw import until


class Fixture:
    """The replacements of a run, and an error that waits in a thread of its own."""

    def __init__(self, ends_at_error: bool | None = True, idle_seconds: float = 60) -> None:
        self.reports: list[str] = []
        self.waits = 0
        self.ended = threading.Event()
        self.replacements = Replacements(
            ends_at_error, self.ended.is_set, self.reports.append, self._note_wait, idle_seconds
        )

    def _note_wait(self) -> None:
        self.waits += 1

    def compare(self, *owners: str) -> None:
        for owner in owners:
            self.replacements.note_compared(f"1/{owner}", owner)

    def delete(self, owner: str, work: Callable[[], object] = lambda: None) -> None:
        with self.replacements.deleting(f"1/{owner}", owner, f"room of {owner}"):
            work()

    def create(self, owner: str, work: Callable[[], object] = lambda: None) -> None:
        with self.replacements.call(f"create {owner}"), self.replacements.creating(owner):
            work()

    def fail(self) -> threading.Thread:
        """Let an error wait in another thread, until it may be returned."""
        before = self.waits
        thread = threading.Thread(target=self.replacements.fail, args=("check x",), daemon=True)
        thread.start()
        until(lambda: self.waits > before)
        return thread

    def replace(self, owner: str) -> None:
        self.compare(owner)
        self.delete(owner)


@pytest.fixture
def run() -> Fixture:
    return Fixture()


def fail(*_: object) -> None:
    raise OSError


def returns(thread: threading.Thread) -> bool:
    thread.join(10)
    return not thread.is_alive()


def waits(thread: threading.Thread) -> bool:
    thread.join(0.7)  # more than two checks of a wait
    return thread.is_alive()


def test_an_error_waits_until_each_deleted_agent_has_its_replacement(run: Fixture) -> None:
    run.replace("a")
    run.replace("b")
    held = run.fail()
    until(lambda: bool(run.reports))
    assert run.reports == [
        "a resource has failed; before the run ends, it waits for the new agents of: room of a, room of b"
    ]
    run.create("a")
    assert waits(held)
    run.create("b")
    assert returns(held)
    assert len(run.reports) == 1


def test_an_error_that_silences_no_room_is_returned_immediately(run: Fixture) -> None:
    run.compare("a")
    run.replacements.fail("check x")
    assert run.waits == 0


def test_an_agent_that_is_deleted_for_good_is_not_waited_for(run: Fixture) -> None:
    run.delete("a")
    run.replacements.fail("check x")
    assert run.waits == 0


def test_a_replacement_that_is_not_compared_counts_too(run: Fixture) -> None:
    """With ``--replace`` and delete_before_replace, the engine checks a new resource before it deletes the old one."""
    run.replacements.note_announced("a")
    run.delete("a")
    held = run.fail()
    run.create("a")
    assert returns(held)
    run.delete("a")  # a left-over of an earlier run: it has its successor


def test_after_a_rename_the_new_owner_is_waited_for(run: Fixture) -> None:
    run.replacements.note_compared("1/old", "new")
    run.delete("old")
    held = run.fail()
    run.create("new")
    assert returns(held)


def test_an_agent_is_still_being_deleted_when_another_fails(run: Fixture) -> None:
    held: list[threading.Thread] = []
    run.compare("a")
    run.delete("a", lambda: held.append(run.fail()))
    assert waits(held[0])
    run.create("a")
    assert returns(held[0])


def test_after_an_error_no_agent_is_deleted_to_be_replaced(run: Fixture) -> None:
    run.replacements.note_compared("1/old", "new")
    run.replacements.fail("create x")
    for _ in range(2):  # an error hook may repeat the call
        with pytest.raises(NotReplaced, match="keeps running: another resource of this run has failed") as refused:
            run.delete("old", lambda: pytest.fail("it must not be deleted"))
        assert refused.value.facts.room == "room of old"
    run.delete("b")  # no resource of the program any more: it is not to be replaced


def test_an_error_that_was_repaired_refuses_nothing(run: Fixture) -> None:
    run.compare("a", "b")
    with suppress(OSError):
        run.create("x", fail)
    run.create("x")  # the engine has called it again
    run.delete("a")
    run.create("a")
    with suppress(OSError), run.replacements.call("create y", may_be_repeated=True):
        fail()
    run.delete("b")  # y has a hook, which is at work


def test_an_agent_that_was_started_first_is_deleted_after_an_error(run: Fixture) -> None:
    run.compare("a")
    run.create("a")
    run.replacements.fail("check x")
    run.delete("a")
    assert run.waits == 0


@pytest.mark.parametrize("step", ["delete", "create"])
def test_a_step_that_fails_is_not_waited_for(run: Fixture, step: str) -> None:
    run.compare("a")
    with suppress(OSError):
        run.delete("a", fail if step == "delete" else lambda: None)
    if step == "create":
        with suppress(OSError):
            run.create("a", fail)
    run.replacements.fail("check x")
    assert run.waits == 0


def test_an_interrupted_or_killed_engine_is_not_waited_for(run: Fixture) -> None:
    run.replace("a")
    held = run.fail()
    run.ended.set()
    assert returns(held)


def test_a_step_that_never_comes_is_waited_for_only_a_short_time() -> None:
    run = Fixture(idle_seconds=0.6)
    run.replace("a")
    assert returns(run.fail())
    assert run.reports[1:] == ["warning: these rooms have no agent now: room of a; `pulumi up` starts them again"]
    run.replacements.fail("check y")  # which does not wait again
    assert run.waits == 1


def test_while_any_call_runs_its_successor_may_come() -> None:
    """Such as the create of a room, which the agent needs."""
    run = Fixture(idle_seconds=0.4)
    run.replace("a")
    may_end = threading.Event()
    creating = threading.Thread(target=run.create, args=("room", may_end.wait))
    creating.start()
    held = run.fail()
    assert waits(held)
    assert waits(held)
    may_end.set()
    run.create("a")
    assert returns(held)
    assert len(run.reports) == 1


def test_with_continue_on_error_nothing_waits_and_nothing_is_refused() -> None:
    run = Fixture(ends_at_error=False)
    run.replace("a")
    run.replacements.fail("check x")
    run.replace("b")
    assert run.waits == 0


def test_if_the_options_are_not_known_errors_wait_and_nothing_is_refused() -> None:
    run = Fixture(ends_at_error=None)
    run.replace("a")
    held = run.fail()
    run.replace("b")
    run.create("a")
    run.create("b")
    assert returns(held)
