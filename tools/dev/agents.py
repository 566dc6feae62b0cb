"""The agents in a stack's state, and the table that lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

TYPE = "pulumi-python:dynamic/rtcai:RealtimeConversation"
UNKNOWN = "unknown to the emulator"
NOT_IN_STACK = "not in the stack"


@dataclass(frozen=True)
class Agent:
    """One running conversation, from a stack's state or from the emulator."""

    room: str
    mode: str
    task_id: str
    cid: str
    endpoint: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The key of a task in the service."""
        return (self.cid, self.task_id)


def in_state(resources: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """Return the agents among the resources of an exported state, sorted by room."""
    return sorted(
        (_agent(resource.get("outputs") or {}) for resource in resources if resource.get("type") == TYPE),
        key=lambda agent: (agent.room, agent.task_id),
    )


def of_emulator(tasks: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[Agent, str]]:
    """Return the emulator's tasks with their states, by key."""
    listed = [
        (Agent(_text(task, "cname"), _text(task, "mode"), _text(task, "taskId"), _text(task, "cid")), task)
        for task in tasks
    ]
    return {agent.key: (agent, _text(task, "state")) for agent, task in listed}


def with_states(agents: Sequence[Agent], tasks: Mapping[tuple[str, str], tuple[Agent, str]]) -> list[tuple[Agent, str]]:
    """Join the agents of the state with the emulator's information, and add running ones that are in no state."""
    known = [(agent, tasks[agent.key][1] if agent.key in tasks else UNKNOWN) for agent in agents]
    keys = {agent.key for agent in agents}
    strangers = [agent for agent, state in tasks.values() if state == "running" and agent.key not in keys]
    return known + [(agent, f"running, {NOT_IN_STACK}") for agent in strangers]


def show(rows: Sequence[tuple[Agent, str]]) -> None:
    """Print the table: room, mode, task id, state."""
    table = Table("Room", "Mode", "Task id", "State", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for agent, state in rows:
        table.add_row(agent.room, agent.mode, agent.task_id, state)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 160  # a log file has no width, so lines are not wrapped
    console.print(table)


def count(number: int) -> str:
    """Return "1 agent" or "3 agents"."""
    return f"{number} agent" if number == 1 else f"{number} agents"


def _agent(outputs: Mapping[str, Any]) -> Agent:
    return Agent(*(_text(outputs, name) for name in ("cname", "mode", "taskId", "cid", "endpoint")))


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "")
    # The engine stores a secret as an object; its ciphertext is of no use to a reader.
    return "[secret]" if isinstance(value, Mapping) else str(value)
