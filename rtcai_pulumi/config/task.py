"""The reference to a task; the only module that knows its form ``{cid}/{taskId}``."""

from dataclasses import dataclass
from typing import Final, Self

_MAX_DIGITS: Final = 19
"""The number of digits of the largest room number: it has 63 bits."""
TASK_PATTERN: Final = rf"^[1-9][0-9]{{0,{_MAX_DIGITS - 1}}}/\S+$"
"""A task in an input of a program or in an event file."""


@dataclass(frozen=True, slots=True)
class TaskReference:
    """The two ids of a task. As text, ``{cid}/{taskId}``, they are the id of its resource."""

    cid: int
    """The room's number, 63 bits."""
    task_id: str
    """Unique within the room."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The task that a text names.

        Raises:
            ValueError: the text does not have this form.
        """
        task = cls.parse_if_valid(text)
        if task is None:
            message = f"{text!r} is not a task: expected cid/taskId"
            raise ValueError(message)
        return task

    @classmethod
    def parse_if_valid(cls, text: str) -> Self | None:
        """The task that a text names; None if the text does not have this form."""
        cid, _, task_id = text.partition("/")
        is_valid = cid.isascii() and cid.isdecimal() and len(cid) <= _MAX_DIGITS and task_id
        return cls(int(cid), task_id) if is_valid else None

    def __str__(self) -> str:
        return f"{self.cid}/{self.task_id}"
