"""The README of an event in Markdown, for the stack's page in Pulumi Cloud."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from rtcai_pulumi.config.end_time import parse_end_time

_MARKUP: Final = re.compile(r"[\\`*_\[\]<>|~#&]")


@dataclass(frozen=True, slots=True)
class ReadmeRow:
    """One room of the table."""

    key: str
    cname: str
    task: str
    """``cid/taskId``."""
    link: str | None
    """The link for joining; ``{cname}`` is the placeholder for the room's name."""
    ends_at: str | None = None
    """When the agent is to end: ISO 8601, UTC; None if it has no end."""


def render_readme(title: str, rows: Iterable[ReadmeRow]) -> str:
    """Return a table of rooms, tasks and links, sorted by the rooms' keys: the order in the event does not matter.

    Args:
        title: the event's name.
        rows: its rooms.
    """
    table = sorted(rows, key=lambda row: row.key)
    linked, ends = any(row.link for row in table), any(row.ends_at for row in table)
    head = ["Room", "Name in the service", "Task"] + ["Ends"] * ends + ["Join"] * linked
    lines = [head, ["---"] * len(head), *(_format_cells(row, linked=linked, ends=ends) for row in table)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    agents = f"{len(table)} room{'s' * (len(table) != 1)} with an AI agent each." if table else "No rooms."
    return f"# {_escape(title)}\n\n{agents}\n" + (f"\n{text}\n" if table else "")


def _format_cells(row: ReadmeRow, *, linked: bool, ends: bool) -> list[str]:
    cells = [_escape(row.key), _escape(row.cname), _escape(row.task)]
    if ends:
        cells.append(_escape(_format_time(row.ends_at or "")))
    if linked:
        address = (row.link or "").replace("{cname}", quote(row.cname, safe=""))
        cells.append(f"[open](<{quote(address, safe=_LINK_SAFE)}>)" if address else "")
    return cells


def _format_time(ends_at: str) -> str:
    """Return a time as people read it, to the minute: ``2026-10-13 10:00 UTC``. A relative one would be out of date."""
    time = parse_end_time(ends_at)
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""


_LINK_SAFE: Final = ":/?#[]@!&'()*+,;=%~-._{}"


def _escape(text: str) -> str:
    """Escape a text for Markdown. ``$`` is escaped too, because Pulumi Cloud replaces ``${…}`` with outputs."""
    escaped = _MARKUP.sub(lambda match: "\\" + match[0], text)
    return escaped.replace("$", "&#36;").replace("\n", " ")
