"""The agents and rooms in the exported state of a stack."""

from __future__ import annotations

from typing import Any, Final

from rtcai_pulumi.config.task import TaskReference
from rtcai_pulumi.journal.record import StackState, StateAgent

_TYPE: Final = "pulumi-python:dynamic/rtcai:"


def stack_state(export: Any) -> StackState | None:
    """Return the agents and rooms of an exported stack; None if the JSON is not an export.

    Args:
        export: the output of the CLI, parsed as JSON.
    """
    try:
        resources = [each for each in export["deployment"].get("resources") or [] if each.get("id")]
        agents = [each for each in resources if each["type"] == f"{_TYPE}RealtimeConversation"]
        rooms = [each for each in resources if each["type"] == f"{_TYPE}Room" and not each.get("delete")]
        return StackState(
            agents=[
                StateAgent(
                    task=each["id"],
                    urn=each["urn"],
                    outputs=each.get("outputs") or {},
                    deleted_with=each.get("deletedWith"),
                )
                for each in agents
                if TaskReference.parse_if_valid(each["id"])
            ],
            rooms=[(int(each["id"]), str(each["outputs"]["owner"])) for each in rooms if each["id"].isdecimal()],
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
