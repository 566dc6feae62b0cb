"""What the emulator was asked and what runs in it, in the words of the tests."""

from typing import Any

from rtcai_pulumi.emulator import Emulator


def live(emulator: Emulator) -> list[dict[str, Any]]:
    """The tasks that run."""
    return [task for task in emulator.tasks() if task["state"] == "running"]


def rooms(emulator: Emulator) -> list[str]:
    """The room of each task that runs, sorted: a room with two agents is there twice."""
    return sorted(task["cname"] for task in live(emulator))


def calls(emulator: Emulator) -> list[str]:
    """What was asked of the task API, in order: ``create`` or ``close``."""
    return [request["path"].rpartition("/")[2] for request in emulator.requests() if "/task/" in request["path"]]


def bodies(emulator: Emulator, call: str) -> list[Any]:
    """The bodies of all creates or closes, in order."""
    return [request["body"] for request in emulator.requests() if request["path"].endswith(f"/task/{call}")]
