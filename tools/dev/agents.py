"""The agents of a stack: in its state, in the emulator, and in the journal; and the table that lists them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rtcai_pulumi.cli.output import print_table
from rtcai_pulumi.journal.location import journal_location
from rtcai_pulumi.maintenance.agents import list_agents
from rtcai_pulumi.maintenance.records import open_journal
from rtcai_pulumi.stack.export import CONVERSATION

NOT_IN_STACK = "not in the stack"


class Agent(NamedTuple):
    """One conversation. The service has no query for a task, so without an emulator only "started" is known."""

    room: str
    mode: str
    task: str
    endpoint: str = ""
    state: str = "started"


def agents_in_state(resources: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """Return the agents among the resources of a state, sorted by room."""
    return sorted(_agent(each.get("outputs") or {}) for each in resources if each.get("type") == CONVERSATION)


def compare_with_emulator(agents: Sequence[Agent], tasks: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """Return the agents of the state with their states in the emulator, then the running ones that are in no state."""
    listed = [_agent(task)._replace(state=str(task["state"])) for task in tasks]
    others = {agent.task: agent for agent in listed}
    known = [others.pop(agent.task, agent._replace(state="unknown to the emulator")) for agent in agents]
    running = [agent for agent in others.values() if agent.state == "running"]
    return known + [agent._replace(state=f"running, {NOT_IN_STACK}") for agent in running]


def agents_only_in_journal(environment: Mapping[str, str], agents: Sequence[Agent]) -> list[Agent]:
    """Return the agents that may be running according to the journal and are not in `agents`.

    A run that was killed, or a state that was replaced by the older copy, may leave an agent that is not in the state.
    The engine calls no provider for it, so `destroy` ignores it; the next `up` of the same resource stops it first.

    Raises:
        JournalError: the journal cannot be read.
    """
    with open_journal(journal_location(environment)) as journal:
        lines = list_agents(journal, None, frozenset(), include_closed=False, now=datetime.now(UTC))
    known = {agent.task for agent in agents}
    return [
        Agent(line.cname or "", "", line.task or "", state=f"{line.state}, {NOT_IN_STACK}")
        for line in lines
        if line.task not in known
    ]


def show_agents(agents: Sequence[Agent]) -> None:
    """Print a table of room, mode, task id and state."""
    print(flush=True)
    if agents:
        rows = [(agent.room, agent.mode, agent.task.rpartition("/")[2], agent.state) for agent in agents]
        print_table(("Room", "Mode", "Task id", "State"), rows)
    else:
        print("  no agents")
    print(flush=True)


def count(number: int) -> str:
    """Return "1 agent" or "3 agents"."""
    return f"{number} agent" if number == 1 else f"{number} agents"


def _agent(values: Mapping[str, Any]) -> Agent:
    """Return the agent that the outputs of a resource, or a task of the emulator, describe."""
    # The engine stores a secret as an object; its ciphertext is of no use to a reader.
    room, mode, task_id, cid, endpoint = (
        "[secret]" if isinstance(text := values.get(name, ""), Mapping) else str(text)
        for name in ("cname", "mode", "taskId", "cid", "endpoint")
    )
    return Agent(room, mode, f"{cid}/{task_id}", endpoint)
