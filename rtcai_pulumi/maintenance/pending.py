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

UNKNOWN: Final = "A killed run was starting these agents, and the journal does not tell whether it did"
ADVICE: Final = (
    "put the journal of the killed run back, or look into these rooms and, where an agent is there, end them (`rtcai "
    "end-room` throws out everybody); then `pulumi refresh --clear-pending-creates`, and run again"
)


def find_unknown_creates(state: ExportedState, records: Iterable[Record]) -> list[PendingCreate]:
    """Return the creates that were in progress and have no record: the journal is lost, or older than the state.

    A create has a record if one asks for the same configuration, whatever its state: a plugin whose engine was killed
    closes what it has started, and the state keeps the create until it is cleared. A create has no record if the
    journal has an agent as open and returned to the engine, but the state does not have that agent any more: a later
    run has stopped or replaced it, and recorded that in a newer journal.

    One case cannot be detected: the journal is older than the killed run, and in it an agent of this resource with
    exactly the same configuration was already closed. If a configuration contains a secret, the state has it only as
    ciphertext. Then any record counts that was never answered, or that began after everything in the state, regardless
    of its configuration.
    """
    export = state.export
    records = [record for record in records if belongs_to_stack(record, export, state.backend)]
    found = [
        begun
        for begun in export.pending_creates
        if not _is_known(begun, [record for record in records if urn_of(record.owner) == begun.urn], export)
    ]
    # If the create of a resource was interrupted twice, the state lists it twice until it is cleared.
    return list({(begun.urn, begun.cname): begun for begun in found}.values())


def line_of(begun: PendingCreate) -> str:
    """Return the create as a line for people."""
    return f"room {begun.cname if begun.cname is not None else '(secret)'} ({name_of(begun.urn)})"


def as_json(begun: PendingCreate) -> dict[str, Any]:
    """Return the create for ``--json``."""
    return {"cname": begun.cname, "resource": name_of(begun.urn), "urn": begun.urn}


def _is_known(begun: PendingCreate, records: list[Record], export: StackExport) -> bool:
    """Whether one of a resource's records is the record of its create."""
    # A run may be killed after the agent was returned to the engine and before the state was written: then this record
    # is the one of the pending create.
    under_way = {each.digest for each in export.pending_creates if each.urn == begun.urn}
    if any(_is_passed(record, export) and record.digest not in under_way for record in records):
        return False
    if begun.digest is not None:
        return any(record.digest == begun.digest for record in records)
    newest = export.changed_at
    return any(
        record.state is RecordState.ASKED or (newest is not None and record.start_time > newest) for record in records
    )


def _is_passed(record: Record, export: StackExport) -> bool:
    """Whether the journal has an agent as open and returned to the engine that the state does not have, or has as
    stopped.
    """
    running = {stored.task for stored in export.conversations if not stored.stopped}
    return record.state is RecordState.OPEN and record.handed and record.task not in running
