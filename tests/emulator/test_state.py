from rtcai_pulumi.emulator.state import KEPT_ENDED_TASKS, State, Task


def start(state: State, cname: str = "r", now_ms: int = 1) -> Task:
    room = state.open_room(cname, 0, now_ms)
    return state.start_task(room, now_ms, mode="agent", data={}, request_id="q", trace_id=None)


def test_ending_a_room_ends_its_tasks_at_that_time() -> None:
    state = State()
    start(state)
    state.end_room(state.rooms["r"], 5)
    assert [task.ended_ms for task in state.tasks.values()] == [5]


def test_a_task_can_outlive_its_room_and_is_closed_by_its_ids() -> None:
    state = State()
    task = start(state)
    state.end_room(state.rooms["r"], 5, end_tasks=False)
    assert state.rooms == {}
    assert state.running_task(task.cid, task.task_id) == task


def test_a_task_of_an_ended_room_is_no_member_of_its_successor() -> None:
    state = State()
    start(state)
    state.end_room(state.rooms["r"], 5, end_tasks=False)
    assert state.members(state.open_room("r", 0, 6).cid) == []


def test_every_change_raises_the_revision() -> None:
    state = State()
    revisions = [state.revision]
    task = start(state)
    revisions.append(state.revision)
    state.end_task(task, 2)
    revisions.append(state.revision)
    state.end_room(state.rooms["r"], 3)
    revisions.append(state.revision)
    state.clear()
    revisions.append(state.revision)
    assert revisions == sorted(set(revisions))


def test_only_the_newest_ended_tasks_are_remembered_and_every_running_one() -> None:
    state = State()
    running = start(state)
    for number in range(KEPT_ENDED_TASKS + 3):
        state.end_task(start(state, now_ms=number), number)
    kept = list(state.tasks.values())
    assert kept[0] == running
    assert len(kept) == KEPT_ENDED_TASKS + 1
    assert kept[1].ended_ms == 3
