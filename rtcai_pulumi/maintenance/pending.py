"""Finds creates that a killed run had begun and that the journal does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtcai_pulumi.journal.owner import urn_of
from rtcai_pulumi.journal.record import State
from rtcai_pulumi.maintenance.agents import belongs
from rtcai_pulumi.stack.export import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtcai_pulumi.journal.record import Record
    from rtcai_pulumi.stack.export import Begun, StackExport
    from rtcai_pulumi.stack.source import StackState

UNKNOWN: Final = "A killed run was starting these agents, and the journal does not tell whether it did"
ADVICE: Final = (
    "put the journal of the killed run back, or look into these rooms and, where an agent is there, end them (`rtcai "
    "end-room` throws out everybody); then `pulumi refresh --clear-pending-creates`, and run again"
)


def unknown_creates(state: StackState, records: Iterable[Record]) -> list[Begun]:
    """The creates that were under way, and of which no record speaks: the journal is lost, or older than the state.

    A record speaks for a create where it asks for the same configuration, in whatever state it is: a plugin whose
    engine was killed closes what it has started, and the state shows the create until it is cleared. No record
    speaks for it where the journal holds an agent as handed over and running that the state has no more: a later run
    has dealt with that one, and wrote that down in a newer journal.

    What cannot be told: a journal that is older than the killed run, whose agent of this resource was closed already,
    and was of the very same configuration. And of a configuration with a secret in it the state holds ciphertext:
    there a record speaks that was never answered, or that began after everything that the state has, whatever it
    asked for.
    """
    export = state.export
    records = [record for record in records if belongs(record, export, state.backend)]
    found = [
        begun
        for begun in export.pending_creates
        if not _is_known(begun, [record for record in records if urn_of(record.owner) == begun.urn], export)
    ]
    # A resource whose create was cut off twice is there twice, until it is cleared.
    return list({(begun.urn, begun.cname): begun for begun in found}.values())


def line_of(begun: Begun) -> str:
    """The create in a line for people."""
    return f"room {begun.cname if begun.cname is not None else '(secret)'} ({name_of(begun.urn)})"


def as_json(begun: Begun) -> dict[str, Any]:
    """The create for ``--json``."""
    return {"cname": begun.cname, "resource": name_of(begun.urn), "urn": begun.urn}


def _is_known(begun: Begun, records: list[Record], export: StackExport) -> bool:
    """Whether one of a resource's records speaks for its create."""
    # A run may be killed when the agent is handed over and not yet stored: that is the create in question.
    under_way = {each.digest for each in export.pending_creates if each.urn == begun.urn}
    if any(_is_passed(record, export) and record.digest not in under_way for record in records):
        return False
    if begun.digest is not None:
        return any(record.digest == begun.digest for record in records)
    newest = export.changed_at
    return any(record.state is State.ASKED or (newest is not None and record.start_time > newest) for record in records)


def _is_passed(record: Record, export: StackExport) -> bool:
    """Whether the journal holds an agent as running that the state had, and has no more, or as stopped."""
    running = {stored.task for stored in export.conversations if not stored.stopped}
    return record.state is State.OPEN and record.handed and record.task not in running
