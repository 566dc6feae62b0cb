"""The sequences that each rule was made for, with everything else that can happen between their steps.

Each test describes the worst form of its sequence and requires that this form was reached, so it cannot pass without
it. If some moves can come in any order, the exploration remembers only one order. When nothing is running any more,
`promises.hold` checks what follows, including a last `up`.
"""

import pytest

from tests.model.scenarios import DESTROY, ELSEWHERE, A, B, Scenario, replace, up

pytestmark = pytest.mark.shows("safety model-histories")

CHECKPOINTS = pytest.mark.parametrize("checkpoints", [True, False], ids=["checkpoints", "no checkpoints"])
SERVICES = pytest.mark.parametrize("replays", [True, False], ids=["answers repeated", "duplicates ignored"])


def check(scenario: Scenario, *at_its_worst: str) -> None:
    explored = scenario.explored()
    assert explored.broken is None, str(explored.broken)
    assert explored.met(*at_its_worst), "the sequence has not been tried"


@SERVICES
@CHECKPOINTS
def test_up_edit_up_killed_in_mid_create_up(replays: bool, checkpoints: bool) -> None:
    scenario = Scenario(((up(B, checkpoints=checkpoints),),), after=(up(A),), replays=replays)
    check(scenario, "calls create", "service: create", "kill -9 engine 2 and its plugin")


@SERVICES
@CHECKPOINTS
def test_up_destroy_killed_after_the_close_up(replays: bool, checkpoints: bool) -> None:
    destroy = DESTROY._replace(checkpoints=checkpoints)
    check(Scenario(((destroy,),), after=(up(A),), replays=replays), "1/1: closed", "kill -9 engine 2 and its plugin")


@SERVICES
@CHECKPOINTS
def test_up_room_change_killed_in_mid_create_revert_up(replays: bool, checkpoints: bool) -> None:
    scenario = Scenario(((up(ELSEWHERE, checkpoints=checkpoints),), (up(A),)), after=(up(A),), replays=replays)
    check(scenario, "service: create x2: 2/2", "kill -9 engine 2 and its plugin", "calls update(1/1, A")


@SERVICES
@CHECKPOINTS
def test_first_up_lost_edit_up(replays: bool, checkpoints: bool) -> None:
    scenario = Scenario(((up(A, checkpoints=checkpoints),), (up(B),)), replays=replays)
    check(
        scenario, "plugin 1: Send(create, x1", "FAULT", "up with B", "plugin 2: Send(create, x1", "plugin 2: Send(close"
    )


@SERVICES
def test_an_old_plugin_that_would_post_after_the_next_up_has_started(replays: bool) -> None:
    """The plugin reads the journal for the last time when its engine has exited and the next `up` has read it."""
    scenario = Scenario(((up(A),), (up(A), up(B))), replays=replays)
    check(scenario, "kill -9 engine 1", "plugin 2: Records", "plugin 1: Add(x1", "plugin 1: RequireStillWanted(x1)")


@SERVICES
def test_an_old_plugin_whose_request_the_service_works_on_during_the_next_up(replays: bool) -> None:
    scenario = Scenario(((up(A),), (up(A), up(B))), replays=replays)
    check(scenario, "plugin 1: Send(create", "kill -9 engine 1", "plugin 2: TakeOver(x1", "plugin 1: Receive")


@SERVICES
@CHECKPOINTS
def test_up_replace_after_a_good_run(replays: bool, checkpoints: bool) -> None:
    """`up --replace` does not pass the task to the provider: the create closes the task in the state."""
    scenario = Scenario(((replace(A, checkpoints=checkpoints),),), after=(up(A),), replays=replays)
    check(scenario, "plugin 2: Send(close, 1/1", "service: create x2", "kill -9 engine 2 and its plugin")


@SERVICES
@CHECKPOINTS
def test_up_replace_after_a_killed_run(replays: bool, checkpoints: bool) -> None:
    killed, replaced = up(B, checkpoints=checkpoints), replace(B, checkpoints=checkpoints)
    scenario = Scenario(((killed,), (replaced,)), after=(up(A, checkpoints=checkpoints),), replays=replays)
    check(scenario, "service: create x2", "FAULT: kill -9 engine 2", "up --replace", "plugin 3: TakeOver(x2")


@SERVICES
def test_a_second_sigint_in_mid_create(replays: bool) -> None:
    """After the second SIGINT, the engine exits immediately and its plugin keeps running."""
    scenario = Scenario(((up(A),), (up(B),)), faults=2, replays=replays)
    check(scenario, "SIGINT to engine 1", "kill -9 engine 1", "service: create x1")
