"""The instructions of docs/cookbook.md that no other test runs."""

from pathlib import Path

import pytest

from rtcai_pulumi.emulator import Emulator
from tests.engine.service import live, rooms
from tests.engine.stack import Stack
from tests.engine.test_crashes import ROOM
from tests.engine.test_sweep import ELSE, rtcai

pytestmark = pytest.mark.full("each recipe combines commands that other tests try one by one")


def test_a_room_moves_to_another_stack(stack: Stack, emulator: Emulator) -> None:
    stack.program(ELSE + ROOM)
    stack.up().succeeded()
    before = live(emulator)
    urn = stack.conversations()["host"]["urn"]
    stack.pulumi("stack", "init", "live").succeeded()
    move = ["state", "move", "--source", "test", "--dest", "live", "--yes", urn]
    stack.pulumi(*move).succeeded()
    stack.program(ROOM)
    moved = stack.pulumi("up", "--yes", "--stack", "live").succeeded().output
    assert "1 updated" in moved
    assert "2 unchanged" in stack.pulumi("up", "--yes", "--stack", "live").succeeded().output
    stack.program(ELSE)
    assert "2 unchanged" in stack.pulumi("up", "--yes", "--stack", "test").succeeded().output
    assert live(emulator) == before
    export = str(stack.folder / "live.json")
    stack.pulumi("stack", "export", "--stack", "live", "--file", export).succeeded()
    sweep = rtcai(stack, "sweep", "--stack", "test", "--yes", "--other-export", export)
    assert sweep.returncode == 0, sweep.stderr
    assert live(emulator) == before
    stack.pulumi("destroy", "--yes", "--stack", "live").succeeded()
    assert rooms(emulator) == ["else"]


def test_the_app_secret_is_rotated(tmp_path: Path) -> None:
    kept = tmp_path / "service.json"
    with Emulator(state=kept, app_secret="the first secret") as emulator:
        stack = Stack(tmp_path / "stack", emulator)
        stack.program(ROOM)
        stack.up().succeeded()
        before, port = live(emulator), int(emulator.url.rpartition(":")[2])
    with Emulator(state=kept, port=port, app_secret="the second secret") as emulator:
        doctor = rtcai(stack, "doctor")
        assert "✗ signature: failed" in doctor.stdout
        stack.environment["RTCAI_APP_SECRET"] = emulator.app_secret
        assert rtcai(stack, "doctor").returncode == 0
        assert "2 unchanged" in stack.up("--refresh").succeeded().output
        assert live(emulator) == before
        stack.destroy().succeeded()
        assert live(emulator) == []
