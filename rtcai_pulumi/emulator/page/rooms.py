"""What the page shows about one room and its agents."""

import hashlib
import re
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from rtcai_pulumi.emulator.clock import iso
from rtcai_pulumi.emulator.page.format import FieldChange, compare_fields, duration, list_fields
from rtcai_pulumi.emulator.page.timeline import Span, Timeline, make_timeline
from rtcai_pulumi.emulator.state.model import EmulatedRoom, EmulatedTask, EndedBy, RoomKey, Stage
from rtcai_pulumi.emulator.state.service import EmulatedService

KEPT_ROWS: Final = 400
"""How many rooms the page shows: those with an agent or still open come first, then those that ended last."""
SHOWN_AGENTS: Final = 50
"""How many agents of one room are drawn and listed: the newest ones, and older ones that are still running."""

Condition = Literal["running", "starting", "several", "orphaned", "empty", "ended"]
_ENDED_BY: Final[dict[EndedBy | None, str]] = {
    "close": "closed by the API",
    "room": "ended with its room",
    "itself": "ended by itself",
    "admin": "ended on this page or by the admin API",
    None: "ended",
}


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent of a room."""

    task: EmulatedTask
    number: int
    """Position among the agents of the room, from 1."""
    stage: Stage
    end_reason: str
    fields: dict[str, str]
    changed: list[FieldChange]
    """The fields that differ from the agent before."""
    between: str
    """How this agent followed the one before it, in words; empty for the first."""


@dataclass(frozen=True, slots=True)
class RoomView:
    """One row of the page."""

    id: str
    """An id for the page's own URLs: a room name may contain any character."""
    key: RoomKey
    room: EmulatedRoom | None
    """None if the room is not open."""
    line: Timeline
    now_ms: int
    total: int
    """How many agents are known, including those that are not drawn."""

    @property
    def name(self) -> str:
        """The room's name."""
        return self.key[1]

    @property
    def order(self) -> str:
        """Sort key of the rows: the name, with numbers in it compared by value."""
        return re.sub(r"\d+", lambda digits: digits.group().zfill(20), self.name.casefold())

    @property
    def left(self) -> list[EmulatedTask]:
        """The agents that have not ended."""
        return [bar.task for bar in self.line.bars if bar.task.running]

    @property
    def condition(self) -> Condition:
        """The condition of the room in one word."""
        stages = [task.stage(self.now_ms) for task in self.left]
        if not stages:
            return "empty" if self.room else "ended"
        if len(stages) > 1:
            return "several"
        if self.room is None or self.room.cid != self.left[0].cid:
            return "orphaned"
        return "running" if stages[0] == "running" else "starting"

    @property
    def condition_text(self) -> str:
        """The condition of the room in words for people."""
        texts: dict[Condition, str] = {
            "running": "Running",
            "starting": "Starting",
            "several": f"{len(self.left)} agents at the same time",
            "orphaned": "Running, its room has ended",
            "empty": "Open, no agent",
            "ended": "Ended",
        }
        return texts[self.condition]

    @property
    def since_ms(self) -> int | None:
        """Time since which an agent has been running; None if none is."""
        return min((max(task.started_ms, task.runs_ms) for task in self.left), default=None)

    @property
    def first_ms(self) -> int | None:
        """The start of the first agent that is drawn."""
        return self.line.bars[0].span.start_ms if self.line.bars else None

    @property
    def latest_ms(self) -> float:
        """Time of the last event in the room; infinite while an agent is running."""
        ends = [bar.span.end_ms for bar in self.line.bars]
        return inf if self.room else max(ends, default=0)

    @property
    def description(self) -> str:
        """The time line in words, for screen readers."""
        line = self.line
        parts = [f"{self.total} agent{'' if self.total == 1 else 's'}"]
        parts += [f"{len(line.gaps)} gap{'' if len(line.gaps) == 1 else 's'}"] if line.gaps else []
        parts += [f"{len(line.overlaps)} overlap{'' if len(line.overlaps) == 1 else 's'}"] if line.overlaps else []
        return ", ".join(parts)


def room_id(key: RoomKey) -> str:
    """Return an id for a room that is valid in any URL."""
    return hashlib.blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def room_view(service: EmulatedService, key: RoomKey) -> RoomView | None:
    """Return the view of one room; None if nothing is known about it any more."""
    tasks, room = service.state.list_tasks(key), service.state.rooms.get(key)
    if not tasks and room is None:
        return None
    drawn = [task for task in tasks[:-SHOWN_AGENTS] if task.running] + tasks[-SHOWN_AGENTS:]
    line = make_timeline(drawn)
    return RoomView(room_id(key), key, room, line, service.clock.now_ms(), len(tasks))


def room_views(service: EmulatedService) -> tuple[list[RoomView], int]:
    """Return the rooms that the page shows, sorted by name, and how many more there are."""
    views = [view for key in service.state.room_keys() if (view := room_view(service, key))]
    kept = views
    if len(views) > KEPT_ROWS:
        kept = sorted(views, key=lambda view: (bool(view.left), view.latest_ms), reverse=True)[:KEPT_ROWS]
    return sorted(kept, key=lambda view: (view.order, view.key)), len(views) - len(kept)


def agent_views(view: RoomView) -> list[AgentView]:
    """Return the agents of a room, newest first."""
    bars, skipped = view.line.bars, view.total - len(view.line.bars)
    views = []
    for index, bar in enumerate(bars):
        before = bars[index - 1] if index else None
        views.append(
            AgentView(
                bar.task,
                skipped + index + 1,
                bar.task.stage(view.now_ms),
                "" if bar.task.running else _ENDED_BY[bar.task.ended_by],
                list_fields(bar.task.data),
                compare_fields(before.task.data, bar.task.data) if before else [],
                _describe_succession([other.span for other in bars[:index]], bar.span) if before else "",
            )
        )
    return views[::-1]


def _describe_succession(before: list[Span], span: Span) -> str:
    """Describe how an agent followed those before it."""
    last_ms = max(other.end_ms for other in before)
    if last_ms > span.start_ms:
        end_ms = min(last_ms, span.end_ms)
        length = "" if end_ms == inf else f" for {duration((end_ms - span.start_ms) / 1000)}"
        return f"started while the previous agent was running: both were in the room{length}"
    return f"started {duration((span.start_ms - last_ms) / 1000)} after the previous agent had ended"


def moment(at_ms: float) -> str:
    """Return a time in ISO 8601, UTC, to the millisecond."""
    return iso(at_ms / 1000)[:-4] + "Z"
