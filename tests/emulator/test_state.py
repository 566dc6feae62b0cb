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


def test_the_first_task_of_a_trace_id_is_found_also_when_it_has_ended() -> None:
    state = State()
    room = state.open_room("r", 0, 1)
    first, _, other = (
        state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="t", app_key=app_key)
        for app_key in ("key", "key", "other")
    )
    state.end_task(first, 2)
    assert state.traced(("key", "t")) == first
    assert state.traced(("other", "t")) == other
    assert state.traced(("key", "another")) is None
    assert State(state.rooms.values(), state.tasks.values()).traced(("other", "t")) == other
    state.clear()
    assert state.traced(("key", "t")) is None


def test_a_trace_id_is_forgotten_with_its_task() -> None:
    state = State()
    room = state.open_room("r", 0, 1)
    for number in range(KEPT_ENDED_TASKS + 1):
        trace_id = "twice" if number == 1 else f"trace-{number}"
        task = state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id=trace_id, app_key="key")
        state.end_task(task, 2)
    again = state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="twice", app_key="key")
    assert state.traced(("key", "trace-0")) is None
    assert state.traced(("key", "twice")) != again
    for _ in range(KEPT_ENDED_TASKS):
        state.end_task(start(state), 3)
    assert state.traced(("key", "twice")) is None


def test_a_trace_id_outlives_a_second_task_that_had_it_too() -> None:
    state = State()
    room = state.open_room("r", 0, 1)
    first, second = (
        state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="t", app_key="key") for _ in range(2)
    )
    state.end_task(second, 2)
    for _ in range(KEPT_ENDED_TASKS):
        state.end_task(start(state), 3)
    assert (second.cid, second.task_id) not in state.tasks
    assert state.traced(("key", "t")) == first


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
