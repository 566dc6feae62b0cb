"""A room that fails silences no other room: the rules, without the engine."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from rtcai_pulumi.lifecycle.replacements import Replacements
from rtcai_pulumi.service.errors import NotReplaced
from tests.emulator.raw import until


class Fixture:
    """The replacements of a run, and an error that is held in a thread of its own."""

    def __init__(self, ends_at_error: bool | None = True, quiet_seconds: float = 60) -> None:
        self.reports: list[str] = []
        self.ended = threading.Event()
        self.replacements = Replacements(ends_at_error, self.ended.is_set, self.reports.append, quiet_seconds)
        self._thread: threading.Thread | None = None

    def compare(self, *owners: str) -> None:
        for owner in owners:
            self.replacements.note_compared(f"1/{owner}", owner)

    def delete(self, owner: str, work: Callable[[], object] = lambda: None) -> None:
        with self.replacements.deleting(f"1/{owner}", owner, f"room of {owner}"):
            work()

    def create(self, owner: str, work: Callable[[], object] = lambda: None) -> None:
        with self.replacements.creating(owner):
            work()

    def fail(self) -> threading.Thread:
        """Hold an error in another thread, until it may be returned."""
        thread = threading.Thread(target=self.replacements.hold, daemon=True)
        thread.start()
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


def test_an_error_waits_until_each_deleted_agent_has_its_replacement(run: Fixture) -> None:
    run.replace("a")
    run.replace("b")
    held = run.fail()
    until(lambda: bool(run.reports))
    assert run.reports == [
        "a resource has failed; before the run ends, the agents of these rooms are started: room of a, room of b"
    ]
    run.create("a")
    assert held.is_alive()
    run.create("b")
    assert returns(held)


def test_an_error_that_silences_no_room_is_returned_immediately(run: Fixture) -> None:
    run.compare("a")
    run.replacements.hold()
    assert run.reports == []


def test_an_agent_that_is_deleted_for_good_is_not_waited_for(run: Fixture) -> None:
    run.delete("a")
    run.replacements.hold()
    assert run.reports == []


def test_a_replacement_that_is_not_compared_counts_too(run: Fixture) -> None:
    """With ``--replace`` and delete_before_replace, the engine checks a new resource before it deletes the old one."""
    run.replacements.note_announced("a")
    run.delete("a")
    held = run.fail()
    until(lambda: bool(run.reports))
    run.create("a")
    assert returns(held)
    run.delete("a")  # a left-over of an earlier run: it has its successor


def test_after_a_rename_the_new_owner_is_waited_for(run: Fixture) -> None:
    run.replacements.note_compared("1/old", "new")
    run.delete("old")
    held = run.fail()
    until(lambda: bool(run.reports))
    run.create("new")
    assert returns(held)


def test_an_agent_is_still_being_deleted_when_another_fails(run: Fixture) -> None:
    def work() -> None:
        held.append(run.fail())
        until(lambda: bool(run.reports))

    held: list[threading.Thread] = []
    run.compare("a")
    run.delete("a", work)
    assert held[0].is_alive()
    run.create("a")
    assert returns(held[0])


def test_after_an_error_no_agent_is_deleted_to_be_replaced(run: Fixture) -> None:
    run.compare("a")
    run.replacements.hold()
    with pytest.raises(NotReplaced, match="keeps running: another resource of this run has failed") as refused:
        run.delete("a", lambda: pytest.fail("it must not be deleted"))
    assert refused.value.facts.room == "room of a"
    run.delete("b")  # no resource of the program any more: it is not to be replaced


def test_an_agent_that_was_started_first_is_deleted_after_an_error(run: Fixture) -> None:
    run.compare("a")
    run.create("a")
    run.replacements.hold()
    run.delete("a")
    assert run.reports == []


@pytest.mark.parametrize("step", ["delete", "create"])
def test_a_step_that_fails_is_not_waited_for(run: Fixture, step: str) -> None:
    run.compare("a")
    with suppress(OSError):
        run.delete("a", fail if step == "delete" else lambda: None)
    if step == "create":
        with suppress(OSError):
            run.create("a", fail)
    run.replacements.hold()
    assert run.reports == []


def test_an_interrupted_or_killed_engine_is_not_waited_for(run: Fixture) -> None:
    run.replace("a")
    held = run.fail()
    until(lambda: bool(run.reports))
    run.ended.set()
    assert returns(held)


def test_a_step_that_never_comes_is_waited_for_only_some_time() -> None:
    run = Fixture(quiet_seconds=0.6)
    run.replace("a")
    assert returns(run.fail())


def test_a_create_that_takes_long_is_waited_for() -> None:
    run = Fixture(quiet_seconds=0.6)
    run.replace("a")
    may_end = threading.Event()
    creating = threading.Thread(target=run.create, args=("a", may_end.wait))
    creating.start()
    held = run.fail()
    held.join(2)
    assert held.is_alive()
    may_end.set()
    assert returns(held)


def test_with_continue_on_error_nothing_is_held_or_refused() -> None:
    run = Fixture(ends_at_error=False)
    run.replace("a")
    run.replacements.hold()
    run.replace("b")
    assert run.reports == []


def test_if_the_options_are_not_known_errors_are_held_and_nothing_is_refused() -> None:
    run = Fixture(ends_at_error=None)
    run.replace("a")
    held = run.fail()
    until(lambda: bool(run.reports))
    run.replace("b")
    run.create("a")
    run.create("b")
    assert returns(held)


def test_an_error_of_a_block_is_held_and_raised(run: Fixture) -> None:
    with pytest.raises(OSError), run.replacements.holding_errors():  # noqa: PT011  any error will do
        fail()
    run.compare("a")
    with pytest.raises(NotReplaced):
        run.delete("a")
