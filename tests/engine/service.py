"""What the emulator received and which agents run in it, as short functions for the tests."""

from itertools import pairwise
from typing import Any

from rtcai_pulumi.emulator import Emulator


def live(emulator: Emulator) -> list[dict[str, Any]]:
    """The running tasks."""
    return [task for task in emulator.tasks() if task["state"] == "running"]


def rooms(emulator: Emulator) -> list[str]:
    """The room of each running task, sorted. A room with two agents appears twice."""
    return sorted(task["cname"] for task in live(emulator))


def overlaps(emulator: Emulator) -> list[str]:
    """The rooms in which two agents were ever running at the same time."""
    found = []
    tasks = sorted(emulator.tasks(), key=lambda task: (task["cname"], task["startedAt"]))
    for first, second in pairwise(tasks):
        ends = first["endedAt"] or "9999"
        if first["cname"] == second["cname"] and second["startedAt"] < ends:
            found.append(first["cname"])
    return found


def calls(emulator: Emulator) -> list[str]:
    """The calls of the task API, in order: ``create`` or ``close``."""
    return [request["path"].rpartition("/")[2] for request in emulator.requests() if "/task/" in request["path"]]


def bodies(emulator: Emulator, call: str) -> list[Any]:
    """The bodies of all creates or closes, in order."""
    return [request["body"] for request in emulator.requests() if request["path"].endswith(f"/task/{call}")]
