"""The work of ``rtcai`` and the make targets on agents and rooms, without a terminal."""

from rtcai_pulumi.service.printable import one_line


class CommandError(Exception):
    """A command cannot do what it was asked to do.

    Args:
        summary: what happened.
        advice: what the user can do about it.
    """

    def __init__(self, summary: str, advice: str = "") -> None:
        to_do = [f"  to do: {one_line(advice)}"] if advice else []
        super().__init__("\n".join([one_line(summary), *to_do]))


class NotInJournal(CommandError):
    """The journal does not know the object that the user names."""


class AgentInUse(CommandError):
    """Another run works on the agent, or has just changed its record. That run knows more than this command."""
