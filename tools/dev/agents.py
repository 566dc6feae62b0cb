"""The agents of a stack: in its state, in the emulator, and in the journal; and the table that lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rtcai_pulumi.cli.output import print_table
from rtcai_pulumi.journal.journal import Journal, journal_path
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.service.errors import JournalError
from rtcai_pulumi.stack.export import CONVERSATION
from tools.dev.target import RefusalError, Target

NOT_IN_STACK = "not in the stack"
_JOURNAL_STATES = {
    RecordState.ASKED: "start requested, result unknown",
    RecordState.OPEN: "started",
    RecordState.CLOSING: "stop requested, result unknown",
}


@dataclass(frozen=True)
class Agent:
    """One conversation. The service has no query for a task, so without an emulator only "started" is known."""

    room: str
    mode: str
    task_id: str
    cid: str
    endpoint: str = ""
    state: str = "started"

    @property
    def key(self) -> tuple[str, str]:
        """The key of a task in the service."""
        return (self.cid, self.task_id)


def agents_in_state(resources: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """Return the agents among the resources of a state, sorted by room."""
    agents = [_agent(resource.get("outputs") or {}) for resource in resources if resource.get("type") == CONVERSATION]
    return sorted(agents, key=lambda agent: (agent.room, agent.task_id))


def compare_with_emulator(agents: Sequence[Agent], tasks: Sequence[Mapping[str, Any]]) -> list[Agent]:
    """Return the agents of the state with their states in the emulator, then the running ones that are in no state."""
    listed = [replace(_agent(task), state=str(task["state"])) for task in tasks]
    states = {agent.key: agent.state for agent in listed}
    known = [replace(agent, state=states.pop(agent.key, "unknown to the emulator")) for agent in agents]
    others = [agent for agent in listed if agent.key in states and agent.state == "running"]
    return known + [replace(agent, state=f"running, {NOT_IN_STACK}") for agent in others]


def agents_only_in_journal(target: Target, agents: Sequence[Agent]) -> list[Agent]:
    """Return the agents that may be running according to the journal and are not in `agents`.

    A run that was killed, or a state that was replaced by the older copy, may leave an agent that is not in the state.
    The engine calls no provider for it, so `destroy` ignores it; the next `up` of the same resource stops it first.

    Raises:
        RefusalError: the journal cannot be read.
    """
    path = journal_path(target.environment)
    if not path.exists():
        return []
    try:
        with Journal(path) as journal:
            records = [record for record in journal.records() if record.is_unfinished]
    except JournalError as error:
        raise RefusalError(f"Stack {target.name} may have agents that are not in its state.\n  {error}") from None
    keys = {agent.key for agent in agents}
    listed = [
        Agent(record.cname, "", record.task_id or "", str(record.cid or ""), state=_JOURNAL_STATES[record.state])
        for record in records
    ]
    return [replace(agent, state=f"{agent.state}, {NOT_IN_STACK}") for agent in listed if agent.key not in keys]


def show_agents(agents: Sequence[Agent]) -> None:
    """Print a table of room, mode, task id and state."""
    print(flush=True)
    if agents:
        rows = [(agent.room, agent.mode, agent.task_id, agent.state) for agent in agents]
        print_table(("Room", "Mode", "Task id", "State"), rows)
    else:
        print("  no agents")
    print(flush=True)


def count(number: int) -> str:
    """Return "1 agent" or "3 agents"."""
    return f"{number} agent" if number == 1 else f"{number} agents"


def _agent(values: Mapping[str, Any]) -> Agent:
    texts = [values.get(name, "") for name in ("cname", "mode", "taskId", "cid", "endpoint")]
    # The engine stores a secret as an object; its ciphertext is of no use to a reader.
    return Agent(*("[secret]" if isinstance(text, Mapping) else str(text) for text in texts))
