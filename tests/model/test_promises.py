"""No order of commands, steps and faults breaks a promise."""

import pytest

from tests.model.commands import Command
from tests.model.scenarios import (
    ANY_TWO_COMMANDS,
    DESTROY,
    ELSEWHERE,
    ENDING,
    NO_LONGER_RETAINING,
    REFRESH,
    RETAINED,
    RETAINING,
    START_FIRST,
    WITH_END,
    A,
    B,
    Scenario,
    hooked,
    replace,
    up,
)
from tests.model.walks import walk_all
from tests.model.world import Inputs

SERVICES = pytest.mark.parametrize(
    ("replays", "rooms_required"),
    [
        pytest.param(replays, required, id=f"{'answers repeated' if replays else 'duplicates ignored'}, {rooms}")
        for replays in (True, False)
        for required, rooms in ((False, "rooms opened by a create"), (True, "rooms opened by people"))
    ],
)


def check(scenario: Scenario, *, quiet: int = 100) -> None:
    explored = scenario.explored()
    assert explored.broken is None, str(explored.broken)
    assert explored.quiet > quiet, "too little was tried"


@pytest.mark.shows("safety model-one-fault")
@SERVICES
def test_any_two_commands_with_one_fault_break_no_promise(replays: bool, rooms_required: bool) -> None:
    check(Scenario(ANY_TWO_COMMANDS, replays=replays, rooms_required=rooms_required))


@pytest.mark.full("longer explorations; any two commands, and the removal of each rule, are tried every day")
@pytest.mark.parametrize("replays", [True, False], ids=["answers repeated", "duplicates ignored"])
@pytest.mark.parametrize("after", [(), (up(A),)], ids=["from nothing", "from a running agent"])
def test_a_command_whose_calls_are_repeated_breaks_no_promise(replays: bool, after: tuple[Command, ...]) -> None:
    commands = (up(A), up(B), up(START_FIRST), replace(A), DESTROY)
    check(Scenario((tuple(hooked(command) for command in commands),), 2, after, replays), quiet=50)


RETENTION = (*RETAINING, *NO_LONGER_RETAINING)
FROM_NOTHING_OR_RETAINED = pytest.mark.parametrize(
    "after", [(), (up(RETAINED),)], ids=["from nothing", "from a retained agent"]
)


@pytest.mark.full("longer explorations; any two commands, and the removal of each rule, are tried every day")
@FROM_NOTHING_OR_RETAINED
@pytest.mark.parametrize("replays", [True, False], ids=["answers repeated", "duplicates ignored"])
def test_retained_agents_are_left_alone_and_lost_ones_are_not(replays: bool, after: tuple[Command, ...]) -> None:
    check(Scenario((RETENTION, RETENTION), after=after, replays=replays))


@pytest.mark.exhaustive
@SERVICES
@FROM_NOTHING_OR_RETAINED
def test_retained_agents_are_left_alone_with_two_faults(
    replays: bool, rooms_required: bool, after: tuple[Command, ...]
) -> None:
    check(Scenario((RETAINING, NO_LONGER_RETAINING), 2, after, replays, rooms_required))


@pytest.mark.exhaustive
@SERVICES
def test_what_a_killed_run_left_and_repeated_calls_break_no_promise(replays: bool, rooms_required: bool) -> None:
    first, second = (up(B), up(ELSEWHERE)), (hooked(up(A)), hooked(up(B)), hooked(replace(A)), hooked(DESTROY))
    check(Scenario((first, second), 2, (up(A),), replays, rooms_required))


@pytest.mark.shows("safety model-more-faults")
@pytest.mark.exhaustive
@SERVICES
@pytest.mark.parametrize(
    ("after", "first"),
    [((), A), ((up(B),), A), ((up(A),), START_FIRST)],
    ids=["from nothing", "from a running agent", "start-first"],
)
def test_two_commands_with_two_faults_break_no_promise(
    replays: bool, rooms_required: bool, first: Inputs, after: tuple[Command, ...]
) -> None:
    second = (up(A), up(B), replace(A), REFRESH, DESTROY)
    check(Scenario(((up(first),), second), 2, after, replays, rooms_required))


@pytest.mark.exhaustive
@pytest.mark.parametrize("last", [A, B], ids=["reverted", "repeated"])
def test_three_commands_with_two_faults_break_no_promise(last: Inputs) -> None:
    check(Scenario(((up(A),), (up(B),), (up(last),)), 2))


@pytest.mark.shows("safety model-more-faults")
@pytest.mark.exhaustive
@SERVICES
def test_an_edit_and_its_revert_with_three_faults_break_no_promise(replays: bool, rooms_required: bool) -> None:
    check(Scenario(((up(B),), (up(A),)), 3, (up(A),), replays, rooms_required))


FROM_NOTHING_OR_ENDING = pytest.mark.parametrize(
    "after", [(), (up(ENDING),)], ids=["from nothing", "from an agent with an end"]
)


@pytest.mark.shows("safety model-end")
@SERVICES
@FROM_NOTHING_OR_ENDING
def test_an_end_that_passes_and_a_sweep_at_any_time_break_no_promise(
    replays: bool, rooms_required: bool, after: tuple[Command, ...]
) -> None:
    check(Scenario((WITH_END,), 0, after, replays, rooms_required, sweeps=2, ends=True), quiet=10)


@pytest.mark.full("longer explorations; every day an end passes at any time without a fault")
@FROM_NOTHING_OR_ENDING
def test_an_end_that_passes_a_sweep_and_a_fault_break_no_promise(after: tuple[Command, ...]) -> None:
    check(Scenario((WITH_END,), 1, after, sweeps=1, ends=True))


@pytest.mark.exhaustive
@SERVICES
@FROM_NOTHING_OR_ENDING
def test_an_end_that_passes_during_two_commands_with_a_fault_breaks_no_promise(
    replays: bool, rooms_required: bool, after: tuple[Command, ...]
) -> None:
    check(Scenario((WITH_END, WITH_END), 1, after, replays, rooms_required, sweeps=1, ends=True))


@pytest.mark.shows("safety model-random")
@pytest.mark.parametrize("replays", [True, False], ids=["answers repeated", "duplicates ignored"])
def test_walks_at_random_through_longer_histories_break_no_promise(replays: bool) -> None:
    walked = walk_all(range(500), replays=replays)
    assert walked.broken is None, str(walked.broken)
    assert walked.steps > 15_000


@pytest.mark.exhaustive
@pytest.mark.parametrize("replays", [True, False], ids=["answers repeated", "duplicates ignored"])
def test_many_walks_break_no_promise(replays: bool) -> None:
    walked = walk_all(range(500, 20_000), replays=replays)
    assert walked.broken is None, str(walked.broken)
