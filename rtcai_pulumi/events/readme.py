"""The stack's README: Pulumi Cloud shows a stack's output ``readme`` as Markdown."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

_MARKUP: Final = re.compile(r"[\\`*_\[\]<>|~#&]")


@dataclass(frozen=True, slots=True)
class Row:
    """One room of the table."""

    key: str
    cname: str
    task: str
    """``cid/taskId``."""
    link: str | None
    """Where people join; ``{cname}`` stands for the room's name."""


def stack_readme(title: str, rows: Iterable[Row]) -> str:
    """A table of rooms, tasks and links, in the order of the rooms' keys: another order of the event changes nothing.

    Args:
        title: the event's name.
        rows: its rooms.
    """
    table = sorted(rows, key=lambda row: row.key)
    linked = any(row.link for row in table)
    head = ["Room", "Name in the service", "Task"] + ["Join"] * linked
    lines = [head, ["---"] * len(head), *(_cells(row, linked=linked) for row in table)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    agents = f"{len(table)} room{'s' * (len(table) != 1)} with an AI agent each." if table else "No rooms."
    return f"# {_text(title)}\n\n{agents}\n" + (f"\n{text}\n" if table else "")


def _cells(row: Row, *, linked: bool) -> list[str]:
    cells = [_text(row.key), _text(row.cname), _text(row.task)]
    if linked:
        address = (row.link or "").replace("{cname}", quote(row.cname, safe=""))
        cells.append(f"[open](<{quote(address, safe=_LINK_SAFE)}>)" if address else "")
    return cells


_LINK_SAFE: Final = ":/?#[]@!&'()*+,;=%~-._{}"


def _text(text: str) -> str:
    """Text without a meaning in Markdown; Pulumi Cloud puts outputs in the place of ``${…}``, so there is none."""
    escaped = _MARKUP.sub(lambda found: "\\" + found[0], text)
    return escaped.replace("$", "&#36;").replace("\n", " ")
