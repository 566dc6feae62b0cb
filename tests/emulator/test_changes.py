import asyncio

from rtcai_pulumi.emulator.state.changes import KEPT_CHANGES, Change, Changes


def test_only_what_changed_after_a_number_is_sent_each_thing_once() -> None:
    changes = Changes()
    changes.touch("room", "a")
    seen = changes.number
    for key in ("b", "c", "b"):
        changes.touch("room", key)
    assert changes.since(seen) == [Change("room", "c"), Change("room", "b")]
    assert changes.since(changes.number) == []


def test_a_reader_that_missed_more_than_is_kept_reloads_everything() -> None:
    changes = Changes()
    for number in range(KEPT_CHANGES + 1):
        changes.touch("request", number)
    assert changes.since(0) is None
    assert len(changes.since(1) or ()) == KEPT_CHANGES


def test_after_a_reset_every_reader_reloads_everything() -> None:
    changes = Changes()
    changes.touch("room", "a")
    seen = changes.number
    changes.restart()
    assert changes.since(seen) is None
    assert changes.since(changes.number) == []


def test_a_number_of_the_future_is_another_emulator_s() -> None:
    assert Changes().since(5) is None


def test_who_waits_is_woken_by_the_next_change() -> None:
    async def woken() -> int:
        changes = Changes()
        waiting = asyncio.create_task(changes.after(0))
        await asyncio.sleep(0)
        changes.touch("fault")
        await waiting
        await changes.after(0)
        return changes.number

    assert asyncio.run(woken()) == 1
