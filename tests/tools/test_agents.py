"""The agents of a state, combined with the emulator's data, and the table."""

import pytest

from rtcai_pulumi.stack.export import CONVERSATION as TYPE
from tools.dev.agents import Agent, agents_in_state, compare_with_emulator, show_agents


def task(number: int, state: str = "running") -> dict[str, object]:
    return {"taskId": f"t{number}", "cid": 100 + number, "cname": f"room{number}", "mode": "agent", "state": state}


def resource(number: int) -> dict[str, object]:
    outputs = {"cname": f"room{number}", "mode": "agent", "taskId": f"t{number}", "cid": str(100 + number)}
    return {"type": TYPE, "outputs": outputs}


def test_only_conversations_are_agents_and_they_come_by_room() -> None:
    found = agents_in_state([{"type": "pulumi:pulumi:Stack"}, resource(2), resource(1), {"type": TYPE}])
    assert [agent.room for agent in found] == ["", "room1", "room2"]


def test_each_agent_is_shown_with_the_emulators_word_on_it() -> None:
    known = agents_in_state([resource(1), resource(2), resource(3)])
    agents = compare_with_emulator(known, [task(1), task(2, "ended"), task(4), task(5, "ended")])
    assert [(agent.room, agent.state) for agent in agents] == [
        ("room1", "running"),
        ("room2", "ended"),
        ("room3", "unknown to the emulator"),
        ("room4", "running, not in the stack"),
    ]


def test_the_table_is_not_cut_and_takes_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_agents([Agent("[red]房间", "agent+parameters", f"1/{'9' * 64}", state="running")])
    _, head, row, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["Room", "Mode", "Task", "id", "State"]
    assert row.split() == ["[red]房间", "agent+parameters", "9" * 64, "running"]


def test_a_secret_output_is_not_shown_as_its_ciphertext() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
    assert agents_in_state([{"type": TYPE, "outputs": {"cname": secret}}])[0].room == "[secret]"
