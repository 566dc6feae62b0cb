from dataclasses import replace

from rtcai_pulumi.emulator.state.model import KEPT_ENDED_TASKS, EmulatedTask, ServiceState


def start(state: ServiceState, cname: str = "r", now_ms: int = 1) -> EmulatedTask:
    room = state.open_room(cname, 0, now_ms)
    return state.start_task(room, now_ms, mode="agent", data={}, request_id="q", trace_id=None)


def test_ending_a_room_ends_its_tasks_at_that_time() -> None:
    state = ServiceState()
    start(state)
    state.end_room(state.rooms["", "r"], 5)
    assert [task.ended_ms for task in state.tasks.values()] == [5]


def test_a_task_can_outlive_its_room_and_is_closed_by_its_ids() -> None:
    state = ServiceState()
    task = start(state)
    state.end_room(state.rooms["", "r"], 5, end_tasks=False)
    assert state.rooms == {}
    assert state.find_running_task(task.cid, task.task_id) == task


def test_a_task_of_an_ended_room_is_no_member_of_its_successor() -> None:
    state = ServiceState()
    start(state)
    state.end_room(state.rooms["", "r"], 5, end_tasks=False)
    assert state.list_members(state.open_room("r", 0, 6).cid, 7) == []


def test_the_first_task_of_a_trace_id_is_found_also_when_it_has_ended() -> None:
    state = ServiceState()
    rooms = [state.open_room("r", 0, 1, app_key) for app_key in ("key", "key", "other")]
    first, _, other = (state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="t") for room in rooms)
    state.end_task(first, 2)
    assert state.find_by_trace_id(("key", "t")) == first
    assert state.find_by_trace_id(("other", "t")) == other
    assert state.find_by_trace_id(("key", "another")) is None
    assert ServiceState(state.rooms.values(), state.tasks.values()).find_by_trace_id(("other", "t")) == other
    state.clear()
    assert state.find_by_trace_id(("key", "t")) is None


def test_a_trace_id_is_forgotten_with_its_task() -> None:
    state = ServiceState()
    room = state.open_room("r", 0, 1, "key")
    for number in range(KEPT_ENDED_TASKS + 1):
        trace_id = "twice" if number == 1 else f"trace-{number}"
        task = state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id=trace_id)
        state.end_task(task, 2)
    again = state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="twice")
    assert state.find_by_trace_id(("key", "trace-0")) is None
    assert state.find_by_trace_id(("key", "twice")) != again
    for _ in range(KEPT_ENDED_TASKS):
        state.end_task(start(state), 3)
    assert state.find_by_trace_id(("key", "twice")) is None


def test_a_trace_id_outlives_a_second_task_that_had_it_too() -> None:
    state = ServiceState()
    room = state.open_room("r", 0, 1, "key")
    first, second = (state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="t") for _ in range(2))
    state.end_task(second, 2)
    for _ in range(KEPT_ENDED_TASKS):
        state.end_task(start(state), 3)
    assert (second.cid, second.task_id) not in state.tasks
    assert state.find_by_trace_id(("key", "t")) == first


def test_two_tasks_of_one_trace_id_are_forgotten_one_after_the_other() -> None:
    state = ServiceState()
    room = state.open_room("r", 0, 1, "key")
    for _ in range(2):
        task = state.start_task(room, 1, mode="agent", data={}, request_id="q", trace_id="t")
        state.end_task(task, 2)
    for _ in range(KEPT_ENDED_TASKS):
        state.end_task(start(state), 3)
    assert state.find_by_trace_id(("key", "t")) is None


def test_every_change_raises_the_revision() -> None:
    state = ServiceState()
    revisions = [state.revision]
    task = start(state)
    revisions.append(state.revision)
    state.end_task(task, 2)
    revisions.append(state.revision)
    state.end_room(state.rooms["", "r"], 3)
    revisions.append(state.revision)
    state.clear()
    revisions.append(state.revision)
    assert revisions == sorted(set(revisions))


def test_only_the_newest_ended_tasks_are_remembered_and_every_running_one() -> None:
    state = ServiceState()
    running = start(state)
    for number in range(KEPT_ENDED_TASKS + 3):
        state.end_task(start(state, now_ms=number), number)
    kept = list(state.tasks.values())
    assert kept[0] == running
    assert len(kept) == KEPT_ENDED_TASKS + 1
    assert kept[1].ended_ms == 3


def test_each_account_has_rooms_of_its_own() -> None:
    state = ServiceState()
    first, second = (state.open_room("r", 0, 1, app_key) for app_key in ("key", "other"))
    assert first.cid != second.cid
    state.end_room(first, 2)
    assert list(state.rooms.values()) == [second]


def test_what_has_no_account_gets_one_and_the_rest_stays() -> None:
    state = ServiceState()
    owned = state.open_room("r", 0, 1, "other")
    task = start(state)
    revision = state.revision
    state.assign_account("key")
    assert list(state.rooms.values()) == [owned, replace(state.rooms["key", "r"])]
    assert state.tasks[task.key] == replace(task, app_key="key")
    assert state.list_tasks(("key", "r")) == [state.tasks[task.key]]
    assert state.revision == revision


def coming(state: ServiceState, runs_ms: int, due_ms: int | None) -> EmulatedTask:
    room = state.open_room("r", 0, 100)
    return state.start_task(
        room, 100, mode="agent", data={}, request_id="q", trace_id=None, runs_ms=runs_ms, due_ms=due_ms
    )


def test_a_task_starts_and_ends_when_its_time_has_come() -> None:
    state = ServiceState()
    task = coming(state, 200, 300)
    stages = []
    for now_ms in (100, 199, 200, 299, 300):
        state.advance(now_ms)
        stages.append(state.tasks[task.key].stage(now_ms))
    assert stages == ["starting", "starting", "running", "running", "ended"]


def test_a_task_that_ended_by_itself_did_so_at_its_time_however_late_anyone_looks() -> None:
    state = ServiceState()
    task = coming(state, 200, 300)
    state.advance(10_000)
    ended = state.tasks[task.key]
    assert (ended.ended_ms, ended.ended_by) == (300, "itself")


def test_an_agent_is_no_member_before_it_has_started() -> None:
    state = ServiceState()
    task = coming(state, 200, None)
    assert state.list_members(task.cid, 199) == []
    assert state.list_members(task.cid, 200) == [task]


def test_a_room_ends_also_the_agents_that_are_starting() -> None:
    state = ServiceState()
    task = coming(state, 200, 300)
    state.end_room(state.rooms["", "r"], 150)
    state.advance(10_000)
    assert (state.tasks[task.key].ended_ms, state.tasks[task.key].ended_by) == (150, "room")


def test_the_tasks_of_a_state_file_continue_to_their_end() -> None:
    state = ServiceState()
    task = coming(state, 200, 300)
    again = ServiceState(state.rooms.values(), state.tasks.values())
    again.advance(300)
    assert not again.tasks[task.key].running


def test_each_stage_is_sent_to_subscribers() -> None:
    state = ServiceState()
    coming(state, 200, 300)
    for now_ms, told in ((199, 0), (200, 1), (201, 0), (300, 1), (301, 0)):
        number = state.changes.number
        state.advance(now_ms)
        assert state.changes.number - number == told


def test_what_is_forgotten_is_known_of_no_room() -> None:
    state = ServiceState()
    state.end_task(start(state, "first"), 1)
    state.end_room(state.rooms["", "first"], 1)
    for number in range(KEPT_ENDED_TASKS):
        state.end_task(start(state, "second", number), number)
    assert state.room_keys() == [("", "second")]
