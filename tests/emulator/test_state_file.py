import asyncio
import json
import os
from pathlib import Path
from threading import Event

import pytest

from rtcai_pulumi.emulator.errors import StateFileUnusable
from rtcai_pulumi.emulator.state.file import StateFile
from rtcai_pulumi.emulator.state.model import EmulatedTask, ServiceState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def start(state: ServiceState, cname: str = "r") -> EmulatedTask:
    room = state.open_room(cname, 7, 1)
    return state.start_task(room, 2, mode="agent", data={"deep": [1, 2.5, {"é": True}]}, request_id="q", trace_id="t")


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def saved(path: Path) -> EmulatedTask:
    file = StateFile(path)
    task = start(file.state)
    asyncio.run(file.save())
    file.close()
    return task


def test_what_was_saved_is_there_again(path: Path) -> None:
    task = saved(path)
    again = StateFile(path)
    again.close()
    assert list(again.state.tasks.values()) == [task]
    assert [(room.cname, room.cid, room.uid) for room in again.state.rooms.values()] == [("r", task.cid, 7)]


def test_a_running_and_an_ended_task_stay_what_they_are(path: Path) -> None:
    file = StateFile(path)
    ended, running = start(file.state), start(file.state)
    file.state.end_task(ended, 9)
    asyncio.run(file.save())
    file.close()
    again = StateFile(path)
    again.close()
    assert [task.ended_ms for task in again.state.tasks.values()] == [9, None]
    assert again.state.find_running_task(running.cid, running.task_id) == running


def test_a_file_of_an_emulator_that_kept_no_appkeys_is_read(path: Path) -> None:
    task = saved(path)
    content = json.loads(path.read_text())
    del content["tasks"][0]["app_key"]
    path.write_text(json.dumps(content))
    again = StateFile(path)
    again.close()
    assert list(again.state.tasks.values()) == [task]


@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_only_its_user_can_read_it_whoever_could_before(path: Path, mode: int) -> None:
    saved(path)
    path.chmod(mode)
    StateFile(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 2, "rooms": [], "tasks": []}',
        '{"version": 1, "rooms": [{"cid": "5"}], "tasks": []}',
        '{"version": 1, "rooms": [], "tasks": [{"data": "canary"}]}',
    ],
)
def test_a_corrupt_file_is_named_and_left_as_it_is(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(StateFileUnusable, match="was not written by an emulator") as error:
        StateFile(path)
    assert str(path) in str(error.value)
    assert "canary" not in str(error.value)
    assert path.read_text() == content


def test_a_file_cut_at_any_byte_is_corrupt_or_whole(path: Path) -> None:
    saved(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StateFileUnusable):
            StateFile(path)
        assert path.read_bytes() == whole[:length]


def test_two_emulators_do_not_share_a_file(path: Path) -> None:
    first = StateFile(path)
    with pytest.raises(StateFileUnusable, match="in use by another emulator"):
        StateFile(path)
    first.close()
    StateFile(path).close()


def test_a_corrupt_file_is_not_held(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(StateFileUnusable):
        StateFile(path)
    path.unlink()
    StateFile(path).close()


def test_a_file_that_cannot_be_written_is_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StateFileUnusable, match="No such file or directory"):
        StateFile(tmp_path / "missing" / "state.json")


def test_a_folder_is_no_state_file(tmp_path: Path) -> None:
    with pytest.raises(StateFileUnusable, match="Is a directory"):
        StateFile(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(path)
    before = path.read_bytes()
    file = StateFile(path)
    start(file.state, "new")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(file.save())
    file.close()
    assert path.read_bytes() == before


def test_a_write_that_failed_is_made_up_for_by_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(path)
    start(file.state, "first")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            asyncio.run(file.save())
    asyncio.run(file.save())
    file.close()
    assert [room["cname"] for room in json.loads(path.read_text())["rooms"]] == ["first"]


def test_a_half_written_file_of_a_killed_emulator_is_no_hindrance(path: Path) -> None:
    task = saved(path)
    path.with_name("state.json.new").write_text("half of")
    again = StateFile(path)
    again.close()
    assert list(again.state.tasks.values()) == [task]
    assert not path.with_name("state.json.new").exists()


def test_a_link_leads_to_the_file_that_is_kept(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    saved(link)
    assert link.is_symlink()
    assert len(json.loads(path.read_text())["tasks"]) == 1


def test_changes_made_while_the_disk_is_busy_share_the_next_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(path)
    busy, go_on, writes = Event(), Event(), []
    replace = Path.replace

    def slow(source: Path, target: Path) -> Path:
        writes.append(target)
        busy.set()
        go_on.wait()
        return replace(source, target)

    async def changes() -> None:
        start(file.state, "first")
        saves = [asyncio.create_task(file.save())]
        await asyncio.to_thread(busy.wait)
        for number in range(20):
            start(file.state, f"room-{number}")
            saves.append(asyncio.create_task(file.save()))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*saves)

    monkeypatch.setattr(Path, "replace", slow)
    asyncio.run(changes())
    file.close()
    assert len(writes) == 2
    assert len(json.loads(path.read_text())["tasks"]) == 21


def test_a_save_returns_only_after_its_change_is_in_the_file(path: Path) -> None:
    file = StateFile(path)

    async def one(number: int) -> bool:
        task = start(file.state, f"room-{number}")
        await file.save()
        return task.task_id in path.read_text()

    async def many() -> list[bool]:
        return await asyncio.gather(*map(one, range(30)))

    assert all(asyncio.run(many()))
    file.close()
