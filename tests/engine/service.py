"""What the emulator was asked and what runs in it, in the words of the tests."""

from itertools import pairwise
from typing import Any

from rtcai_pulumi.emulator import Emulator


def live(emulator: Emulator) -> list[dict[str, Any]]:
    """The tasks that run."""
    return [task for task in emulator.tasks() if task["state"] == "running"]


def rooms(emulator: Emulator) -> list[str]:
    """The room of each task that runs, sorted: a room with two agents is there twice."""
    return sorted(task["cname"] for task in live(emulator))


def overlaps(emulator: Emulator) -> list[str]:
    """The rooms in which two agents ever ran at the same moment."""
    found = []
    tasks = sorted(emulator.tasks(), key=lambda task: (task["cname"], task["startedAt"]))
    for first, second in pairwise(tasks):
        ends = first["endedAt"] or "9999"
        if first["cname"] == second["cname"] and second["startedAt"] < ends:
            found.append(first["cname"])
    return found


def calls(emulator: Emulator) -> list[str]:
    """What was asked of the task API, in order: ``create`` or ``close``."""
    return [request["path"].rpartition("/")[2] for request in emulator.requests() if "/task/" in request["path"]]


def bodies(emulator: Emulator, call: str) -> list[Any]:
    """The bodies of all creates or closes, in order."""
    return [request["body"] for request in emulator.requests() if request["path"].endswith(f"/task/{call}")]
