"""Finds creates that a killed run had started and that the journal does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import RecordState
from rtcai_pulumi.maintenance.agents import belongs_to_stack
from rtcai_pulumi.stack.export import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.stack.export import PendingCreate, StackExport
    from rtcai_pulumi.stack.source import ExportedState

UNKNOWN_CREATES: Final = (
    "A killed run was starting these agents. The journal has no record of them, so it is unknown whether they were "
    "started"
)
ADVICE: Final = (
    "restore the journal of that run; or check these rooms, and if an agent is in one, end the room (`rtcai end-room` "
    "removes everybody). Then run `pulumi refresh --clear-pending-creates`, then repeat this command"
)


def find_unknown_creates(state: ExportedState, records: Iterable[Record]) -> list[PendingCreate]:
    """Return the creates that were in progress and have no record: the journal is lost, or older than the state.

    A create has a record if one asks for the same configuration, whatever its state: a plugin whose engine was killed
    closes what it has started, and the state keeps the create until it is cleared. A create has no record if the
    journal has an agent as open and returned to the engine, but the state does not have that agent any more: a later
    run has stopped or replaced it, and recorded that in a newer journal.

    One case cannot be detected: the journal is older than the killed run, and in it an agent of this resource with
    exactly the same configuration was already closed. If a configuration contains a secret, the state has it only as
    ciphertext. Then any record counts whose request got no response, or that began after everything in the state,
    regardless of its configuration.
    """
    records = [record for record in records if belongs_to_stack(record, state)]
    unknown = [
        create
        for create in state.export.pending_creates
        if not _is_known(create, [record for record in records if urn_of(record.owner) == create.urn], state.export)
    ]
    # If the create of a resource was interrupted twice, the state lists it twice until it is cleared.
    return list({(create.urn, create.cname): create for create in unknown}.values())


def format_create(create: PendingCreate) -> str:
    """Return the create as a line for people."""
    return f"room {create.cname if create.cname is not None else '(secret)'} ({name_of(create.urn)})"


def create_to_json(create: PendingCreate) -> dict[str, Any]:
    """Return the create for ``--json``."""
    return {"cname": create.cname, "resource": name_of(create.urn), "urn": create.urn}


def _is_known(create: PendingCreate, records: list[Record], export: StackExport) -> bool:
    """Whether one of a resource's records is the record of its create."""
    # A run may be killed after the agent was returned to the engine and before the state was written: then this record
    # is the one of the pending create.
    pending_digests = {other.digest for other in export.pending_creates if other.urn == create.urn}
    if any(_is_superseded(record, export) and record.digest not in pending_digests for record in records):
        return False
    if create.digest is not None:
        return any(record.digest == create.digest for record in records)
    last_change = export.changed_at
    return any(
        record.state is RecordState.ASKED or (last_change is not None and record.start_time > last_change)
        for record in records
    )


def _is_superseded(record: Record, export: StackExport) -> bool:
    """Whether the journal has an agent as open and returned to the engine that the state does not have, or has as
    stopped.
    """
    running = {agent.task for agent in export.conversations if not agent.stopped}
    return record.state is RecordState.OPEN and record.handed and record.task not in running
