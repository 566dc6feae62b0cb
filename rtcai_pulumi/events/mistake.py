"""What is wrong with an event, and with which line of its file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtcai_pulumi.config.problems import path_of
from rtcai_pulumi.events.document import Document, Location


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong. No value is ever shown: it may be a secret."""

    path: str
    """Where, from the root of the event, as in ``rooms.keynote.agent.tts.speed``."""
    reason: str
    """What is wrong, with the limits and the nearest good value."""
    file: str | None = None
    """The event file, as it was named; None for an event that is stated in a program."""
    line: int | None = None
    """The line in that file, from 1; None where there is none."""

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}: " if self.line is None else f"{self.file}:{self.line}: "
        return f"{place}{self.path}: {self.reason}"


class InvalidEvent(Exception):
    """An event has mistakes; mend them all. They are listed in the message, and in `mistakes`."""

    def __init__(self, what: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)}"
        super().__init__(f"{what} has {count}:" + "".join(f"\n  {mistake}" for mistake in mistakes))


@dataclass(frozen=True, slots=True)
class Source:
    """Where an event is stated: a file, or a program."""

    file: str | None = None
    """The file, as it was named."""
    folder: Path | None = None
    """The folder that prompt files lie in; None where there can be none."""
    document: Document | None = None

    def mistake(self, location: Location, reason: str, path: str | None = None) -> Mistake:
        """A mistake at a place of the event; `path` names one that is not stated, and lies in that place."""
        line = self.document.line_of(location) if self.document else None
        return Mistake(path or path_of(location), reason, self.file, line)

    def place(self, location: Location) -> str:
        """A place as messages name it."""
        line = f"{self.file}:{self.document.line_of(location)}: " if self.document else ""
        return f"{line}{path_of(location)}"
