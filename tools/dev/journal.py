"""The agents of a stack that are in the provider's journal and not in the stack's state.

A run that was killed, or a state that was replaced by the older copy, may leave an agent that is not in the state. The
engine calls no provider for it, so `destroy` ignores it; the next `up` of the same resource stops it first.
"""

from collections.abc import Sequence

from rtcai_pulumi.journal.journal import Journal, journal_path
from rtcai_pulumi.journal.record import Record, RecordState
from rtcai_pulumi.service.errors import JournalError
from tools.dev.agents import NOT_IN_STACK, Agent
from tools.dev.refusal import RefusalError
from tools.dev.target import Target

_STATES = {
    RecordState.ASKED: "asked for, no answer known",
    RecordState.OPEN: "started",
    RecordState.CLOSING: "perhaps stopped, no answer known",
}


def beside(target: Target, known: Sequence[Agent]) -> list[tuple[Agent, str]]:
    """Return the agents that may be running according to the journal and are not in `known`, with the journal's status
    of each.

    Raises:
        RefusalError: the journal cannot be read.
    """
    path = journal_path(target.environment)
    if not path.exists():
        return []
    try:
        with Journal(path) as journal:
            records = journal.records()
    except JournalError as error:
        raise RefusalError(f"What runs beside the state of stack {target.name} is not known.\n  {error}") from None
    keys = {agent.key for agent in known}
    left = [(_agent(record), record) for record in records if record.is_unfinished]
    return [(agent, f"{_STATES[record.state]}, {NOT_IN_STACK}") for agent, record in left if agent.key not in keys]


def _agent(record: Record) -> Agent:
    return Agent(record.cname, "", record.task_id or "", str(record.cid or ""), record.endpoint)
